"""A checkpoint describes itself, and runs nobody's code."""

import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf
from support import Compose

from upnet.checkpoint import DamagedCheckpointError, describe, load_network
from upnet.config import build
from upnet.ema import EMA


@pytest.fixture
def written(compose: Compose, tmp_path: Path):
    """Write a checkpoint with changes: written(model={…}, state={…}) -> its path."""

    def write(**changes: Any) -> Path:
        config = compose("model.encoder.width=4").model
        torch.manual_seed(0)
        net = build(config)
        ema = EMA(net, 0.9)
        for parameter in ema.parameters():
            parameter.data.mul_(0.5)
        plain = OmegaConf.to_container(config, resolve=True)
        assert isinstance(plain, dict)
        plain = {str(key): value for key, value in plain.items()}
        state = {f"net.{key}": value for key, value in net.state_dict().items()}
        state |= {f"ema.net.{key}": value for key, value in ema.net.state_dict().items()}
        told = describe({**plain, **changes.get("model", {})}, {}, 2, 7) | changes.get("told", {})
        content = {"upnet": told, "state_dict": {**state, **changes.get("state", {})}}
        path = tmp_path / "a.ckpt"
        torch.save({**content, **changes.get("content", {})}, path)
        return path

    return write


def test_a_checkpoint_needs_nothing_but_itself(written, compose: Compose) -> None:
    averaged, raw = load_network(written()), load_network(written(), weights="raw")
    assert averaged.step == 7
    assert not averaged.net.training
    for mine, theirs in zip(averaged.net.parameters(), raw.net.parameters(), strict=True):
        assert torch.equal(mine, theirs * 0.5)


class Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (Path("touched"),))


def test_pickled_code_is_refused_and_not_run(written, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = written(content={"extra": Evil()})
    with pytest.raises(ValueError, match="more than plain data and tensors"):
        load_network(path)
    assert not (tmp_path / "touched").exists()


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"model": {"upsampler": {"_target_": "os.system", "_partial_": True}}}, r"model\.upsampler.*os\.system"),
        ({"model": {"tail": {"_target_": "builtins.eval"}}}, r"model\.tail.*builtins\.eval"),
        ({"model": {"_target_": "upnet.upsample.Nearest", "scale": 2}}, "."),
        ({"told": {"format": 99}}, "format 99"),
        ({"told": {"model": None}}, "model or its step is missing"),
        ({"content": {"upnet": None}}, "no checkpoint of upnet"),
        ({"state": {"ema.net.tail.output.bias": torch.zeros(9)}}, "weights don't fit"),
        ({"state": {"ema.net.unknown": torch.zeros(9)}}, "weights don't fit"),
    ],
)
def test_what_a_checkpoint_may_not_hold_is_refused(written, changes: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        load_network(written(**changes))


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_damaged_and_missing_files_are_named(written, tmp_path: Path) -> None:
    path = written()
    whole = path.read_bytes()
    path.write_bytes(whole[:1000])
    with pytest.raises(DamagedCheckpointError, match=r"a\.ckpt is damaged"):
        load_network(path)
    path.write_bytes(pickle.dumps(Evil))
    with pytest.raises(DamagedCheckpointError, match=r"a\.ckpt is damaged, or no checkpoint"):
        load_network(path)
    weights = load_network(written()).net.state_dict()["tail.output.weight"]
    middle = whole.index(bytes(weights.numpy()))
    path.write_bytes(whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :])
    with pytest.raises(DamagedCheckpointError, match=r"a\.ckpt is damaged: the checksum of its part .* is wrong"):
        load_network(path)
    with pytest.raises(ValueError, match="there is no checkpoint at"):
        load_network(tmp_path / "missing.ckpt")
