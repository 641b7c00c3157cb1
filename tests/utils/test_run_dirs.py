"""Folders of runs: new ones, resumed ones, and one for all processes of a launch."""

import json
import os
import time
from datetime import datetime, tzinfo
from pathlib import Path

import pytest
from hydra.types import RunMode
from support import code, command, forked

from upnet.utils.run_dirs import (
    config_subdir,
    create_run_dir,
    create_sweep_dir,
    current_launch,
    newest_checkpoint,
    resolve_run_dir,
)


def test_resumed_run_continues_in_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert resolve_run_dir(None, "runs/new") == "runs/new"
    assert resolve_run_dir("last", "runs/new") == "runs/new"
    for number, name in enumerate(("runs/old/x", "runs/newest", "elsewhere")):
        path = tmp_path / name / "checkpoints/last.ckpt"
        path.parent.mkdir(parents=True)
        path.touch()
        os.utime(path, (number, number))
    assert resolve_run_dir("last", "runs/new") == "runs/newest"
    assert resolve_run_dir("runs/old/x/checkpoints/last.ckpt", "runs/new") == "runs/old/x"
    assert resolve_run_dir("elsewhere/checkpoints/last-2.ckpt", "runs/new") == "runs/new"  # the file is missing
    (tmp_path / "elsewhere/checkpoints/best.ckpt").touch()
    assert resolve_run_dir("elsewhere/checkpoints/best.ckpt", "runs/new") == "runs/new"
    assert newest_checkpoint(tmp_path) == tmp_path / "elsewhere/checkpoints/last.ckpt"


def test_links_and_relative_paths_to_a_checkpoint_lead_to_its_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "run/checkpoints"
    folder.mkdir(parents=True)
    (folder / "last.ckpt").touch()
    (tmp_path / "link.ckpt").symlink_to("run/checkpoints/last.ckpt")
    (tmp_path / "loop.ckpt").symlink_to("loop.ckpt")
    assert resolve_run_dir(str(tmp_path / "link.ckpt"), "new") == str(tmp_path / "run")
    assert resolve_run_dir(str(tmp_path / "loop.ckpt"), "new") == "new"
    monkeypatch.chdir(folder)
    assert resolve_run_dir("last.ckpt", "new") == str(tmp_path / "run")
    assert resolve_run_dir("./last.ckpt", "new") == str(tmp_path / "run")
    monkeypatch.chdir(folder.parent)
    assert resolve_run_dir("checkpoints/last.ckpt", "new") == "."


def test_config_of_a_resumed_run_is_not_overwritten(tmp_path: Path) -> None:
    assert config_subdir(str(tmp_path)) == "config"
    (tmp_path / "config").mkdir()
    (tmp_path / "config/hydra.yaml").touch()
    assert config_subdir(str(tmp_path)) is None


def test_folder_is_created_only_when_a_run_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for mode in (None, RunMode.MULTIRUN):
        assert resolve_run_dir(None, "runs/new", mode) == create_run_dir("runs/new", mode) == "runs/new"
    for mode in (None, RunMode.RUN):
        assert create_sweep_dir("runs/sweep", mode) == "runs/sweep"
    assert not list(tmp_path.iterdir())
    assert [resolve_run_dir(None, "runs/new", RunMode.RUN) for _ in range(3)] == [
        "runs/new",
        "runs/new-2",
        "runs/new-3",
    ]
    assert [create_sweep_dir("runs/sweep", RunMode.MULTIRUN) for _ in range(2)] == ["runs/sweep", "runs/sweep-2"]


def stop_clock() -> None:
    """Stop the clock of Hydra."""
    from hydra.core import utils

    class Clock(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> "Clock":
            return cls(2026, 1, 2, 8, 0, 0)

    setattr(utils, "datetime", Clock)  # noqa: B010


@pytest.mark.full
def test_runs_that_start_in_the_same_second_have_different_folders(pictures: Path, tmp_path: Path) -> None:
    (tmp_path / "val").mkdir()
    (pictures / "picture0.png").rename(tmp_path / "val/scene.png")
    data = [f"data.root={pictures}", f"data.val_root={tmp_path}/val", "data=folder", "data.patch=8"]
    small = [*data, "model=espcn", "data.batch_size=2", "steps=1", "validations=1", "trainer=cpu"]
    trainings = [command(small, tmp_path / f"train{number}.txt", stop_clock) for number in range(2)]
    assert [code(process) for process in trainings] == [0, 0]
    for name in ("08-00-00-espcn-x2", "08-00-00-espcn-x2-2"):
        run = tmp_path / "runs/2026-01-02" / name
        for file in ("config.yaml", "config/hydra.yaml", "train.log", "results.json", "checkpoints/last.ckpt"):
            assert (run / file).is_file(), file
    baselines = ("nearest", "bicubic")
    evaluations = [
        command([f"baseline={name}", *data[:3]], tmp_path / f"{name}.txt", stop_clock, "evaluate.py")
        for name in baselines
    ]
    assert [code(process) for process in evaluations] == [0, 0]
    written = sorted((tmp_path / "runs/evaluations/2026-01-02").glob("*/results.json"))
    assert [path.parent.name for path in written] == ["08-00-00", "08-00-00-2"]
    assert {json.loads(path.read_text())["method"]["name"] for path in written} == set(baselines)


TORCHRUN = {"TORCHELASTIC_RUN_ID": "none", "MASTER_ADDR": "a", "MASTER_PORT": "29500", "WORLD_SIZE": "2"}
SLURM = {"SLURM_JOB_ID": "7", "SLURM_STEP_ID": "0", "SLURM_NTASKS": "2"}
BY_HAND = {"MASTER_ADDR": "a", "MASTER_PORT": "29500"}


@pytest.mark.parametrize(("launch", "rank"), [(TORCHRUN, "RANK"), (SLURM, "SLURM_PROCID"), (BY_HAND, "NODE_RANK")])
def test_processes_of_one_training_share_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, launch: dict[str, str], rank: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for key, value in launch.items():
        monkeypatch.setenv(key, value)

    def start(number: int) -> None:
        os.environ[rank] = str(number)
        # The names differ, because each process reads the clock.
        (tmp_path / f"{number}.txt").write_text(create_run_dir(f"runs/08-00-0{number}", RunMode.RUN))

    early = forked(lambda: start(1))
    time.sleep(0.3)
    assert not (tmp_path / "1.txt").exists()
    assert code(forked(lambda: start(0))) == code(early) == 0
    assert [(tmp_path / f"{number}.txt").read_text() for number in range(2)] == ["runs/08-00-00"] * 2
    assert [path.name for path in (tmp_path / "runs").iterdir() if path.is_dir()] == ["08-00-00"]


def test_single_process_does_not_wait_for_others(monkeypatch: pytest.MonkeyPatch) -> None:
    for key in (*TORCHRUN, *SLURM):
        monkeypatch.delenv(key, raising=False)
    assert current_launch() is None
    monkeypatch.setenv("SLURM_NTASKS", "4")  # as in a batch script that doesn't use srun
    assert current_launch() is None
