"""The design of a study: arms, factors and seeds, and the variants that they define."""

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from upnet.utils.errors import UserError, did_you_mean, join_or
from upnet.utils.paths import as_list

MatchMode = Literal["none", "params", "macs", "support"]

MATCH_MODES: dict[str, str] = {
    "none": "every arm as configured",
    "params": "equal number of parameters; the width of each arm is solved for",
    "macs": "equal multiply-adds; the width of each arm is solved for",
    "support": "equal support: kernel sizes chosen for the same number of LR taps per output phase",
}
"""Value of `study.match` -> what is equal in all arms."""


@dataclass(frozen=True)
class Variant:
    """One arm at one level of every factor. It is trained once per seed.

    levels:    factor -> name of its level.
    overrides: the overrides that define the variant, as on the command line.

    >>> variant = Variant("transposed", {"skip": "with"}, ["model/upsampler=transposed", "model.skip=true"])
    >>> variant.label, variant.folder_stem(seed=0)
    ('transposed, skip=with', 'transposed-with-seed0')
    """

    arm: str
    levels: Mapping[str, str] = field(default_factory=dict)
    overrides: Sequence[str] = ()

    @property
    def label(self) -> str:
        """The name of the variant in tables and messages."""
        return ", ".join([self.arm, *(f"{factor}={level}" for factor, level in self.levels.items())])

    def folder_stem(self, seed: int) -> str:
        """The readable part of the name of a cell's folder."""
        return re.sub(r"[^\w.=+-]+", "_", "-".join([self.arm, *self.levels.values(), f"seed{seed}"]))


@dataclass(frozen=True)
class Design:
    """The settings of a study.

    name:      of the study and its folder.
    arms:      arm -> the overrides that define it.
    reference: the arm that the other arms are compared with and matched to.
    seeds:     every variant is trained with each.
    factors:   factor -> level -> the overrides that define it. Every arm is trained at every combination of levels.
    match:     what is held equal between the arms, see MATCH_MODES.

    Raises UserError for an invalid name, no arms, an unknown reference, invalid seeds and a factor without levels.

    >>> design = Design("demo", {"a": ["model/upsampler=nearest"], "b": ["model/upsampler=carafe"]}, "a", [0, 1])
    >>> [variant.label for variant in design.variants()]
    ['a', 'b']
    """

    name: str
    arms: Mapping[str, Sequence[str]]
    reference: str
    seeds: Sequence[int]
    factors: Mapping[str, Mapping[str, Sequence[str]]] = field(default_factory=dict)
    match: MatchMode = "none"

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[\w.+-]+", self.name):
            raise UserError(
                "is not a valid name of a folder",
                setting="study.name",
                value=self.name,
                allowed="letters, digits and the characters . _ + -",
            )
        if not self.arms:
            raise UserError(
                "a study needs at least one arm",
                setting="study.arms",
                value={},
                cure="Add arms as configs/experiment/study/tail.yaml does",
            )
        if self.reference not in self.arms:
            raise UserError(
                "the reference must be one of the arms",
                setting="study.reference",
                value=self.reference,
                allowed=join_or(self.arms),
                cure=did_you_mean(self.reference, self.arms),
            )
        if not self.seeds or len(set(self.seeds)) < len(self.seeds) or min(self.seeds) < 0:
            raise UserError(
                "invalid list of seeds",
                setting="study.seeds",
                value=list(self.seeds),
                allowed="at least one integer, 0 or larger, each only once",
            )
        for factor, levels in self.factors.items():
            if not levels:
                raise UserError(
                    "a factor needs at least one level",
                    setting=f"study.factors.{factor}",
                    value={},
                    cure="Add levels: {NAME: OVERRIDES, …}",
                )

    @classmethod
    def from_config(cls, settings: Mapping[str, Any]) -> "Design":
        """The design in the config's `study`, given as plain data. Raises UserError as the class does."""
        return cls(
            name=str(settings["name"]),
            arms={str(name): as_list(overrides) for name, overrides in settings["arms"].items()},
            reference=str(settings["reference"]),
            seeds=list(settings["seeds"]),
            factors={
                str(factor): {str(level): as_list(overrides) for level, overrides in levels.items()}
                for factor, levels in settings["factors"].items()
            },
            match=settings["match"],
        )

    def variants(self) -> list[Variant]:
        """Every arm at every combination of levels. The arms of one combination are consecutive."""
        variants: list[Variant] = []
        for combination in itertools.product(*(levels.items() for levels in self.factors.values())):
            levels = dict(zip(self.factors, (level for level, _ in combination), strict=True))
            shared = [override for _, overrides in combination for override in overrides]
            variants += [Variant(arm, levels, [*overrides, *shared]) for arm, overrides in self.arms.items()]
        return variants

    def check_overrides(self, overrides: Sequence[str]) -> None:
        """Raise UserError if an override on the command line sets a setting that varies between cells.

        >>> Design("demo", {"a": ["model/upsampler=nearest"]}, "a", [0]).check_overrides(["seed=3"])
        Traceback (most recent call last):
        upnet.utils.errors.UserError: seed=3: applies to all cells; study.seeds varies it. Change study.seeds instead
        """
        set_by = {
            _path(override): f"study.arms.{arm}"
            for arm, arm_overrides in self.arms.items()
            for override in arm_overrides
        }
        for factor, levels in self.factors.items():
            level_overrides = [override for level in levels.values() for override in level]
            set_by |= {_path(override): f"study.factors.{factor}" for override in level_overrides}
        set_by["seed"] = "study.seeds"
        for override in overrides:
            path = _path(override)
            if path in set_by:
                raise UserError(
                    f"applies to all cells; {set_by[path]} varies it",
                    setting=path,
                    value=override.partition("=")[2],
                    cure=f"Change {set_by[path]} instead",
                )


def _path(override: str) -> str:
    """The setting that an override sets: `model.skip` of `+model.skip=true`."""
    return override.lstrip("+~").partition("=")[0]
