"""Disks that are full, folders that can't be written, and folders that somebody else has: nothing saved is lost."""

import os
import resource
import time
from pathlib import Path
from typing import Any

import pytest
from comparison import differing_parts
from support import code, command, forked, remount

from upnet.checkpoint import load_network
from upnet.training import train
from upnet.training.callbacks import AtomicCheckpointIO
from upnet.training.runner import exclusive_run_dir

LEAN = ("steps=9", "validations=3", "callbacks.grid=null", "scheduler.warmup=2", "trainer.log_every_n_steps=1")


@pytest.fixture
def words(small: list[str]) -> list[str]:
    """The command of a training that writes little but its checkpoints."""
    return [*small, *LEAN]


def check_kept(run: Path, step: int) -> None:
    """The last checkpoint is whole, nothing lies beside it half, and nothing claims to be a result."""
    assert load_network(run / "checkpoints/last.ckpt").step == step
    assert not list((run / "checkpoints").glob(".*"))
    assert not (run / "results.json").exists()


def test_a_full_disk_loses_no_checkpoint_and_with_room_the_run_goes_on(
    tiny, words: list[str], tmp_path: Path, disk: Path
) -> None:
    train(tiny(*LEAN, run="whole"))
    size = (tmp_path / "whole/checkpoints/last.ckpt").stat().st_size
    # One state fits, which best.ckpt and last.ckpt share, and one more beside it doesn't.
    remount(disk, f"size={int(1.6 * size)}")
    run, told = disk / "run", tmp_path / "told.txt"
    assert code(command([*words, f"hydra.run.dir={run}"], told)) == 1, told.read_text()
    last = run / "checkpoints/last.ckpt"
    assert (
        f"cannot be written: No space left on device. The last checkpoint is intact: {last}. Free some space or make "
        f"the folder writable, and continue with the same command and ckpt={last} hydra.run.dir={run}"
    ) in told.read_text()
    check_kept(run, 3)
    remount(disk, "size=64m")
    assert code(command([*words, f"ckpt={last}"], told)) == 0, told.read_text()
    assert differing_parts(tmp_path / "whole", run) == []


def test_a_limit_of_the_size_of_files_loses_no_checkpoint(words: list[str], tmp_path: Path) -> None:
    """The same where no disk can be made for it."""

    def limited() -> None:
        honest = AtomicCheckpointIO.save_checkpoint

        def save(self: AtomicCheckpointIO, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
            if checkpoint["global_step"] == 6:
                resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
            honest(self, checkpoint, path, storage_options)

        AtomicCheckpointIO.save_checkpoint = save

    told = tmp_path / "told.txt"
    assert code(command([*words, f"hydra.run.dir={tmp_path}/run"], told, limited)) == 1, told.read_text()
    assert "cannot be written: File too large. The last checkpoint is intact:" in told.read_text()
    check_kept(tmp_path / "run", 3)


@pytest.mark.full
def test_a_log_that_cannot_be_written_stops_the_run(tiny, small: list[str], tmp_path: Path, disk: Path) -> None:
    """Here it lies on another disk than the checkpoints."""
    train(tiny("validations=6", run="whole"))
    size = sum(path.stat().st_size for path in (tmp_path / "whole/tensorboard").iterdir())
    remount(disk, f"size={size // 2}")
    words, told = [*small, "validations=6", f"logger.save_dir={disk}"], tmp_path / "told.txt"
    assert code(command([*words, f"hydra.run.dir={tmp_path}/run"], told)) == 1, told.read_text()
    assert "cannot be written: No space left on device. The last checkpoint is intact:" in told.read_text()
    assert 1 <= load_network(tmp_path / "run/checkpoints/last.ckpt").step < 6


def test_a_store_that_finds_no_room_stops_the_run_before_it_begins(
    small: list[str], tmp_path: Path, disk: Path
) -> None:
    remount(disk, "size=16k")
    words, told = [*small, f"data.cache_dir={disk}/cache", f"hydra.run.dir={tmp_path}/run"], tmp_path / "told.txt"
    assert code(command(words, told)) == 1, told.read_text()
    assert (
        f"{disk}/cache: No space left on device. Choose a folder with enough space by data.cache_dir=FOLDER"
        in told.read_text()
    )
    assert not (disk / "cache").exists()
    assert not (tmp_path / "run").exists()


def read_only(folder: Path) -> None:
    """No permission would hold the superuser back."""
    if os.geteuid() == 0:
        remount(folder, "ro")
    else:
        for path in (folder, *folder.rglob("*")):
            path.chmod(path.stat().st_mode & ~0o222)


@pytest.fixture
def shelf(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A folder that can be made read-only: for the superuser, a disk."""
    folder = request.getfixturevalue("disk") if os.geteuid() == 0 else tmp_path / "shelf"
    folder.mkdir(exist_ok=True)
    return folder


def test_a_read_only_folder_is_refused_before_anything_is_trained(
    words: list[str], tmp_path: Path, shelf: Path
) -> None:
    read_only(shelf)
    told = tmp_path / "told.txt"
    assert code(command([*words, f"hydra.run.dir={shelf}/run"], told)) == 2, told.read_text()
    assert "hydra.run.dir=" in told.read_text()
    assert "Traceback" not in told.read_text()


def test_a_folder_that_cannot_be_made_is_refused_with_a_cure(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    refusal = r"file/run cannot be written: Not a directory\. Choose a writable folder by hydra\.run\.dir="
    with pytest.raises(ValueError, match=refusal), exclusive_run_dir(tmp_path / "file/run"):
        pass


def test_a_run_whose_folder_became_read_only_is_not_gone_on_with(
    tiny, words: list[str], tmp_path: Path, shelf: Path
) -> None:
    if os.geteuid() == 0:
        remount(shelf, "size=8m")
    train(tiny(*LEAN, "steps=3", "validations=1", run=str(shelf / "run")))
    last, told = shelf / "run/checkpoints/last.ckpt", tmp_path / "told.txt"
    before = last.read_bytes()
    read_only(shelf)
    assert code(command([*words, f"ckpt={last}"], told)) == 2, told.read_text()
    assert "hydra.run.dir=" in told.read_text()
    assert last.read_bytes() == before


def test_a_second_run_in_the_same_folder_is_refused_and_the_first_goes_on(words: list[str], tmp_path: Path) -> None:
    run, told = tmp_path / "run", tmp_path / "told.txt"

    def hold() -> None:
        with exclusive_run_dir(run):
            (run / "config").mkdir()
            (run / "config/hydra.yaml").write_text("of the first")
            while not (tmp_path / "done").exists():
                time.sleep(0.01)

    first = forked(hold)
    try:
        while not (run / "config/hydra.yaml").exists():
            time.sleep(0.01)
        assert code(command([*words, f"hydra.run.dir={run}"], told)) == 2, told.read_text()
    finally:
        (tmp_path / "done").touch()
    assert code(first) == 0
    assert f"another run is writing to {run}. Wait for it, or choose another folder by" in told.read_text()
    assert (run / "config/hydra.yaml").read_text() == "of the first"
    assert not (run / "config.yaml").exists()


def test_a_run_from_the_start_does_not_take_the_place_of_another(tiny, tmp_path: Path) -> None:
    train(tiny("steps=2", "validations=1"))
    files = {path: path.stat().st_mtime_ns for path in (tmp_path / "run").rglob("*") if path.name != ".lock"}
    with pytest.raises(
        ValueError, match=r"run holds the checkpoints of another run\. Continue it by ckpt=.*last\.ckpt"
    ):
        train(tiny("steps=4", "validations=1"))
    assert {path: path.stat().st_mtime_ns for path in files} == files
