"""Checkpoints, honest and otherwise."""

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf
from support import Compose

from upnet.checkpoint import describe
from upnet.config import build
from upnet.training.ema import EMA

Written = Callable[..., Path]
"""written("model=edsr", model={…}, told={…}, state={…}, content={…}): a checkpoint with changes, and its path."""


@pytest.fixture
def written(compose: Compose, tmp_path: Path) -> Written:
    """Write a checkpoint whose averaged weights are half the raw ones; `...` takes a key away."""

    def write(*words: str, name: str = "a.ckpt", **changes: Any) -> Path:
        config = compose(*(words or ("model.encoder.width=4",))).model
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
        told = describe(changed(plain, changes.get("model", {})), {}, config.scale, 7)
        content = {
            "upnet": changed(told, changes.get("told", {})),
            "state_dict": changed(state, changes.get("state", {})),
        }
        path = tmp_path / name
        torch.save(changed(content, changes.get("content", {})), path)
        return path

    return write


def changed(node: dict[Any, Any], changes: dict[Any, Any]) -> dict[Any, Any]:
    """A mapping with other values; `...` takes a key away."""
    return {key: value for key, value in {**node, **changes}.items() if value is not ...}


@pytest.fixture
def repacked(tmp_path: Path) -> Callable[..., Path]:
    """A checkpoint whose parts were changed: repacked(path, {"data.pkl": lambda content: …}, compression)."""

    def repack(path: Path, changes: dict[str, Callable[[bytes], bytes]], compression: int = zipfile.ZIP_STORED) -> Path:
        target = tmp_path / f"repacked-{path.name}"
        with zipfile.ZipFile(path) as whole, zipfile.ZipFile(target, "w", compression) as archive:
            for part in whole.infolist():
                change = changes.get(part.filename.partition("/")[2], bytes)
                archive.writestr(part.filename, change(whole.read(part)))
        return target

    return repack
