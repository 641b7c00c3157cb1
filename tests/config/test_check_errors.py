"""check() of a config reports every invalid setting with its name, value, problem and cure."""

from typing import Any

import pytest
from example_config import ADAMW, CHECKPOINT, TRAINER, Encoder, config, encoder, errors, fields, model

from upnet.utils.errors import UserError

MODULE = Encoder.__module__
INVALID: dict[str, tuple[dict[str, Any], UserError]] = {
    "unknown at the root": (
        config(stpes=3),
        UserError("unknown setting", setting="stpes", value=3, cure="Did you mean steps?"),
    ),
    "unknown in a group": (
        config(average={"decay": 0.9, "warmup": True}),
        UserError("unknown setting", setting="average.warmup", value=True, cure="Did you mean average.warm_up?"),
    ),
    "unknown, of another level": (
        config(width=8),
        UserError("unknown setting", setting="width", value=8, cure="Did you mean model.encoder.width?"),
    ),
    "unknown, of another level and misspelt": (
        config(widht=8),
        UserError("unknown setting", setting="widht", value=8, cure="Did you mean model.encoder.width?"),
    ),
    "unknown, of the level above": (
        model(encoder=encoder(precision="32")),
        UserError(
            f"unknown setting of {MODULE}.Encoder",
            setting="model.encoder.precision",
            value="32",
            cure="Did you mean precision?",
        ),
    ),
    "unknown in a nested component": (
        model(encoder=encoder(levls=3)),
        UserError(
            f"unknown setting of {MODULE}.Encoder",
            setting="model.encoder.levls",
            value=3,
            cure="Did you mean model.encoder.levels?",
        ),
    ),
    "unknown without similar name": (
        model(encoder=encoder(zzz=3)),
        UserError(
            f"unknown setting of {MODULE}.Encoder", setting="model.encoder.zzz", value=3, allowed="width, levels, stem"
        ),
    ),
    "unknown below torch": (
        config(optimizer={**ADAMW, "wieght_decay": 0}),
        UserError(
            "unknown setting of torch.optim.AdamW",
            setting="optimizer.wieght_decay",
            value=0,
            cure="Did you mean optimizer.weight_decay?",
        ),
    ),
    "unknown below Lightning": (
        config(trainer={**TRAINER, "max_stepz": 3}),
        UserError(
            "unknown setting of pytorch_lightning.Trainer",
            setting="trainer.max_stepz",
            value=3,
            cure="Did you mean trainer.max_steps?",
        ),
    ),
    "unknown in a list": (
        config(trainer={**TRAINER, "callbacks": [{**CHECKPOINT, "monitr": "psnr"}]}),
        UserError(
            "unknown setting of pytorch_lightning.callbacks.ModelCheckpoint",
            setting="trainer.callbacks[0].monitr",
            value="psnr",
            cure="Did you mean trainer.callbacks[0].monitor?",
        ),
    ),
    "misspelt among arbitrary keywords": (
        config(logger={"_target_": "pytorch_lightning.loggers.TensorBoardLogger", "save_dir": "runs", "nmae": "x"}),
        UserError(
            "unknown setting of pytorch_lightning.loggers.TensorBoardLogger",
            setting="logger.nmae",
            value="x",
            cure="Did you mean logger.name?",
        ),
    ),
    "text for an integer": (
        model(encoder=encoder(width="thirty")),
        UserError("must be a valid integer", setting="model.encoder.width", value="thirty"),
    ),
    "true for an integer": (
        config(steps=True),
        UserError("must be a valid integer", setting="steps", value=True),
    ),
    "a number for an integer": (
        config(steps=3.0),
        UserError("must be a valid integer", setting="steps", value=3.0),
    ),
    "null for an integer": (
        config(steps=None),
        UserError("must be a valid integer", setting="steps", value=None),
    ),
    "out of range at the root": (
        config(steps=0),
        UserError("must be greater than or equal to 1", setting="steps", value=0),
    ),
    "out of range in a component": (
        model(drop=1.5),
        UserError("must be less than or equal to 1", setting="model.drop", value=1.5),
    ),
    "out of range in a group": (
        config(average={"decay": 0.0}),
        UserError("must be greater than 0", setting="average.decay", value=0.0),
    ),
    "wrong choice at the root": (
        config(precision="fp8"),
        UserError("must be 'auto', 'bf16' or '32'", setting="precision", value="fp8"),
    ),
    "a wrong choice in a component": (
        model(kind="odd"),
        UserError("must be 'plain' or 'strided'", setting="model.kind", value="odd"),
    ),
    "the number of a choice that is text": (
        config(precision=32),
        UserError("must be 'auto', 'bf16' or '32'", setting="precision", value=32),
    ),
    "a wrong type below torch": (
        config(optimizer={**ADAMW, "weight_decay": "none"}),
        UserError("must be a valid number", setting="optimizer.weight_decay", value="none"),
    ),
    "a wrong item below torch": (
        config(optimizer={**ADAMW, "betas": [0.9, True]}),
        UserError("must be a valid number or a component (with _target_)", setting="optimizer.betas[1]", value=True),
    ),
    "a wrong type below Lightning": (
        config(trainer={**TRAINER, "max_steps": "many"}),
        UserError("must be a valid integer", setting="trainer.max_steps", value="many"),
    ),
    "a wrong choice below Lightning": (
        config(trainer={**TRAINER, "deterministic": "wran"}),
        UserError("must be a valid boolean, 'warn' or null", setting="trainer.deterministic", value="wran"),
    ),
    "a plain value for a component": (
        config(model="unet"),
        UserError("must be a component (with _target_)", setting="model", value="unet"),
    ),
    "null for a component": (
        config(model=None),
        UserError("must be a component (with _target_)", setting="model", value=None),
    ),
    "a plain value among components": (
        config(callbacks={"best": 3}),
        UserError("must be a component (with _target_)", setting="callbacks.best", value=3),
    ),
    "a plain value for a factory": (
        model(upsampler="nearest"),
        UserError(
            "must be a component (with _target_), a valid list or null",
            setting="model.upsampler",
            value="nearest",
            cure="Write model/upsampler=nearest",
        ),
    ),
    "a plain value for a group": (
        config(average=0.9),
        UserError("must be a mapping", setting="average", value=0.9),
    ),
    "missing in a component": (
        model(encoder={"_target_": f"{MODULE}.Encoder"}),
        UserError(f"required by {MODULE}.Encoder", setting="model.encoder.width", cure="Set model.encoder.width=…"),
    ),
    "missing in a group": (
        config(average={}),
        UserError("required", setting="average.decay", cure="Set average.decay=…"),
    ),
    "mandatory and not given": (
        config(steps="???"),
        UserError("required", setting="steps", cure="Set steps=…"),
    ),
    "mandatory in a component, and interpolated": (
        config(scale="???"),
        UserError("required", setting="scale", cure="Set scale=…"),
    ),
    "mandatory in a list": (
        model(upsampler=["???"]),
        UserError("required", setting="model.upsampler[0]", cure="Set model.upsampler[0]=…"),
    ),
    "interpolation of a missing key": (
        config(steps="${stepz}"),
        UserError("Interpolation key 'stepz' not found", setting="steps"),
    ),
    "misspelt class": (
        config(optimizer={"_target_": "torch.optim.AdmaW"}),
        UserError(
            "torch.optim has no AdmaW",
            setting="optimizer._target_",
            value="torch.optim.AdmaW",
            cure="Did you mean AdamW?",
        ),
    ),
    "misspelt module": (
        config(optimizer={"_target_": "torch.optm.AdamW"}),
        UserError(
            "torch has no optm", setting="optimizer._target_", value="torch.optm.AdamW", cure="Did you mean optim?"
        ),
    ),
    "misspelt package": (
        config(optimizer={"_target_": "torhc.optim.AdamW"}),
        UserError(
            "there is no module torhc",
            setting="optimizer._target_",
            value="torhc.optim.AdamW",
            cure="Did you mean torch?",
        ),
    ),
    "target without dots": (
        config(optimizer={"_target_": "AdamW"}),
        UserError(
            "must be the dotted name of a class, such as upnet.upsample.Transposed",
            setting="optimizer._target_",
            value="AdamW",
        ),
    ),
    "target of another type": (
        config(optimizer={"_target_": 3}),
        UserError("must be the dotted name of a class", setting="optimizer._target_", value=3),
    ),
    "target is a module": (
        config(optimizer={"_target_": "torch.optim"}),
        UserError(
            "is a module; a component is a class or a function", setting="optimizer._target_", value="torch.optim"
        ),
    ),
    "target is abstract": (
        config(optimizer={"_target_": "upnet.upsample.Upsampler"}),
        UserError(
            "is an abstract class",
            setting="optimizer._target_",
            value="upnet.upsample.Upsampler",
            cure="Choose one of its subclasses",
        ),
    ),
    "_partial_ of another type": (
        config(optimizer={**ADAMW, "_partial_": "yes"}),
        UserError("must be true or false", setting="optimizer._partial_", value="yes"),
    ),
    "_partial_ without _target_": (
        config(callbacks={"best": {"_target_": f"{MODULE}.Open", "name": {"_partial_": True}}}),
        UserError("needs a _target_ in the same mapping", setting="callbacks.best.name._partial_"),
    ),
    "_args_": (
        config(optimizer={**ADAMW, "_args_": [3]}),
        UserError("not supported", setting="optimizer._args_", cure="Give every argument by its name"),
    ),
}


