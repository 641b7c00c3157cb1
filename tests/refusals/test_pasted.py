"""File names of any characters, in commands that are typed and in those that upnet prints."""

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

from upnet.cli.main import main

VALIDATION = "it's [val], ~é 照片"
FOLDER = 'a "run", [of] café\'s $HOME'


def run_pasted(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Paste a command that upnet printed into bash, and run it in this process with the arguments that bash passes."""
    python = tmp_path / "bin/python"
    python.parent.mkdir(exist_ok=True)
    python.write_text(f"#!/bin/sh\nprintf '%s\\0' \"$@\" > {shlex.quote(str(tmp_path / 'arguments'))}\n")
    python.chmod(0o755)
    path = os.pathsep.join([str(python.parent), os.environ["PATH"]])
    subprocess.run(["bash", "-c", command], check=True, timeout=60, env={**os.environ, "PATH": path})
    script, *arguments = (tmp_path / "arguments").read_text().split("\0")[:-1]
    assert Path(script).is_file()
    monkeypatch.setattr(sys, "argv", [script, *arguments])
    assert main([Path(script).stem, *arguments]) == 0


def test_printed_commands_run_when_they_are_pasted(
    copied_workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    place = copied_workspace
    (place / "val").rename(place / VALIDATION)
    shutil.copy(place / "cut/g.png", place / VALIDATION)
    shutil.copy(place / "train/a.png", place / "photo.png")
    monkeypatch.chdir(place)
    typed = [*TRAIN, f"hydra.run.dir={FOLDER}", f"data.val_root={VALIDATION}", "data.skip_broken=true"]
    typed += ["protocol.channel=rgb", "data.cache_dir=a cache"]
    monkeypatch.setattr(sys, "argv", ["train.py", *typed])
    main(["train", *typed])
    printed = dict(re.findall(r"^(\S.*?\S) {2,}(\S.*)$", capfd.readouterr().out, re.MULTILINE))
    assert shlex.split(printed["Show the training"]) == ["tensorboard", "--logdir", FOLDER]
    assert shlex.split(printed["Comparison image"]) == [f"{FOLDER}/comparison.png"]
    run_pasted(f"{printed['Evaluate the checkpoint']} hydra.run.dir=evaluated", tmp_path, monkeypatch)
    evaluated, trained = (json.loads((place / run / "results.json").read_text()) for run in ("evaluated", FOLDER))
    assert evaluated["datasets"] == trained["datasets"]
    assert evaluated["protocol"] == trained["protocol"]
    run_pasted(printed["Upscale an image"], tmp_path, monkeypatch)
    assert Image.open(place / "photo_x2.png").size == (100, 96)

    monkeypatch.setattr(sys, "argv", ["train.py", *typed])
    assert main(["train", *typed]) == 2
    cure = re.search(r"Continue it by (.*), or choose", capfd.readouterr().err)
    assert cure is not None
    resumed = [*typed, "steps=4", *shlex.split(cure[1])]
    monkeypatch.setattr(sys, "argv", ["train.py", *resumed])
    main(["train", *resumed])
    assert json.loads((place / FOLDER / "results.json").read_text())["step"] == 4


@pytest.mark.full
def test_images_of_any_file_name_are_upscaled(
    copied_workspace: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(copied_workspace)
    monkeypatch.setenv("HOME", str(copied_workspace / "val"))
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
