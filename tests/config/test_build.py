"""build(): components, factories, and the paths in their errors."""

import copy
import pickle
from typing import Any

import pytest
from omegaconf import OmegaConf

from upnet.config import ConfigError, Factory, build
from upnet.utils.errors import UserError


class Part:
    def __init__(self, size: int, options: Any = None) -> None:
        if isinstance(size, str):
            raise UserError("must be a number", setting="size", value=size, allowed="0 or more")
        if size < 0:
            raise ValueError(f"Part: size starts at 0; got {size}")
        self.size, self.options = size, options


class Assembly:
    def __init__(self, part: Part, make: Any = None, sizes: Any = ()) -> None:
        self.part, self.parts = part, [make(size=size) for size in sizes]


def broken(kind: str) -> None:
    raise {"type": TypeError("no such thing"), "key": KeyError("lost"), "assert": AssertionError("never")}[kind]


PART, ASSEMBLY, BROKEN = (f"{__name__}.{name}" for name in ("Part", "Assembly", "broken"))


def test_nested_components_are_built_with_plain_values() -> None:
    config = OmegaConf.create(
        {
            "n": 3,
            "assembly": {
                "_target_": ASSEMBLY,
                "part": {"_target_": PART, "size": "${n}", "options": {"a": [1, "${n}"]}},
            },
        }
    )
    assembly = build(config.assembly)
    assert type(assembly) is Assembly
    assert type(assembly.part) is Part
    assert assembly.part.size == 3
    assert type(assembly.part.options) is dict
    assert type(assembly.part.options["a"]) is list
    assert assembly.part.options == {"a": [1, 3]}


def test_lists_and_mappings_of_components_are_built() -> None:
    part = {"_target_": PART, "size": 1}
    one, (two, none) = build({"one": part, "more": [part, None]}).values()
    assert (one.size, two.size, none) == (1, 1, None)
    assert build(None) is None
    assert build(3) == 3


def test_a_factory_builds_a_new_object_at_every_call() -> None:
    make = build({"_target_": PART, "_partial_": True, "options": "o"})
    assert isinstance(make, Factory)
    assert make.func is Part
    assert make(size=1) is not make(size=1)
    assert (make(size=2).size, make(size=2).options) == (2, "o")


@pytest.mark.parametrize("copy_", [copy.deepcopy, lambda make: pickle.loads(pickle.dumps(make))])
def test_a_copied_factory_keeps_its_path(copy_: Any) -> None:
    make = copy_(build({"_target_": PART, "_partial_": True}, "model.part"))
    with pytest.raises(ConfigError, match=r"^model\.part: Part: size starts at 0; got -1$"):
        make(size=-1)


def test_an_error_has_the_path_of_the_innermost_component() -> None:
    config = OmegaConf.create({"model": {"_target_": ASSEMBLY, "part": {"_target_": PART, "size": -1}}})
    with pytest.raises(ConfigError, match=r"^model\.part: Part: size starts at 0; got -1$") as caught:
        build(config.model)
    assert type(caught.value.__cause__) is ValueError
    with pytest.raises(ConfigError, match=r"^a\.b\[0\]\.part: Part"):
        build([OmegaConf.to_container(config.model)], "a.b")


def test_an_error_of_a_factory_has_the_path_of_the_factory() -> None:
    make, part = {"_target_": PART, "_partial_": True}, {"_target_": PART, "size": 0}
    with pytest.raises(ConfigError, match=r"^make: Part: size starts at 0; got -2$"):
        build({"_target_": ASSEMBLY, "part": part, "make": make, "sizes": [1, -2]})


def test_an_error_of_an_operator_has_the_path_of_its_factory() -> None:
    config = OmegaConf.create(
        {"model": {"upsampler": {"_target_": "upnet.upsample.Transposed", "_partial_": True, "kernel_size": 1}}}
    )
    with pytest.raises(ConfigError, match=r"^model\.upsampler.*kernel_size"):
        build(config.model.upsampler)(channels=4, scale=2)


@pytest.mark.parametrize(("kind", "error"), [("type", TypeError), ("key", KeyError), ("assert", AssertionError)])
def test_errors_other_than_value_errors_are_unchanged(kind: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        build({"_target_": BROKEN, "kind": kind}, "here")


def test_a_missing_target_is_rejected_with_its_path() -> None:
    with pytest.raises(ConfigError) as caught:
        build({"_target_": "upnet.upsample.Transpsoed"}, "model")
    error = caught.value
    assert (error.setting, error.value) == ("model._target_", "upnet.upsample.Transpsoed")
    assert (error.problem, error.cure) == ("upnet.upsample has no Transpsoed", "Did you mean Transposed?")


def test_a_missing_value_is_rejected() -> None:
    with pytest.raises(ConfigError, match=r"^part: .*size"):
        build(OmegaConf.create({"part": {"_target_": PART, "size": "???"}}).part)


def test_a_user_error_of_a_constructor_gets_the_path_of_the_argument() -> None:
    with pytest.raises(ConfigError) as caught:
        build([{"_target_": PART, "size": 1}, {"_target_": PART, "size": "large"}], "parts")
    (error,) = caught.value.errors
    assert (error.setting, error.value, error.allowed) == ("parts[1].size", "large", "0 or more")
    assert str(caught.value) == "parts[1].size=large: must be a number. Allowed: 0 or more"


def test_a_config_error_survives_pickling() -> None:
    error = ConfigError([UserError("unknown", setting="a"), UserError("too small", setting="b", value=0)])
    assert str(pickle.loads(pickle.dumps(error))) == "a: unknown\nb=0: too small"
