"""Loading a network from a checkpoint, and the errors of checkpoints that are inconsistent or unsafe."""

import ast
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import DictConfig
from support import CONFIGS, ROOT, code, command

import upnet
from upnet.checkpoint import load_network
from upnet.config import build
from upnet.utils.errors import UserError

OPERATORS = sorted(path.stem for path in (CONFIGS / "model/upsampler").glob("*.yaml"))
OTHERS = ["model=edsr", "model=srcnn", "model=fsrcnn", "model=espcn", "model=segnet", "model/encoder=strided_conv"]
OTHERS += ["model/encoder=resnet", "model/block=residual", "model/block=residual_group"]
OTHERS += ["model/upsampler=resize_conv model.upsampler.init=bilinear"]


def load_error(path: Path) -> UserError:
    """The error of loading a checkpoint: a short printable line with the name of the file."""
    with pytest.raises(UserError) as caught:
        load_network(path)
    error = caught.value
    assert path.name in error.problem
    assert str(error).isprintable()
    assert len(str(error)) < 1000
    return error


def test_averaged_or_raw_weights_are_loaded(written: Callable[..., Path]) -> None:
    averaged, raw = load_network(written()), load_network(written(), weights="raw")
    assert averaged.step == 7
    assert not averaged.net.training
    for mine, theirs in zip(averaged.net.parameters(), raw.net.parameters(), strict=True):
        assert torch.equal(mine, theirs * 0.5)


@pytest.mark.parametrize("words", [*(f"model/upsampler={name}" for name in OPERATORS), *OTHERS])
def test_a_loaded_network_computes_what_the_saved_one_computed(
    written: Callable[..., Path], model_config: Callable[..., DictConfig], words: str
) -> None:
    """For every component; constants are not in the file."""
    chosen = [
        *words.split(),
        *([] if "fsrcnn" in words or "srcnn" in words or "espcn" in words else ["model.encoder.width=2"]),
    ]
    torch.manual_seed(0)
    expected = build(model_config(*chosen)).eval()
    loaded = load_network(written(*chosen), weights="raw").net
    lr = torch.rand(1, loaded.channels, 12, 14)
    with torch.no_grad():
        assert torch.equal(loaded(lr), expected(lr))


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"model": {"upsampler": {"_target_": "os.system", "_partial_": True}}}, r"_target_=os\.system: not part"),
        ({"model": {"tail": {"_target_": "builtins.eval"}}}, r"model\.tail\._target_=builtins\.eval"),
        ({"model": {"encoder": {"_target_": "upnet.encoders.ResNet", "_args_": [1]}}}, r"encoder\._args_: not allowed"),
        ({"model": {"residual": "${oc.env:HOME}"}}, "interpolations are not allowed"),
        ({"model": {"_target_": "upnet.upsample.Nearest"}}, r"unknown setting.* \(and 6 more errors\)"),
        ({"model": {"widht": 3}}, r"model\.widht=3: unknown setting"),
        ({"model": {"scale": 2.5}}, r"model\.scale=2\.5: must be"),
        ({"model": {"scale": 3}}, "has scale 2 and describes a network of scale 3"),
        ({"model": {"encoder": ...}}, r"model\.encoder: required"),
        ({"model": {"encoder": {"_target_": "upnet.blocks.ConvBlock", "_partial_": True}}}, "does not accept"),
        ({"model": {"block": {"_target_": "upnet.models.Tail", "_partial_": True}}}, "does not accept"),
        ({"model": {"tail": 3}}, "must be a component"),
        ({"metadata": {"model": {"_target_": "upnet.models.Tail", "_partial_": True}}}, "describes a Factory; a "),
        ({"metadata": {"format": 99}}, "format 99"),
        ({"metadata": {"format": True}}, "has no checkpoint format"),
        ({"metadata": {"format": 10**400}}, "more than nine digits"),
        ({"metadata": {"model": ...}}, "metadata has no model"),
        ({"metadata": {"model": None}}, "its model must be a mapping"),
        ({"metadata": {"step": ...}}, "metadata has no step"),
        ({"metadata": {"step": -1}}, "its step must be an integer"),
        ({"metadata": {"step": 10**400}}, "its step must be an integer"),
        ({"metadata": {"scale": "2"}}, "its scale must be an integer"),
        ({"metadata": {"versions": ["1"]}}, "its versions must be a mapping"),
        ({"metadata": {"extra": 1}}, "metadata field extra"),
        ({"metadata": {"\x1b[2J": 1}}, r"metadata field '\\x1b\[2J'"),
        ({"content": {"upnet": None}}, "not a checkpoint of upnet"),
        ({"content": {"upnet": ...}}, "not a checkpoint of upnet"),
        ({"content": {"state_dict": []}}, "not a checkpoint of upnet"),
        ({"content": {"state_dict": {}}}, "contains no averaged weights"),
        ({"state": {"evil": torch.zeros(9)}}, "under the name evil"),
        ({"state": {3: torch.zeros(9)}}, "under the name a int"),
    ],
)  # fmt: skip
def test_an_inconsistent_or_unsafe_checkpoint_is_rejected(
    written: Callable[..., Path], changes: dict[str, Any], problem: str
) -> None:
    assert re.search(problem, load_error(written(**changes)).problem)


