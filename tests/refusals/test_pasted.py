"""File names of any kind, from the first command to those that it prints."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from refusals.conftest import TRAIN
from support import ROOT

from upnet.cli.main import main

VALIDATION = "it's [val], ~é 照片"
FOLDER = 'a "run", [of] café\'s $HOME'


def ended(command: str, cwd: Path) -> str:
    """What a command prints that is pasted into a shell."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, cwd=cwd, timeout=300, env=environment
    )
    assert done.returncode == 0, f"{command}\n{done.stderr}"
    return done.stdout


def test_the_commands_that_are_printed_run_when_they_are_pasted(
    pristine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "place"
    shutil.copytree(pristine, place)
    (place / "val").rename(place / VALIDATION)
    shutil.copy(place / "cut/g.png", place / VALIDATION)
    shutil.copy(place / "train/a.png", place / "photo.png")
    monkeypatch.chdir(place)
    typed = ["train.py", *TRAIN, f"hydra.run.dir={FOLDER}", f"data.val_root={VALIDATION}", "data.skip_broken=true"]
    monkeypatch.setattr(sys, "argv", [*typed, "protocol.channel=rgb", "data.cache_dir=a cache"])
    main(["train", *sys.argv[1:]])
    printed = dict(re.findall(r"^(\S.*?\S) {2,}(\S.*)$", capfd.readouterr().out, re.MULTILINE))
    assert shlex.split(printed["Show the training"]) == ["tensorboard", "--logdir", FOLDER]
    assert shlex.split(printed["Comparison image"]) == [f"{FOLDER}/comparison.png"]
    ended(f"{printed['Evaluate the checkpoint']} hydra.run.dir=scored", place)
    ours, theirs = (json.loads((place / run / "results.json").read_text()) for run in ("scored", FOLDER))
    assert ours["datasets"] == theirs["datasets"]
    assert ours["protocol"] == theirs["protocol"]
    ended(printed["Upscale an image"], place)
    assert Image.open(place / "photo_x2.png").size == (100, 96)

    assert main(["train", *sys.argv[1:]]) == 2
    cure = re.search(r"Continue it by (.*), or choose", capfd.readouterr().err)
    assert cure is not None
    monkeypatch.setattr(sys, "argv", [*sys.argv, "steps=4", *shlex.split(cure[1])])
    main(["train", *sys.argv[1:]])
    assert json.loads((place / FOLDER / "results.json").read_text())["step"] == 4


def test_pictures_of_any_name_are_upscaled(
    pristine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "place"
    shutil.copytree(pristine, place)
    monkeypatch.chdir(place)
    monkeypatch.setenv("HOME", str(place / "val"))
    names = ["café.png", "照片.png", "😀.png", "R&B.png", "C#.png", "wow!.png", "it's.png", "a b,c.png", "[x].png"]
    names += ["A$x_$y.png", "~no-such-user.png", "2024.png", os.fsdecode(b"caf\xe9.png")]
    for name in names:
        shutil.copy("val/c.png", name)
        monkeypatch.setattr(sys, "argv", ["evaluate.py", "checkpoint=good.ckpt", f"input={name}", f"output=new {name}"])
        main(["evaluate", *sys.argv[1:]])
        assert Image.open(f"new {name}").size == (100, 96)
    monkeypatch.setattr(sys, "argv", ["evaluate.py", "checkpoint=good.ckpt", "input=~/c.png", "output=~/larger/c.png"])
    main(["evaluate", *sys.argv[1:]])
    assert Image.open("val/larger/c.png").size == (100, 96)
    assert "Traceback" not in capfd.readouterr().err
