"""Every fault of a config is told in a sentence before anything is built."""

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

import pytest
from annotated_types import Ge, Gt, Le
from omegaconf import OmegaConf

from upnet.config import Component, ConfigError, check

if TYPE_CHECKING:
    from somewhere import Unreachable  # pyright: ignore[reportMissingImports]


class Encoder:
    def __init__(self, width: int, levels: Annotated[int, Ge(0)] = 2, stem: "Unreachable | None" = None) -> None: ...


class Model:
    def __init__(
        self,
        encoder: Encoder,
        scale: Annotated[int, Ge(1)],
        upsampler: Callable[..., Any] | Sequence[Callable[..., Any]] | None = None,
        kind: Literal["plain", "strided"] = "plain",
        drop: Annotated[float, Ge(0), Le(1)] = 0.0,
        size: int = None,  # noqa: RUF013  # pyright: ignore[reportArgumentType]  # as careless libraries declare it
    ) -> None: ...


class Open:
    def __init__(self, name: str = "runs", **rest: Any) -> None: ...


@dataclass
class Averaging:
    decay: Annotated[float, Gt(0), Le(1)]
    warm_up: bool = True


@dataclass
class Settings:
    model: Component
    steps: Annotated[int, Ge(1)]
    scale: Annotated[int, Ge(1)] = 2
    precision: Literal["auto", "bf16", "32"] = "auto"
    average: Averaging | None = None
    callbacks: dict[str, Component | None] | None = None
    trainer: Component | None = None
    optimizer: Component | None = None
    logger: Component | None = None


def config(**changes: Any) -> dict[str, Any]:
    model = {"_target_": f"{__name__}.Model", "scale": "${scale}", "encoder": encoder()}
    return {"model": model, "steps": 10, "scale": 2, **changes}


def model(**changes: Any) -> dict[str, Any]:
    return config(model={"_target_": f"{__name__}.Model", "scale": "${scale}", "encoder": encoder(), **changes})


def encoder(**changes: Any) -> dict[str, Any]:
    return {"_target_": f"{__name__}.Encoder", "width": 8, **changes}


def faults(settings: dict[str, Any]) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        check(OmegaConf.create(settings), Settings)
    return str(caught.value).splitlines()


ADAMW = {"_target_": "torch.optim.AdamW", "_partial_": True}
TRAINER = {"_target_": "pytorch_lightning.Trainer"}
CHECKPOINT = {"_target_": "pytorch_lightning.callbacks.ModelCheckpoint", "monitor": "psnr", "mode": "max"}

RIGHT = {
    "the smallest": config(),
    "a list of factories": model(upsampler=[ADAMW, ADAMW]),
    "null where null is a default": model(size=None),
    "an integer for a number": model(drop=1),
    "a hint that only a type checker sees": model(encoder=encoder(stem=3)),
    "a group of settings": config(average={"decay": 0.999}),
    "null for an optional group": config(average=None),
    "components by name": config(callbacks={"best": CHECKPOINT, "other": None}),
    "a list as a tuple": config(optimizer={**ADAMW, "lr": 1e-3, "betas": [0.9, 0.99]}),
    "Lightning": config(trainer={**TRAINER, "max_steps": 100, "precision": "bf16-mixed", "callbacks": [CHECKPOINT]}),
    "further names where they are taken": config(logger={"_target_": f"{__name__}.Open", "flush_secs": 3}),
}

WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "unknown at the root": (config(stpes=3), "stpes=3: unknown setting. Did you mean steps?"),
    "unknown in a group": (
        config(average={"decay": 0.9, "warmup": True}),
        "average.warmup=true: unknown setting. Did you mean average.warm_up?",
    ),
    "unknown, of another level": (config(width=8), "width=8: unknown setting. Did you mean model.encoder.width?"),
    "unknown, of another level and misspelt": (
        config(widht=8),
        "widht=8: unknown setting. Did you mean model.encoder.width?",
    ),
    "unknown, of the level above": (
        model(encoder=encoder(precision="32")),
        f"model.encoder.precision=32: unknown setting of {__name__}.Encoder. Did you mean precision?",
    ),
    "unknown in a nested component": (
        model(encoder=encoder(levls=3)),
        f"model.encoder.levls=3: unknown setting of {__name__}.Encoder. Did you mean model.encoder.levels?",
    ),
    "unknown and like nothing": (
        model(encoder=encoder(zzz=3)),
        f"model.encoder.zzz=3: unknown setting of {__name__}.Encoder. Allowed: width, levels, stem",
    ),
    "unknown below torch": (
        config(optimizer={**ADAMW, "wieght_decay": 0}),
        "optimizer.wieght_decay=0: unknown setting of torch.optim.AdamW. Did you mean optimizer.weight_decay?",
    ),
    "unknown below Lightning": (
        config(trainer={**TRAINER, "max_stepz": 3}),
        "trainer.max_stepz=3: unknown setting of pytorch_lightning.Trainer. Did you mean trainer.max_steps?",
    ),
    "unknown in a list": (
        config(trainer={**TRAINER, "callbacks": [{**CHECKPOINT, "monitr": "psnr"}]}),
        "trainer.callbacks[0].monitr=psnr: unknown setting of pytorch_lightning.callbacks.ModelCheckpoint. "
        "Did you mean trainer.callbacks[0].monitor?",
    ),
    "a slip among further names": (
        config(logger={"_target_": "pytorch_lightning.loggers.TensorBoardLogger", "save_dir": "runs", "nmae": "x"}),
        "logger.nmae=x: unknown setting of pytorch_lightning.loggers.TensorBoardLogger. Did you mean logger.name?",
    ),
    "text for an integer": (
        model(encoder=encoder(width="thirty")),
        "model.encoder.width=thirty: must be a valid integer",
    ),
    "true for an integer": (config(steps=True), "steps=true: must be a valid integer"),
    "a number for an integer": (config(steps=3.0), "steps=3.0: must be a valid integer"),
    "null for an integer": (config(steps=None), "steps=null: must be a valid integer"),
    "out of range at the root": (config(steps=0), "steps=0: must be greater than or equal to 1"),
    "out of range in a component": (model(drop=1.5), "model.drop=1.5: must be less than or equal to 1"),
    "out of range in a group": (
        config(average={"decay": 0.0}),
        "average.decay=0.0: must be greater than 0",
    ),
    "a wrong choice at the root": (
        config(precision="fp8"),
        "precision=fp8: must be 'auto', 'bf16' or '32'",
    ),
    "a wrong choice in a component": (
        model(kind="odd"),
        "model.kind=odd: must be 'plain' or 'strided'",
    ),
    "the number of a choice that is text": (
        config(precision=32),
        "precision=32: must be 'auto', 'bf16' or '32'",
    ),
    "a wrong type below torch": (
        config(optimizer={**ADAMW, "weight_decay": "none"}),
        "optimizer.weight_decay=none: must be a valid number",
    ),
    "a wrong item below torch": (
        config(optimizer={**ADAMW, "betas": [0.9, True]}),
        "optimizer.betas[1]=true: must be a valid number or a component (with _target_)",
    ),
    "a wrong type below Lightning": (
        config(trainer={**TRAINER, "max_steps": "many"}),
        "trainer.max_steps=many: must be a valid integer",
    ),
    "a wrong choice below Lightning": (
        config(trainer={**TRAINER, "deterministic": "wran"}),
        "trainer.deterministic=wran: must be a valid boolean, 'warn' or null",
    ),
    "a plain value for a component": (
        config(model="unet"),
        "model=unet: must be a component (with _target_)",
    ),
    "null for a component": (
        config(model=None),
        "model=null: must be a component (with _target_)",
    ),
    "a plain value among components": (
        config(callbacks={"best": 3}),
        "callbacks.best=3: must be a component (with _target_)",
    ),
    "a plain value for a factory": (
        model(upsampler="nearest"),
        "model.upsampler=nearest: must be a component (with _target_), a valid list or null. "
        "Write model/upsampler=nearest",
    ),
    "a plain value for a group": (config(average=0.9), "average=0.9: must be a mapping"),
    "missing in a component": (
        model(encoder={"_target_": f"{__name__}.Encoder"}),
        f"model.encoder.width: required by {__name__}.Encoder. Set model.encoder.width=…",
    ),
    "missing in a group": (config(average={}), "average.decay: required. Set average.decay=…"),
    "mandatory and not given": (config(steps="???"), "steps: required. Set steps=…"),
    "mandatory in a component, and interpolated": (config(scale="???"), "scale: required. Set scale=…"),
    "mandatory in a list": (model(upsampler=["???"]), "model.upsampler[0]: required. Set model.upsampler[0]=…"),
    "an interpolation that leads nowhere": (config(steps="${stepz}"), "steps: Interpolation key 'stepz' not found"),
    "a class that is misspelt": (
        config(optimizer={"_target_": "torch.optim.AdmaW"}),
        "optimizer._target_=torch.optim.AdmaW: torch.optim has no AdmaW. Did you mean AdamW?",
    ),
    "a module that is misspelt": (
        config(optimizer={"_target_": "torch.optm.AdamW"}),
        "optimizer._target_=torch.optm.AdamW: torch has no optm. Did you mean optim?",
    ),
    "a package that is misspelt": (
        config(optimizer={"_target_": "torhc.optim.AdamW"}),
        "optimizer._target_=torhc.optim.AdamW: there is no module torhc. Did you mean torch?",
    ),
    "a target that is no name": (
        config(optimizer={"_target_": "AdamW"}),
        "optimizer._target_=AdamW: must be the dotted name of a class, such as upnet.upsample.Transposed",
    ),
    "a target that is no text": (
        config(optimizer={"_target_": 3}),
        "optimizer._target_=3: must be the dotted name of a class",
    ),
    "a target that is a module": (
        config(optimizer={"_target_": "torch.optim"}),
        "optimizer._target_=torch.optim: is a module; a component is a class or a function",
    ),
    "a target that is abstract": (
        config(optimizer={"_target_": "upnet.upsample.Upsampler"}),
        "optimizer._target_=upnet.upsample.Upsampler: is an abstract class. Choose one of its subclasses",
    ),
    "_partial_ that is no truth": (
        config(optimizer={**ADAMW, "_partial_": "yes"}),
        "optimizer._partial_=yes: must be true or false",
    ),
    "_partial_ of nothing": (
        config(callbacks={"best": {"_target_": f"{__name__}.Open", "name": {"_partial_": True}}}),
        "callbacks.best.name._partial_: belongs beside _target_, which is missing here",
    ),
    "_args_": (
        config(optimizer={**ADAMW, "_args_": [3]}),
        "optimizer._args_: not supported. Give every argument by its name",
    ),
}