@pytest.mark.parametrize(("settings", "expected"), INVALID.values(), ids=INVALID.keys())
def test_an_invalid_setting_is_reported(settings: dict[str, Any], expected: UserError) -> None:
    assert fields(expected) in map(fields, errors(settings))


def test_a_single_invalid_setting_is_reported_once_and_alone() -> None:
    names = ("unknown in a list", "a wrong choice in a component", "mandatory and not given", "missing in a group")
    for settings, expected in map(INVALID.__getitem__, names):
        assert [fields(error) for error in errors(settings)] == [fields(expected)]


def test_all_invalid_settings_are_reported_together() -> None:
    found = errors({**model(kind="odd", drop=2), "stpes": 1, "steps": "???"})
    assert sorted(error.setting for error in found) == ["model.drop", "model.kind", "steps", "stpes"]


def test_an_absent_required_setting_is_reported() -> None:
    settings = config()
    del settings["steps"]
    (error,) = errors(settings)
    assert (error.setting, error.problem, error.cure) == ("steps", "required", "Set steps=…")


def test_an_invalid_setting_that_others_interpolate_is_reported_once() -> None:
    assert [(error.setting, error.value) for error in errors(config(scale=0))] == [("scale", 0)]


def test_recursive_interpolations_are_reported() -> None:
    assert "callbacks.best" in {error.setting for error in errors(config(callbacks={"best": "${callbacks}"}))}
    callbacks = {"one": {"a": "${callbacks.other}", "b": "${callbacks.other}"}, "other": {"c": "${callbacks.one}"}}
    problems = {error.setting: error.problem for error in errors(config(callbacks=callbacks))}
    assert problems["callbacks.one.a.c"] == "the interpolation contains itself"


@pytest.mark.parametrize("value", [float("inf"), float("-inf"), float("nan")])
def test_infinite_and_undefined_numbers_are_rejected_everywhere(value: float) -> None:
    found = errors(config(average={"decay": value}, optimizer={**ADAMW, "betas": [0.9, value]}))
    assert [error.setting for error in found] == ["average.decay", "optimizer.betas[1]"]
    assert {error.problem for error in found} == {"must be a finite number"}
