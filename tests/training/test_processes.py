"""Distributed training in several processes equals training in one process."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image, ImageOps
from support import ROOT, scalars, state

from upnet.training import train


@pytest.mark.full
def test_two_processes_train_the_same_weights_as_one_and_score_each_image_once(
    tiny, small: list[str], pictures: Path, tmp_path: Path
) -> None:
    # Three validation images for two processes: an uneven split.
    for number in (1, 2):
        mirrored = ImageOps.mirror(Image.open(pictures / f"picture{number}.png"))
        mirrored.save(tmp_path / f"validation/mirrored{number}.png")
    settings = ["precision=32", "optimizer=sgd", "optimizer.lr=0.05", "steps=4", "validations=2"]
    alone = train(tiny(*settings, run="alone"))
    overrides = [override for override in small if not override.startswith("trainer=")]
    command = [sys.executable, str(ROOT / "train.py"), *overrides, *settings, "trainer=ddp", "trainer.accelerator=cpu"]
    process = subprocess.run(
        [*command, "trainer.devices=2", f"hydra.run.dir={tmp_path}/two"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=240,
    )
    assert process.returncode == 0, process.stderr
    one, two = (state(tmp_path / run / "checkpoints/last.ckpt")["state_dict"] for run in ("alone", "two"))
    assert one.keys() == two.keys()
    for key in one:
        torch.testing.assert_close(two[key], one[key], rtol=1e-4, atol=1e-6)
    both = json.loads((tmp_path / "two/results.json").read_text())["datasets"]["validation"]
    single = alone["datasets"]["validation"]
    assert list(both["images"]) == list(single["images"]) == ["mirrored1", "mirrored2", "scene"]
    assert both["psnr"] == pytest.approx(single["psnr"], abs=1e-3)
    logged = scalars(tmp_path / "two/tensorboard")["validation/psnr"]
    assert [step for step, _ in logged] == [2, 4]
