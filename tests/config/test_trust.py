"""A checkpoint's config builds upnet's own components or what the user named, and nothing else, ever."""

import sys
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from upnet.config import ConfigError, check_targets

HUGE = pytest.param(10**5000, id="huge")  # more digits than Python is willing to print
OURS = {"_target_": "upnet.upsample.Transposed", "_partial_": True, "kernel_size": 4}


def refusal(config: Any, trust: Any = ()) -> str:
    with pytest.raises(ConfigError) as caught:
        check_targets(config, trust)
    return str(caught.value)


def buried(node: object, depth: int) -> dict[str, Any]:
    """A config of our own components with a node `depth` levels inside, through mappings and lists in turn."""
    for level in range(depth):
        node = [node] if level % 2 else {**OURS, "inside": node}
    return {"model": node}


@pytest.fixture
def foreign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A package of somebody's own, with one that is named like it, each leaving a mark when it is imported."""
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


def test_our_own_components_pass_at_every_depth() -> None:
    check_targets({})
    for depth in range(10):
        check_targets(buried({**OURS, "list": [1, 2.5, None, True, "text", {"a": []}]}, depth))


@pytest.mark.rotating(per="target")
@pytest.mark.parametrize("depth", range(10))
@pytest.mark.parametrize(
    "target",
    ["os.system", "posix.system", "subprocess.Popen", "builtins.eval", "builtins.__import__", "functools.partial",
     "hydra.utils.instantiate", "upnet.config.build", "upnet.upsampled.Evil", "upnet.data.Folder", "torch.nn.Linear",
     "torch.load", "torch.hub.load", "upnet.upsample", "upnet", "upnet.training.task.Task", "upnet.losses.Charbonnier"],
)  # fmt: skip
def test_foreign_code_is_refused_at_every_depth(target: str, depth: int) -> None:
    told = refusal(buried({"_target_": target, "command": "true"}, depth))
    assert target in told
    assert len(told.splitlines()) == 1


def test_the_refusal_says_where_what_and_the_way_out() -> None:
    assert refusal({"model": {**OURS, "upsampler": {"_target_": "my.module.Operator"}}}) == (
        "model.upsampler._target_=my.module.Operator: not part of upnet; a checkpoint may only build upnet's own "
        "components. If you trust that code, add trust=my.module"
    )


@pytest.mark.parametrize(
    "target",
    ["upnet.models.os.system", "upnet.upsample.base.nn.Linear", "upnet.upsample.base.nn", "upnet.upsample.base.Tensor",
     "upnet.upsample.base.math.floor", "upnet.upsample.base.dataclass", "upnet.upsample.base.Upsampler",
     "upnet.upsample.Transposed.forward", "upnet.upsample.Transposed.__init__", "upnet.upsample.__builtins__.eval",
     "upnet.upsample._private.Thing", "upnet.upsample.base", "upnet.upsample.support", "upnet.upsample.Nothing",
     "upnet.upsample.__main__.main", "upnet.encoders.nothing.Here", "upnet.upsample.Upsampler"],
)  # fmt: skip
def test_nobody_reaches_through_our_packages(target: str) -> None:
    told = refusal({"model": {"_target_": target}})
    assert told.startswith(f"model._target_={target}: ")
    assert len(told.splitlines()) == 1


@pytest.mark.parametrize(
    "target",
    ["", "eval", ".os.system", "os..system", "os.system()", "upnet.upsample.Transposed\n", " os.system", "ｏs.system",
     "upnet/upsample/Transposed", "a." * 1000 + "b", 3, None, ["os.system"], {"_target_": "os.system"}, b"os.system"],
    ids=lambda target: repr(target)[:30],
)  # fmt: skip
def test_a_target_that_is_no_dotted_name_is_refused(target: object) -> None:
    told = refusal({"model": {"_target_": target}})
    assert told.startswith("model._target_: ")
    assert "must be the dotted name of a class" in told
    assert len(told) < 200


@pytest.mark.parametrize("key", ["_args_", "_recursive_", "_convert_", "_target", "__class__", "_x"])
def test_no_underscored_key_passes_but_two(key: str) -> None:
    assert f"model.{key}: not allowed" in refusal({"model": {**OURS, key: ["true"]}})


@pytest.mark.parametrize("partial", [1, 0, "true", None, [], {"_target_": "os.system"}])
def test_partial_is_true_or_false(partial: object) -> None:
    assert "model._partial_: must be true or false" in refusal({"model": {**OURS, "_partial_": partial}})


def test_partial_without_a_target_is_refused() -> None:
    assert "beside _target_" in refusal({"model": {"_partial_": True}})


@pytest.mark.parametrize("text", ["${oc.env:HOME}", "a${b}", "${", "x ${hydra:runtime.cwd}"])
@pytest.mark.parametrize("depth", [0, 3, 8])
def test_interpolations_are_refused(text: str, depth: int) -> None:
    assert "interpolations are not allowed" in refusal(buried({**OURS, "name": text}, depth))


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
def test_values_that_are_not_plain_are_refused(value: object) -> None:
    assert "only plain values are allowed" in refusal({"model": {**OURS, "value": value}})


