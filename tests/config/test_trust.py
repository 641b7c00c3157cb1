"""The config of a checkpoint may only build components of upnet and of modules that the user trusts."""

import sys
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from upnet.config import ConfigError, check_targets

HUGE = pytest.param(10**5000, id="huge")  # more digits than Python prints
OURS = {"_target_": "upnet.upsample.Transposed", "_partial_": True, "kernel_size": 4}


def config_error(config: Any, trust: Any = ()) -> ConfigError:
    """The error of a rejected config."""
    with pytest.raises(ConfigError) as caught:
        check_targets(config, trust)
    return caught.value


def nested(node: object, depth: int) -> dict[str, Any]:
    """A config of upnet's components with a node `depth` levels inside, alternately in mappings and lists."""
    for level in range(depth):
        node = [node] if level % 2 else {**OURS, "inside": node}
    return {"model": node}


@pytest.fixture
def foreign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Two packages outside upnet, `mine` and `mine_evil`."""
    operator = "import os\nfrom os import system\nfrom torch import nn\n\n\nclass Operator(nn.Module): ...\n\n\n"
    operator += "def make(channels): ...\n\n\nready = Operator()\n"
    for package in ("mine", "mine_evil"):
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").write_text("")
        (tmp_path / package / "operator.py").write_text(operator)
        (tmp_path / package / "reexport.py").write_text(f"from {package}.operator import Operator\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield
    for name in [name for name in sys.modules if name.partition(".")[0] in ("mine", "mine_evil")]:
        del sys.modules[name]


def test_components_of_upnet_are_accepted_at_every_depth() -> None:
    check_targets({})
    for depth in range(10):
        check_targets(nested({**OURS, "list": [1, 2.5, None, True, "text", {"a": []}]}, depth))


@pytest.mark.rotating(per="target")
@pytest.mark.parametrize("depth", range(10))
@pytest.mark.parametrize(
    "target",
    ["os.system", "posix.system", "subprocess.Popen", "builtins.eval", "builtins.__import__", "functools.partial",
     "hydra.utils.instantiate", "upnet.config.build", "upnet.upsampled.Evil", "upnet.data.Folder", "torch.nn.Linear",
     "torch.load", "torch.hub.load", "upnet.upsample", "upnet", "upnet.training.task.Task", "upnet.losses.Charbonnier"],
)  # fmt: skip
def test_other_code_is_rejected_at_every_depth(target: str, depth: int) -> None:
    (error,) = config_error(nested({"_target_": target, "command": "true"}, depth)).errors
    assert error.setting.endswith("_target_")
    assert target in str(error)


def test_the_error_names_the_setting_and_the_cure() -> None:
    error = config_error({"model": {**OURS, "upsampler": {"_target_": "my.module.Operator"}}})
    assert (error.setting, error.value) == ("model.upsampler._target_", "my.module.Operator")
    assert error.problem == "not part of upnet; a checkpoint may only build upnet's own components"
    assert error.cure == "If you trust that code, add trust=my.module"


@pytest.mark.parametrize(
    "target",
    ["upnet.models.os.system", "upnet.upsample.base.nn.Linear", "upnet.upsample.base.nn", "upnet.upsample.base.Tensor",
     "upnet.upsample.base.math.floor", "upnet.upsample.base.dataclass", "upnet.upsample.base.Upsampler",
     "upnet.upsample.Transposed.forward", "upnet.upsample.Transposed.__init__", "upnet.upsample.__builtins__.eval",
     "upnet.upsample._private.Thing", "upnet.upsample.base", "upnet.upsample.support", "upnet.upsample.Nothing",
     "upnet.upsample.__main__.main", "upnet.encoders.nothing.Here", "upnet.upsample.Upsampler"],
)  # fmt: skip
def test_names_that_packages_of_upnet_import_are_rejected(target: str) -> None:
    (error,) = config_error({"model": {"_target_": target}}).errors
    assert (error.setting, error.value) == ("model._target_", target)


@pytest.mark.parametrize(
    "target",
    ["", "eval", ".os.system", "os..system", "os.system()", "upnet.upsample.Transposed\n", " os.system", "ｏs.system",
     "upnet/upsample/Transposed", "a." * 1000 + "b", 3, None, ["os.system"], {"_target_": "os.system"}, b"os.system"],
    ids=lambda target: repr(target)[:30],
)  # fmt: skip
def test_a_target_must_be_a_dotted_name(target: object) -> None:
    (error,) = config_error({"model": {"_target_": target}}).errors
    assert error.setting == "model._target_"
    assert "must be the dotted name of a class" in error.problem
    assert len(str(error)) < 200


@pytest.mark.parametrize("key", ["_args_", "_recursive_", "_convert_", "_target", "__class__", "_x"])
def test_underscored_keys_other_than_target_and_partial_are_rejected(key: str) -> None:
    error = config_error({"model": {**OURS, key: ["true"]}})
    assert error.setting == f"model.{key}"
    assert error.problem.startswith("not allowed")


@pytest.mark.parametrize("partial", [1, 0, "true", None, [], {"_target_": "os.system"}])
def test_partial_must_be_true_or_false(partial: object) -> None:
    error = config_error({"model": {**OURS, "_partial_": partial}})
    assert error.setting == "model._partial_"
    assert error.problem.startswith("must be true or false")


def test_partial_without_a_target_is_rejected() -> None:
    assert "in a mapping with _target_" in config_error({"model": {"_partial_": True}}).problem


@pytest.mark.parametrize("text", ["${oc.env:HOME}", "a${b}", "${", "x ${hydra:runtime.cwd}"])
@pytest.mark.parametrize("depth", [0, 3, 8])
def test_interpolations_are_rejected(text: str, depth: int) -> None:
    assert "interpolations are not allowed" in config_error(nested({**OURS, "name": text}, depth)).problem


class Text(str): ...


@pytest.mark.parametrize(
    "value",
    [
        OrderedDict(a=1),
        (1, 2),
        {1, 2},
        b"bytes",
        1j,
        torch.zeros(3),
        torch.float32,
        object(),
        Text("a"),
        len,
        Path("a"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_values_that_are_not_plain_are_rejected(value: object) -> None:
    error = config_error({"model": {**OURS, "value": value}})
    assert error.setting == "model.value"
    assert "only plain values are allowed" in error.problem


@pytest.mark.parametrize("key", [1, None, "a b", "a-b", "", "a.b", "a\nb", "ａ", "a" * 101, (1,), True, HUGE])
def test_keys_must_be_names(key: object) -> None:
    (error,) = config_error({"model": {**OURS, key: 1}}).errors
    assert "is not the name of a setting" in error.problem
    assert "\n" not in str(error)


@pytest.mark.parametrize("number", [10**6 + 1, -(10**6) - 1, 1e300, float("inf"), float("nan"), HUGE])
def test_numbers_beyond_a_million_are_rejected(number: float) -> None:
    error = config_error({"model": {**OURS, "width": number}})
    assert (error.setting, error.problem) == ("model.width", "must be a number between -1000000 and 1000000")
    check_targets({"model": {**OURS, "width": 10**6}})


def test_deep_and_recursive_configs_are_rejected() -> None:
    node: Any = {}
    for _ in range(100_000):
        node = {"a": node}
    assert "more than 20 levels" in config_error(node).problem
    recursive: list[Any] = []
    recursive.append(recursive)
    assert "more than 20 levels" in config_error({"a": recursive}).problem


def test_large_configs_are_rejected_also_if_they_repeat_an_object() -> None:
    assert "more than 10000 values" in config_error({"a": [0] * 20_000}).problem
    bomb: Any = 0
    for _ in range(15):
        bomb = [bomb] * 10
    assert "more than 10000 values" in config_error({"a": bomb}).problem
    assert "at most 1000 characters" in config_error({"a": "a" * 1001}).problem


def test_at_most_31_lines_of_errors_are_printed() -> None:
    error = config_error({"a": [{"_target_": "os.system"} for _ in range(1000)]})
    assert len(str(error).splitlines()) == 31
    assert str(error).endswith("… and 970 more errors")


@pytest.mark.parametrize("config", [[OURS], "text", None, 3])
def test_a_config_must_be_a_mapping(config: Any) -> None:
    assert "must be a mapping" in config_error(config).problem


@pytest.mark.usefixtures("foreign")
def test_a_rejected_config_imports_nothing() -> None:
    untrusted = {"_target_": "mine_evil.operator.Operator"}
    config_error({"one": {"_target_": "mine.operator.Operator"}, "other": untrusted}, trust=["mine"])
    assert not {"mine", "mine_evil"} & {name.partition(".")[0] for name in sys.modules}


@pytest.mark.usefixtures("foreign")
@pytest.mark.parametrize("trust", [["mine"], ["mine.operator"], "mine.operator", ["other", "mine"]])
def test_a_trusted_module_and_its_submodules_are_accepted(trust: Any) -> None:
    check_targets({"model": {**OURS, "upsampler": {"_target_": "mine.operator.Operator"}}}, trust)
    check_targets({"model": {"_target_": "mine.operator.make", "_partial_": True}}, trust)


@pytest.mark.usefixtures("foreign")
@pytest.mark.parametrize("trust", ["mine", "mine.operator", "mine.oper", "mine.operator.Operator", "", ".", "mine_"])
def test_trust_does_not_extend_to_modules_with_the_same_prefix(trust: str) -> None:
    error = config_error({"model": {"_target_": "mine_evil.operator.Operator"}}, [trust])
    assert error.cure.endswith("add trust=mine_evil.operator")
    assert "mine_evil" not in sys.modules


@pytest.mark.usefixtures("foreign")
@pytest.mark.parametrize("name", ["os.system", "system", "nn", "ready", "Operator.forward", "nothing", "os"])
def test_trust_covers_only_components_defined_in_the_module(name: str) -> None:
    error = config_error({"model": {"_target_": f"mine.operator.{name}"}}, ["mine"])
    assert (error.setting, error.value) == ("model._target_", f"mine.operator.{name}")


@pytest.mark.usefixtures("foreign")
def test_a_reexported_component_needs_trust_in_its_own_module() -> None:
    config = {"model": {"_target_": "mine.reexport.Operator"}}
    assert "not defined in mine.reexport" in config_error(config, ["mine.reexport"]).problem
    check_targets(config, ["mine.reexport", "mine.operator"])


@pytest.mark.parametrize("trust", ["os", "builtins", "subprocess"])
def test_trust_does_not_extend_to_the_standard_library(trust: str) -> None:
    for name in ("system", "eval", "exec", "__import__"):
        assert config_error({"model": {"_target_": f"{trust}.{name}"}}, [trust]).setting == "model._target_"


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10) | st.just("_target_"), inner, max_size=4)
    ),
    max_leaves=20,
)


@settings(max_examples=50)
@given(st.dictionaries(st.text(max_size=10), plain, max_size=4))
def test_any_plain_config_is_accepted_or_rejected_with_a_message(config: dict[str, Any]) -> None:
    try:
        check_targets(config)
    except ConfigError as error:
        assert all(line.strip() for line in str(error).splitlines())  # noqa: PT017
