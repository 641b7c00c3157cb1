"""A folder with images, checkpoints and damaged files, and a fixture that runs a command in it."""

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
from upnet.cli import app
from upnet.cli.errors import as_user_error
from upnet.cli.main import main
from upnet.config import build, check
from upnet.config.schema import TrainSettings
from upnet.training.ema import EMA
from upnet.training.factory import training_settings
from upnet.utils.errors import UserError

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
"""A training of one second."""
EVALUATE = ["data=folder", "data.root=val"]


@dataclass(frozen=True)
class Ended:
    """How a command ended.

    error: the error that was reported, or None.
    stderr: what a terminal shows of the error stream.
    created: paths that did not exist before.
    """

    code: int
    error: UserError | None
    stderr: str
    created: list[str]


Run = Callable[..., Ended]
"""run("train", "steps=0"): run a command with arguments after those of a small use of it."""


@pytest.fixture(scope="session")
def workspace(tmp_path_factory: pytest.TempPathFactory, compose: Compose) -> Path:
    """Images, pairs, checkpoints, results and files that are none of these. Tests leave it as it is."""
    root = tmp_path_factory.mktemp("workspace")
    rng = np.random.default_rng(0)

    def save_image(path: str, height: int = 48, width: int = 50) -> None:
        coarse = Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8))
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        coarse.resize((width, height), Image.Resampling.BICUBIC).save(root / path)

    for path in ("train/a.png", "train/b.png", "val/c.png", "small/d.png", "pairs/HR/e.png", "pairs/HR/f.png"):
        save_image(path)
    save_image("pairs/LR_bicubic/X2/ex2.png", 24, 25)
    for path in ("unequal/HR/e.png", "unequal/LR_bicubic/X2/ex2.png"):
        save_image(path)
    save_image("small/tiny.png", 1, 1)
    save_image("wide/bomb.png", 40, 500)
    (root / "empty").mkdir()
    (root / "cut").mkdir()
    (root / "cut/g.png").write_bytes((root / "train/a.png").read_bytes()[:500])
    (root / "text").mkdir()
    (root / "text/h.png").write_text("no image", encoding="utf-8")
    (root / "floats").mkdir()
    Image.fromarray(rng.random((32, 32), dtype=np.float32)).save(root / "floats/i.tif")
    config = compose(*TRAIN)
    with open_dict(config):
        config.run_dir = "run"
    net = build(config.model)
    state = {f"net.{key}": value for key, value in net.state_dict().items()}
    state |= {f"ema.net.{key}": value for key, value in EMA(net, 0.9).net.state_dict().items()}
    settings = check(config, TrainSettings)
    metadata = describe(settings.model, training_settings(settings), 2, 2)
    torch.save({"upnet": metadata, "state_dict": state}, root / "good.ckpt")
    torch.save({"upnet": {**metadata, "format": 99}, "state_dict": state}, root / "later.ckpt")
    torch.save({"weights": torch.zeros(3)}, root / "foreign.ckpt")
    (root / "cut.ckpt").write_bytes((root / "good.ckpt").read_bytes()[:2000])
    (root / "later.json").write_text(json.dumps({"schema": 99}), encoding="utf-8")
    return root


@pytest.fixture
def copied_workspace(workspace: Path, tmp_path: Path) -> Path:
    """A copy of the workspace for a test that changes it."""
    return shutil.copytree(workspace, tmp_path / "workspace")


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """Run a command in this process and in the present folder; the folder of its run is `out`."""
    # Hydra composes the config once to read hydra.mode, and a second time to run the job.
    monkeypatch.setattr("hydra._internal.hydra.Hydra.get_mode", lambda *_, **__: None)

    def run(command: str, *arguments: str, small: Sequence[str] | None = None) -> Ended:
        small = small if small is not None else TRAIN if command == "train" else EVALUATE
        argv = [*small, "hydra.run.dir=out", *arguments]
        monkeypatch.setattr(sys, "argv", [f"{command}.py", *argv])
        errors: list[UserError | None] = []

        def record(*given: object) -> UserError | None:
            errors.append(as_user_error(*given))  # pyright: ignore[reportArgumentType]
            return errors[-1]

        monkeypatch.setattr(app, "as_user_error", record)
        before = _paths(Path())
        assert not Path("out").exists(), sorted(_paths(Path("out")))
        capfd.readouterr()
        code = main([command, *argv])
        created = sorted(_paths(Path()) - before)
        return Ended(code, errors[0] if errors else None, shown(capfd.readouterr().err), created)

    return run


def _paths(folder: Path) -> set[str]:
    return {path.as_posix() for path in folder.rglob("*")}


def shown(text: str) -> str:
    """What a terminal shows in the end: without progress bars that were drawn over."""
    lines = [line.rpartition("\r")[2] for line in text.replace("\r\n", "\n").split("\n")]
    return "\n".join(line for line in lines if line.strip())
