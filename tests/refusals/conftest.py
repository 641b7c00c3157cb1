"""A place with everything that a bad input may be made of, and the commands run in it, in this process."""

import json
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from omegaconf import open_dict
from PIL import Image
from support import Compose

from upnet.checkpoint import describe
from upnet.cli.main import main
from upnet.config import build, check
from upnet.config.schema import TrainSettings
from upnet.training.ema import EMA
from upnet.training.factory import training_settings

TRAIN = [
    "data=folder",
    "data.root=train",
    "data.val_root=val",
    "data.patch=8",
    "data.batch_size=2",
    "model.encoder.width=4",
    "trainer=cpu",
    "steps=2",
    "validations=1",
]
"""A training that would take a second, in front of every bad input of train.py."""
EVALUATE = ["data=folder", "data.root=val"]


@dataclass(frozen=True)
class Ended:
    """How a command ended: its exit code, what stood on the error stream at last, and the paths that are new."""

    code: object
    told: str
    new: list[str]


Command = Callable[..., Ended]
"""command("train", "steps=0"): a script with words behind those of a small use of it."""


@pytest.fixture(scope="session")
def pristine(tmp_path_factory: pytest.TempPathFactory, compose: Compose) -> Path:
    """Pictures, pairs, checkpoints, results and files that are none of these."""
    root = tmp_path_factory.mktemp("pristine")
    rng = np.random.default_rng(0)

    def picture(path: str, height: int = 48, width: int = 50) -> None:
        coarse = Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8))
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        coarse.resize((width, height), Image.Resampling.BICUBIC).save(root / path)

    for path in ("train/a.png", "train/b.png", "val/c.png", "small/d.png", "pairs/HR/e.png", "pairs/HR/f.png"):
        picture(path)
    picture("pairs/LR_bicubic/X2/ex2.png", 24, 25)
    for path in ("unequal/HR/e.png", "unequal/LR_bicubic/X2/ex2.png"):
        picture(path)
    picture("small/tiny.png", 1, 1)
    picture("wide/bomb.png", 40, 500)
    (root / "empty").mkdir()
    (root / "cut").mkdir()
    (root / "cut/g.png").write_bytes((root / "train/a.png").read_bytes()[:500])
    (root / "text").mkdir()
    (root / "text/h.png").write_text("no picture", encoding="utf-8")
    (root / "floats").mkdir()
    Image.fromarray(rng.random((32, 32), dtype=np.float32)).save(root / "floats/i.tif")
    config = compose(*TRAIN)
    with open_dict(config):
        config.run_dir = "run"
    net = build(config.model)
    state = {f"net.{key}": value for key, value in net.state_dict().items()}
    state |= {f"ema.net.{key}": value for key, value in EMA(net, 0.9).net.state_dict().items()}
    settings = check(config, TrainSettings)
    told = describe(settings.model, training_settings(settings), 2, 2)
    torch.save({"upnet": told, "state_dict": state}, root / "good.ckpt")
    torch.save({"upnet": {**told, "format": 99}, "state_dict": state}, root / "later.ckpt")
    torch.save({"weights": torch.zeros(3)}, root / "foreign.ckpt")
    (root / "cut.ckpt").write_bytes((root / "good.ckpt").read_bytes()[:2000])
    (root / "later.json").write_text(json.dumps({"schema": 99}), encoding="utf-8")
    return root


@pytest.fixture
def command(
    pristine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Command:
    """Run a script's own main in a copy of the place: its folder `out` would be that of the run."""
    place = tmp_path / "place"
    shutil.copytree(pristine, place)
    monkeypatch.chdir(place)

    def run(script: str, *words: str, small: Sequence[str] | None = None) -> Ended:
        small = small if small is not None else TRAIN if script == "train" else EVALUATE
        typed = [*small, "hydra.run.dir=out", *words]
        monkeypatch.setattr(sys, "argv", [f"{script}.py", *typed])
        before = _paths(place)
        capfd.readouterr()
        code = main([script, *typed])
        return Ended(code, shown(capfd.readouterr().err), sorted(_paths(place) - before))

    return run


def _paths(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


def shown(text: str) -> str:
    """What a terminal shows in the end: a bar that was drawn over is gone."""
    lines = [line.rpartition("\r")[2] for line in text.replace("\r\n", "\n").split("\n")]
    return "\n".join(line for line in lines if line.strip())
