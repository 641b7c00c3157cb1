"""Fixtures for the uses of `upnet evaluate`."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import DictConfig, OmegaConf, open_dict
from support import Compose

from upnet.checkpoint import describe
from upnet.config import build, check
from upnet.config.schema import EvaluateSettings


@pytest.fixture
def evaluate_config(compose: Compose, pictures: Path, tmp_path: Path) -> Callable[..., DictConfig]:
    """evaluate_config("baseline=nearest", folder="a"): the checked config of an evaluation on three small images."""

    def config(*overrides: str, folder: str = "evaluation") -> DictConfig:
        given = any(word.startswith(("data=", "data.root=")) for word in overrides)
        composed = compose("device=cpu", *([] if given else ["data=folder"]), *overrides, command="evaluate")
        if not given:
            composed.data.root = str(pictures)
        with open_dict(composed):
            composed.run_dir = str(tmp_path / folder)
        check(composed, EvaluateSettings)
        return composed

    return config


@pytest.fixture
def results(tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """results("a"): the content of results.json in the folder of an evaluation."""
    return lambda folder="evaluation": json.loads((tmp_path / folder / "results.json").read_text())


def save_espcn(path: Path, compose: Compose, scale: int) -> Path:
    """Save an untrained network on luma as a checkpoint."""
    torch.manual_seed(0)
    config = compose("model=espcn", f"scale={scale}").model
    plain = OmegaConf.to_container(config, resolve=True)
    assert isinstance(plain, dict)
    metadata = describe({str(key): value for key, value in plain.items()}, {}, scale, 7)
    state = {f"ema.net.{key}": value for key, value in build(config).state_dict().items()}
    path.parent.mkdir(parents=True)
    torch.save({"upnet": metadata, "state_dict": state}, path)
    return path


@pytest.fixture
def checkpoint(compose: Compose, tmp_path: Path) -> Path:
    """An untrained network of scale 2."""
    return save_espcn(tmp_path / "run/checkpoints/last.ckpt", compose, 2)


@pytest.fixture
def scale_3_checkpoint(compose: Compose, tmp_path: Path) -> Path:
    """An untrained network of scale 3."""
    return save_espcn(tmp_path / "other/checkpoints/last.ckpt", compose, 3)
