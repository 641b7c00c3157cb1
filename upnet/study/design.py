"""What a study compares: arms, factors and seeds, and the variants they make together."""

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Regime = Literal["N", "P", "F", "S"]

REGIMES: dict[Regime, str] = {
    "N": "native: every arm as it stands",
    "P": "equal parameters: the width of every arm solved for",
    "F": "equal true multiply-adds: the width of every arm solved for",
    "S": "equal support: the kernels of every arm chosen for as many LR taps per output phase",
}
"""What is held equal between the arms. Without saying which, a comparison of operators means nothing."""


@dataclass(frozen=True)
class Variant:
    """An arm at one level of every factor: what is trained once per seed.

    levels: by factor, the level's name.
    words:  the overrides that make it, as Hydra's command line has them.
    """

    arm: str
    levels: Mapping[str, str] = field(default_factory=dict)
    words: Sequence[str] = ()

    @property
    def label(self) -> str:
        """In words: `transposed, skip=with`."""
        return ", ".join([self.arm, *(f"{factor}={level}" for factor, level in self.levels.items())])

    def stem(self, seed: int) -> str:
        """A readable part of a folder's name: `transposed-with-seed0`."""
        return re.sub(r"[^\w.=+-]+", "_", "-".join([self.arm, *self.levels.values(), f"seed{seed}"]))


@dataclass(frozen=True)
class Design:
    """A study as its yaml says it.

    arms:      by name, the overrides that make it.
    factors:   by name, its levels: by name, the overrides that make them. Every arm is trained at every combination.
    reference: the arm that the others are compared with, and matched to.

    Raises ValueError where there is nothing to compare, or the reference or a seed makes no sense.
    """

    name: str
    arms: Mapping[str, Sequence[str]]
    reference: str
    seeds: Sequence[int]
    factors: Mapping[str, Mapping[str, Sequence[str]]]
    regime: Regime

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[\w.+-]+", self.name):
            raise ValueError(f"study.name={self.name} names a folder; take letters, digits, - and _ only")
        if not self.arms:
            raise ValueError(
                "study.arms names no arm; a study compares some, as configs/experiment/study/tail.yaml does"
            )
        if self.reference not in self.arms:
            raise ValueError(
                f"study.reference={self.reference} is none of the arms, and the others are compared with it; "
                f"there are {', '.join(self.arms)}"
            )
        if not self.seeds or len(set(self.seeds)) < len(self.seeds) or min(self.seeds) < 0:
            raise ValueError(f"study.seeds lists different whole numbers from 0 on; got {list(self.seeds)}")
        for factor, levels in self.factors.items():
            if not levels:
                raise ValueError(f"study.factors.{factor} has no level; give it some: {{NAME: OVERRIDES, …}}")

    @classmethod
    def read(cls, plain: Mapping[str, Any]) -> "Design":
        """From the config's `study`, as plain data. Raises ValueError as the class does."""
        return cls(
            name=str(plain["name"]),
            arms={str(name): _words(words) for name, words in plain["arms"].items()},
            reference=str(plain["reference"]),
            seeds=list(plain["seeds"]),
            factors={
                str(factor): {str(level): _words(words) for level, words in levels.items()}
                for factor, levels in plain["factors"].items()
            },
            regime=plain["regime"],
        )

    def variants(self) -> list[Variant]:
        """Every arm at every combination of levels; the arms of one combination stand together."""
        combinations = itertools.product(*(levels.items() for levels in self.factors.values()))
        made: list[Variant] = []
        for chosen in combinations:
            levels = dict(zip(self.factors, (name for name, _ in chosen), strict=True))
            shared = [word for _, words in chosen for word in words]
            made += [Variant(arm, levels, [*words, *shared]) for arm, words in self.arms.items()]
        return made

    def check_words(self, given: Sequence[str]) -> None:
        """Raise ValueError where the command line sets what an arm, a level or the seeds of this study set."""
        own = {_key(word): f"study.arms.{arm}" for arm, words in self.arms.items() for word in words}
        for factor, levels in self.factors.items():
            own |= {_key(word): f"study.factors.{factor}" for words in levels.values() for word in words}
        own["seed"] = "study.seeds"
        for word in given:
            if _key(word) in own:
                raise ValueError(
                    f"{word} would be the same in all cells, and {own[_key(word)]} sets {_key(word)} by cell; "
                    f"change {own[_key(word)]} instead"
                )


def _words(value: str | Sequence[str]) -> list[str]:
    return [value] if isinstance(value, str) else [str(word) for word in value]


def _key(word: str) -> str:
    return word.lstrip("+~").partition("=")[0]