@pytest.mark.parametrize("key", [1, None, "a b", "a-b", "", "a.b", "a\nb", "ａ", "a" * 101, (1,), True, HUGE])
def test_keys_that_are_no_names_are_refused(key: object) -> None:
    told = refusal({"model": {**OURS, key: 1}})
    assert "is not the name of a setting" in told
    assert len(told.splitlines()) == 1


@pytest.mark.parametrize("number", [10**6 + 1, -(10**6) - 1, 1e300, float("inf"), float("nan"), HUGE])
def test_absurd_numbers_are_refused(number: float) -> None:
    assert "model.width: must be a number between -1000000 and 1000000" in refusal({"model": {**OURS, "width": number}})
    check_targets({"model": {**OURS, "width": 10**6}})


def test_absurd_depth_is_refused_without_recursing_into_it() -> None:
    node: Any = {}
    for _ in range(100_000):
        node = {"a": node}
    assert "more than 20 levels" in refusal(node)
    endless: list[Any] = []
    endless.append(endless)
    assert "more than 20 levels" in refusal({"a": endless})


def test_absurd_size_is_refused_also_where_it_is_written_small() -> None:
    assert "more than 10000 values" in refusal({"a": [0] * 20_000})
    bomb: Any = 0
    for _ in range(15):
        bomb = [bomb] * 10
    assert "more than 10000 values" in refusal({"a": bomb})
    assert "at most 1000 characters" in refusal({"a": "a" * 1001})


def test_a_thousand_faults_do_not_fill_the_screen() -> None:
    told = refusal({"a": [{"_target_": "os.system"} for _ in range(1000)]})
    assert len(told.splitlines()) == 31
    assert told.endswith("… and 970 more errors")


@pytest.mark.parametrize("config", [[OURS], "text", None, 3])
def test_what_is_no_mapping_is_refused(config: Any) -> None:
    assert "must be a mapping" in refusal(config)


@pytest.mark.usefixtures("foreign")
def test_nothing_is_imported_before_all_is_examined_and_nothing_foreign_at_all() -> None:
    foreigner = {"_target_": "mine_evil.operator.Operator"}
    refusal({"one": {"_target_": "mine.operator.Operator"}, "other": foreigner}, trust=["mine"])
    assert not {"mine", "mine_evil"} & {name.partition(".")[0] for name in sys.modules}


@pytest.mark.usefixtures("foreign")
@pytest.mark.parametrize("trust", [["mine"], ["mine.operator"], "mine.operator", ["other", "mine"]])
def test_a_trusted_module_and_its_submodules_pass(trust: Any) -> None:
    check_targets({"model": {**OURS, "upsampler": {"_target_": "mine.operator.Operator"}}}, trust)
    check_targets({"model": {"_target_": "mine.operator.make", "_partial_": True}}, trust)


@pytest.mark.usefixtures("foreign")
@pytest.mark.parametrize("trust", ["mine", "mine.operator", "mine.oper", "mine.operator.Operator", "", ".", "mine_"])
def test_trust_in_a_module_is_no_trust_in_its_namesakes(trust: str) -> None:
    told = refusal({"model": {"_target_": "mine_evil.operator.Operator"}}, [trust])
    assert "add trust=mine_evil.operator" in told
    assert "mine_evil" not in sys.modules


@pytest.mark.usefixtures("foreign")
@pytest.mark.parametrize("name", ["os.system", "system", "nn", "ready", "Operator.forward", "nothing", "os"])
def test_trust_covers_only_what_the_module_itself_defines(name: str) -> None:
    assert refusal({"model": {"_target_": f"mine.operator.{name}"}}, ["mine"]).startswith(
        f"model._target_=mine.operator.{name}"
    )


@pytest.mark.usefixtures("foreign")
def test_what_is_defined_elsewhere_needs_trust_in_that_place_too() -> None:
    config = {"model": {"_target_": "mine.reexport.Operator"}}
    assert "not defined in mine.reexport" in refusal(config, ["mine.reexport"])
    check_targets(config, ["mine.reexport", "mine.operator"])


@pytest.mark.parametrize("trust", ["os", "builtins", "subprocess"])
def test_even_trust_does_not_make_a_component_of_the_interpreters_own_functions(trust: str) -> None:
    for name in ("system", "eval", "exec", "__import__"):
        refusal({"model": {"_target_": f"{trust}.{name}"}}, [trust])


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10) | st.just("_target_"), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(st.dictionaries(st.text(max_size=10), plain, max_size=4))
def test_any_plain_config_passes_or_is_refused_in_sentences(config: dict[str, Any]) -> None:
    try:
        check_targets(config)
    except ConfigError as error:
        assert all(line.strip() for line in str(error).splitlines())  # noqa: PT017
