"""Where a run's files go."""

import os
from pathlib import Path

import pytest

from upnet.folders import folder_of_config, folder_of_run, newest_checkpoint


def test_a_run_goes_on_in_its_own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert folder_of_run(None, "runs/new") == "runs/new"
    assert folder_of_run("last", "runs/new") == "runs/new"
    for number, name in enumerate(("runs/old/x", "runs/newest", "elsewhere")):
        path = tmp_path / name / "checkpoints/last.ckpt"
        path.parent.mkdir(parents=True)
        path.touch()
        os.utime(path, (number, number))
    assert folder_of_run("last", "runs/new") == "runs/newest"
    assert folder_of_run("runs/old/x/checkpoints/last.ckpt", "runs/new") == "runs/old/x"
    assert folder_of_run("elsewhere/checkpoints/last-2.ckpt", "runs/new") == "runs/new"  # it isn't there
    (tmp_path / "elsewhere/checkpoints/best.ckpt").touch()
    assert folder_of_run("elsewhere/checkpoints/best.ckpt", "runs/new") == "runs/new"
    assert newest_checkpoint(tmp_path) == tmp_path / "elsewhere/checkpoints/last.ckpt"


def test_the_command_that_a_folder_was_begun_by_is_not_written_over(tmp_path: Path) -> None:
    assert folder_of_config(str(tmp_path)) == "config"
    (tmp_path / "config").mkdir()
    (tmp_path / "config/hydra.yaml").touch()
    assert folder_of_config(str(tmp_path)) is None
