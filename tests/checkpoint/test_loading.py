"""A checkpoint describes itself, and what doesn't fit together is refused in one sentence."""

import ast
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from support import CONFIGS, ROOT, Compose

import upnet
from upnet.checkpoint import load_network

OPERATORS = sorted(path.stem for path in (CONFIGS / "model/upsampler").glob("*.yaml"))
OTHERS = ["model=edsr", "model=srcnn", "model=fsrcnn", "model=espcn", "model=segnet", "model/encoder=strided_conv"]
OTHERS += ["model/encoder=resnet", "model/block=residual", "model/block=residual_group"]
OTHERS += ["model/upsampler=resize_conv model.upsampler.init=bilinear"]


def refusal(path: Path, **more: Any) -> str:
    """The sentence that refuses a checkpoint: one line, with the file's name, and not without end."""
    with pytest.raises(ValueError, match=path.stem) as caught:
        load_network(path, **more)
    told = str(caught.value)
    assert path.name in told
    assert len(told.splitlines()) == 1
    assert told.isprintable()
    assert len(told) < 1000
    return told


def test_a_checkpoint_needs_nothing_but_itself(written: Callable[..., Path]) -> None:
    averaged, raw = load_network(written()), load_network(written(), weights="raw")
    assert averaged.step == 7
    assert not averaged.net.training
    for mine, theirs in zip(averaged.net.parameters(), raw.net.parameters(), strict=True):
        assert torch.equal(mine, theirs * 0.5)


@pytest.mark.parametrize("words", [*(f"model/upsampler={name}" for name in OPERATORS), *OTHERS])
def test_every_part_of_the_family_comes_back_as_it_was(
    written: Callable[..., Path], compose: Compose, words: str
) -> None:
    """Also its constants, which are in no file."""
    from upnet.config import build

    chosen = [
        *words.split(),
        *([] if "fsrcnn" in words or "srcnn" in words or "espcn" in words else ["model.encoder.width=2"]),
    ]
    torch.manual_seed(0)
    expected = build(compose(*chosen).model).eval()
    loaded = load_network(written(*chosen), weights="raw").net
    lr = torch.rand(1, loaded.channels, 12, 14)
    with torch.no_grad():
        assert torch.equal(loaded(lr), expected(lr))


@pytest.mark.parametrize(
    ("changes", "told"),
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
        ({"told": {"model": {"_target_": "upnet.models.Tail", "_partial_": True}}}, "describes a Factory; a "),
        ({"told": {"format": 99}}, "format 99"),
        ({"told": {"format": True}}, "has no checkpoint format"),
        ({"told": {"format": 10**400}}, "more than nine digits"),
        ({"told": {"model": ...}}, "metadata has no model"),
        ({"told": {"model": None}}, "its model must be a mapping"),
        ({"told": {"step": ...}}, "metadata has no step"),
        ({"told": {"step": -1}}, "its step must be an integer"),
        ({"told": {"step": 10**400}}, "its step must be an integer"),
        ({"told": {"scale": "2"}}, "its scale must be an integer"),
        ({"told": {"versions": ["1"]}}, "its versions must be a mapping"),
        ({"told": {"extra": 1}}, "metadata field extra"),
        ({"told": {"\x1b[2J": 1}}, r"metadata field '\\x1b\[2J'"),
        ({"content": {"upnet": None}}, "not a checkpoint of upnet"),
        ({"content": {"upnet": ...}}, "not a checkpoint of upnet"),
        ({"content": {"state_dict": []}}, "not a checkpoint of upnet"),
        ({"content": {"state_dict": {}}}, "contains no averaged weights"),
        ({"state": {"evil": torch.zeros(9)}}, "under the name evil"),
        ({"state": {3: torch.zeros(9)}}, "under the name a int"),
    ],
)  # fmt: skip
def test_what_a_checkpoint_may_not_say_is_refused(
    written: Callable[..., Path], changes: dict[str, Any], told: str
) -> None:
    path = written(**changes)
    assert re.search(told, refusal(path)), refusal(path)


def test_a_damaged_weight_of_the_other_kind_does_not_matter(written: Callable[..., Path]) -> None:
    assert load_network(written(state={"net.tail.output.bias": ...})).step == 7


def test_what_is_not_there_is_said(written: Callable[..., Path], tmp_path: Path) -> None:
    assert "there is no checkpoint at" in refusal(tmp_path / "missing.ckpt")
    assert "there is no checkpoint at" in refusal(tmp_path / "missing.safetensors")
    raw = {f"ema.{name}": ... for name in torch.load(written(), weights_only=True)["state_dict"] if name[:4] == "net."}
    assert "contains no averaged weights. Set weights=raw" in refusal(written(state=raw))


def test_a_refusal_ends_the_command_with_exit_code_2_and_no_traceback(
    written: Callable[..., Path], tmp_path: Path
) -> None:
    path = written(model={"upsampler": {"_target_": "os.system", "_partial_": True}})
    words = [sys.executable, str(ROOT / "evaluate.py"), f"checkpoint={path}", f"hydra.run.dir={tmp_path}/run"]
    ended = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path)
    assert ended.returncode == 2
    assert ended.stderr.strip().startswith(f"{path}: model.upsampler._target_=os.system: not part of upnet")
    assert len(ended.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "run").exists()


def test_everything_that_reads_a_checkpoint_reads_plain_data_and_tensors_only() -> None:
    """In all of upnet and its scripts; nothing reads pickles in another way, or runs a text as code."""
    sources = [*Path(upnet.__file__).parent.rglob("*.py"), *ROOT.glob("*.py"), *(ROOT / "benchmarks").rglob("*.py")]
    read = 0
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
                read += 1
                assert ast.unparse(given.get("weights_only", ast.Constant(None))) == "True", f"{path}: {called}"
    assert read >= 2, "the checkpoint's own reading, and Lightning's for a resume"
