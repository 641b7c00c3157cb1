"""Files written before checkpoint format 3, in tests/legacy, load, evaluate and resume; see its README."""

import shutil
from pathlib import Path

import pytest
import torch
from omegaconf import open_dict
from support import ROOT, Compose

from upnet.checkpoint import load_network
from upnet.checkpoint.loading import read
from upnet.config import check
from upnet.config.schema import TrainSettings
from upnet.training.runner import train

LEGACY = ROOT / "tests/legacy"
RUN = [
    *("data=folder", "data.patch=8", "data.batch_size=2", "model.block.layers=1", "model.encoder.width=2"),
    *("callbacks.progress=null", "callbacks.grid=null", "trainer=cpu", "precision=32", "logger=none"),
    *("validations=1", "seed=3"),
]
PSNR_OF_9_STEPS = 30.370186


def test_the_export_and_the_checkpoint_of_a_legacy_run_are_the_same_network() -> None:
    checkpoint, export = load_network(LEGACY / "run/checkpoints/last.ckpt"), load_network(LEGACY / "unet.safetensors")
    assert checkpoint.metadata == export.metadata
    lr = torch.rand(1, 3, 9, 8)
    assert torch.equal(checkpoint.net(lr), export.net(lr))


def test_the_levels_of_a_decoder_are_numbered_from_the_finest_grid() -> None:
    net = load_network(LEGACY / "run/checkpoints/last.ckpt").net
    assert net.decoder is not None
    assert {level: tuple(module.reduce.weight.shape[:2]) for level, module in net.decoder.by_level().items()} == {  # pyright: ignore[reportIndexIssue]
        0: (2, 4),
        1: (4, 8),
    }


def test_a_legacy_run_resumes_to_the_result_of_its_own_version(
    compose: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weights, their average, optimizer states and settings are those of the same parameters as before."""
    run = tmp_path / "run"
    shutil.copytree(LEGACY / "run", run)
    monkeypatch.chdir(LEGACY)  # the paths of the images belong to the settings of a run
    paths = ["data.root=images/train", "data.val_root=images/val", f"data.cache_dir={tmp_path}/cache"]
    config = compose(*RUN, *paths, "steps=9", f"ckpt={run}/checkpoints/last.ckpt")
    with open_dict(config):
        config.run_dir = str(run)
    results = train(check(config, TrainSettings))
    assert results["datasets"]["val"]["psnr"] == pytest.approx(PSNR_OF_9_STEPS, abs=2e-4)
    assert read(run / "checkpoints/last.ckpt")["upnet"]["step"] == 9
