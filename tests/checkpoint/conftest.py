"""Fixtures that write checkpoints, valid and invalid ones."""

import copy
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import DictConfig, OmegaConf
from support import CONFIGS, Compose

from upnet.checkpoint import describe
from upnet.config import build
from upnet.training.ema import EMA

ModelConfig = Callable[..., DictConfig]
"""model_config("model=edsr", "model/upsampler=nearest", "model.encoder.width=4"): the config of a network."""
Written = Callable[..., Path]
"""written("model=edsr", model={…}, metadata={…}, state={…}, content={…}): the path of a checkpoint with changes."""
Repacked = Callable[..., Path]
"""repacked(path, {"data.pkl": lambda content: …}, compression): a copy of a checkpoint with other members."""


@pytest.fixture(scope="session")
def model_config(compose: Compose) -> ModelConfig:
    def read(*overrides: str) -> DictConfig:
        # Only presets are composed by Hydra, which takes half a second for each.
        model = compose(*(word for word in overrides if word.startswith("model="))).model
        for name, _, value in (word.partition("=") for word in overrides):
            if "/" in name:
                model[name.partition("/")[2]] = OmegaConf.load(CONFIGS / name / f"{value}.yaml")
        settings = [word.removeprefix("model.") for word in overrides if word.startswith("model.")]
        model.merge_with_dotlist(settings)
        return model

    return read


@pytest.fixture(scope="session")
def unchanged(model_config: ModelConfig) -> Callable[..., tuple[dict[str, Any], dict[str, Any]]]:
    """unchanged("model=edsr"): the plain config of a network and its state, with averaged weights half the raw ones."""

    @cache
    def make(overrides: tuple[str, ...]) -> tuple[dict[str, Any], dict[str, Any]]:
        config = model_config(*overrides)
        torch.manual_seed(0)
        net = build(config)
        ema = EMA(net, 0.9)
        for parameter in ema.parameters():
            parameter.data.mul_(0.5)
        plain = OmegaConf.to_container(config, resolve=True)
        assert isinstance(plain, dict)
        state = {f"net.{key}": value for key, value in net.state_dict().items()}
        state |= {f"ema.net.{key}": value for key, value in ema.net.state_dict().items()}
        return {str(key): value for key, value in plain.items()}, state

    return lambda *overrides: copy.deepcopy(make(overrides or ("model.encoder.width=4",)))


@pytest.fixture
def written(unchanged: Callable[..., tuple[dict[str, Any], dict[str, Any]]], tmp_path: Path) -> Written:
    """Write a checkpoint with changes; `...` removes a key."""

    def write(*overrides: str, name: str = "a.ckpt", **changes: dict[Any, Any]) -> Path:
        model, state = unchanged(*overrides)
        metadata = describe(changed(model, changes.get("model", {})), {}, model["scale"], 7)
        content = {
            "upnet": changed(metadata, changes.get("metadata", {})),
            "state_dict": changed(state, changes.get("state", {})),
        }
        path = tmp_path / name
        torch.save(changed(content, changes.get("content", {})), path)
        return path

    return write


def changed(node: dict[Any, Any], changes: dict[Any, Any]) -> dict[Any, Any]:
    """A mapping with other values; `...` removes a key."""
    return {key: value for key, value in {**node, **changes}.items() if value is not ...}


@pytest.fixture
def repacked(tmp_path: Path) -> Repacked:
    def repack(path: Path, changes: dict[str, Callable[[bytes], bytes]], compression: int = zipfile.ZIP_STORED) -> Path:
        target = tmp_path / f"repacked-{path.name}"
        with zipfile.ZipFile(path) as original, zipfile.ZipFile(target, "w", compression) as archive:
            for member in original.infolist():
                change = changes.get(member.filename.partition("/")[2], bytes)
                archive.writestr(member.filename, change(original.read(member)))
        return target

    return repack