def test_missing_raw_weights_do_not_matter_for_averaged_ones(written: Callable[..., Path]) -> None:
    assert load_network(written(state={"net.tail.output.bias": ...})).step == 7


def test_missing_files_and_missing_averaged_weights_are_named(written: Callable[..., Path], tmp_path: Path) -> None:
    assert "there is no checkpoint at" in load_error(tmp_path / "missing.ckpt").problem
    assert "there is no checkpoint at" in load_error(tmp_path / "missing.safetensors").problem
    raw = {f"ema.{name}": ... for name in torch.load(written(), weights_only=True)["state_dict"] if name[:4] == "net."}
    error = load_error(written(state=raw))
    assert "contains no averaged weights" in error.problem
    assert error.cure.startswith("Set weights=raw")


def test_an_unsafe_checkpoint_ends_the_command_with_exit_code_2_and_one_line(
    written: Callable[..., Path], tmp_path: Path
) -> None:
    path = written(model={"upsampler": {"_target_": "os.system", "_partial_": True}})
    output = tmp_path / "output.txt"
    assert code(command([f"checkpoint={path}", f"hydra.run.dir={tmp_path}/run"], output, script="evaluate.py")) == 2
    (line,) = output.read_text().strip().splitlines()
    assert line.startswith(f"{path}: model.upsampler._target_=os.system: not part of upnet")
    assert not (tmp_path / "run").exists()


def test_torch_load_is_called_with_weights_only_and_no_other_unpickler_is_used() -> None:
    """In all of upnet and its scripts; nothing executes text as code either."""
    sources = [*Path(upnet.__file__).parent.rglob("*.py"), *ROOT.glob("*.py"), *(ROOT / "benchmarks").rglob("*.py")]
    calls = 0
    for path in sources:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = {alias.name for alias in node.names} | {getattr(node, "module", None)}
                assert not names & {"pickle", "marshal", "shelve", "dill", "cloudpickle", "load_from_checkpoint"}, path
            if not isinstance(node, ast.Call):
                continue
            called, given = ast.unparse(node.func), {key.arg: key.value for key in node.keywords}
            assert called not in ("eval", "exec", "compile", "joblib.load", "torch.hub.load", "yaml.load"), path
            assert called.rpartition(".")[2] not in ("load_from_checkpoint", "add_safe_globals", "safe_globals"), path
            assert ast.unparse(given.get("allow_pickle", ast.Constant(False))) == "False", path
            if called == "torch.load" or "ckpt_path" in given:
                calls += 1
                assert ast.unparse(given.get("weights_only", ast.Constant(None))) == "True", f"{path}: {called}"
    assert calls >= 2, "in read_torch_file() and for a resume by Lightning"