@pytest.mark.parametrize("settings", RIGHT.values(), ids=RIGHT.keys())
def test_what_the_signatures_admit_passes(settings: dict[str, Any]) -> None:
    check(OmegaConf.create(settings), Settings)
    check(settings, Settings)


@pytest.mark.parametrize(("settings", "sentence"), WRONG.values(), ids=WRONG.keys())
def test_a_fault_is_told_in_one_sentence_with_its_path(settings: dict[str, Any], sentence: str) -> None:
    assert sentence in faults(settings)


def test_a_single_fault_is_told_once_and_alone() -> None:
    for name in ("unknown in a list", "a wrong choice in a component", "mandatory and not given", "missing in a group"):
        settings, sentence = WRONG[name]
        assert faults(settings) == [sentence]


def test_several_faults_are_told_together() -> None:
    told = faults({**model(kind="odd", drop=2), "stpes": 1, "steps": "???"})
    assert len(told) == 4
    assert {re.split("[=:]", line)[0] for line in told} == {"model.kind", "model.drop", "stpes", "steps"}


def test_a_required_root_setting_that_is_absent_is_missed() -> None:
    settings = config()
    del settings["steps"]
    assert faults(settings) == ["steps: required. Set steps=…"]


def test_a_factory_may_lack_what_the_code_will_give() -> None:
    check(config(optimizer=ADAMW), Settings)
    assert faults(config(optimizer={"_target_": "torch.optim.AdamW"})) == [
        "optimizer.params: required by torch.optim.AdamW. Set optimizer.params=…"
    ]


def test_interpolations_that_contain_themselves_are_faults_and_no_crash() -> None:
    assert any(line.startswith("callbacks.best: ") for line in faults(config(callbacks={"best": "${callbacks}"})))
    callbacks = {"one": {"a": "${callbacks.other}", "b": "${callbacks.other}"}, "other": {"c": "${callbacks.one}"}}
    assert "callbacks.one.a.c: the interpolation contains itself" in faults(config(callbacks=callbacks))


def test_nothing_is_built_by_the_check(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(self: Model, scale: int, encoder: Encoder) -> None:
        raise AssertionError("built")

    monkeypatch.setattr(Model, "__init__", forbidden)
    check(config(), Settings)


def test_the_check_of_a_large_config_takes_a_fraction_of_a_second() -> None:
    large = config(trainer={**TRAINER, "max_steps": 3, "precision": "32"}, optimizer=ADAMW)
    large["callbacks"] = {f"callback_{i}": CHECKPOINT for i in range(20)}
    check(large, Settings)  # the imports
    start = time.process_time()
    check(large, Settings)
    assert time.process_time() - start < 0.5


def test_a_fault_that_is_interpolated_elsewhere_is_told_once() -> None:
    assert faults(config(scale=0)) == ["scale=0: must be greater than or equal to 1"]


@pytest.mark.parametrize("value", [float("inf"), float("-inf"), float("nan")])
def test_what_is_no_finite_number_is_refused_wherever_it_stands(value: float) -> None:
    told = faults(config(average={"decay": value}, optimizer={**ADAMW, "betas": [0.9, value]}))
    assert told == [
        f"average.decay={value}: must be a finite number",
        f"optimizer.betas[1]={value}: must be a finite number",
    ]
