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


def test_a_link_and_a_path_inside_the_folder_name_the_same_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "run/checkpoints"
    folder.mkdir(parents=True)
    (folder / "last.ckpt").touch()
    (tmp_path / "link.ckpt").symlink_to("run/checkpoints/last.ckpt")
    (tmp_path / "loop.ckpt").symlink_to("loop.ckpt")
    assert folder_of_run(str(tmp_path / "link.ckpt"), "new") == str(tmp_path / "run")
    assert folder_of_run(str(tmp_path / "loop.ckpt"), "new") == "new"
    monkeypatch.chdir(folder)
    assert folder_of_run("last.ckpt", "new") == str(tmp_path / "run")
    assert folder_of_run("./last.ckpt", "new") == str(tmp_path / "run")
    monkeypatch.chdir(folder.parent)
    assert folder_of_run("checkpoints/last.ckpt", "new") == "."


def test_the_command_that_a_folder_was_begun_by_is_not_written_over(tmp_path: Path) -> None:
    assert folder_of_config(str(tmp_path)) == "config"
    (tmp_path / "config").mkdir()
    (tmp_path / "config/hydra.yaml").touch()
    assert folder_of_config(str(tmp_path)) is None
