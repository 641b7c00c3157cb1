"""Full disks, read-only folders and folders in use by another run: saved checkpoints are kept."""

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
def overrides(small: list[str]) -> list[str]:
    """Overrides of a training that writes few files except its checkpoints."""
    return [*small, *LEAN]


def check_kept(run: Path, step: int) -> None:
    """Check that the last checkpoint is complete and that there are no temporary files and no results."""
    assert load_network(run / "checkpoints/last.ckpt").step == step
    assert not list((run / "checkpoints").glob(".*"))
    assert not (run / "results.json").exists()


def test_a_run_on_a_full_disk_keeps_its_checkpoint_and_resumes_after_space_is_freed(
    tiny, overrides: list[str], tmp_path: Path, disk: Path
) -> None:
    train(tiny(*LEAN, run="reference"))
    size = (tmp_path / "reference/checkpoints/last.ckpt").stat().st_size
    # The disk holds one checkpoint, which best.ckpt and last.ckpt share, but not two.
    remount(disk, f"size={int(1.6 * size)}")
    run, output = disk / "run", tmp_path / "output.txt"
    assert code(command([*overrides, f"hydra.run.dir={run}"], output)) == 1, output.read_text()
    last = run / "checkpoints/last.ckpt"
    assert (
        f"cannot be written: No space left on device. The last checkpoint is intact: {last}. Free some space or make "
        f"the folder writable, and continue with the same command and ckpt={last} hydra.run.dir={run}"
    ) in output.read_text()
    check_kept(run, 3)
    remount(disk, "size=64m")
    assert code(command([*overrides, f"ckpt={last}"], output)) == 0, output.read_text()
    assert differing_parts(tmp_path / "reference", run) == []


def test_a_file_size_limit_keeps_the_last_checkpoint(overrides: list[str], tmp_path: Path) -> None:
    """A file size limit replaces the full disk, so the test needs no mount."""

    def limit_size() -> None:
        original = AtomicCheckpointIO.save_checkpoint

        def save(self: AtomicCheckpointIO, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
            if checkpoint["global_step"] == 6:
                resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
            original(self, checkpoint, path, storage_options)

        AtomicCheckpointIO.save_checkpoint = save

    output = tmp_path / "output.txt"
    assert code(command([*overrides, f"hydra.run.dir={tmp_path}/run"], output, limit_size)) == 1, output.read_text()
    assert "cannot be written: File too large. The last checkpoint is intact:" in output.read_text()
    check_kept(tmp_path / "run", 3)


@pytest.mark.full
def test_an_unwritable_log_stops_the_run(tiny, small: list[str], tmp_path: Path, disk: Path) -> None:
    """The log is on another disk than the checkpoints."""
    train(tiny("validations=6", run="reference"))
    size = sum(path.stat().st_size for path in (tmp_path / "reference/tensorboard").iterdir())
    remount(disk, f"size={size // 2}")
    overrides, output = [*small, "validations=6", f"logger.save_dir={disk}"], tmp_path / "output.txt"
    assert code(command([*overrides, f"hydra.run.dir={tmp_path}/run"], output)) == 1, output.read_text()
    assert "cannot be written: No space left on device. The last checkpoint is intact:" in output.read_text()
    assert 1 <= load_network(tmp_path / "run/checkpoints/last.ckpt").step < 6


def test_a_cache_on_a_full_disk_stops_the_run_before_training(small: list[str], tmp_path: Path, disk: Path) -> None:
    remount(disk, "size=16k")
    overrides = [*small, f"data.cache_dir={disk}/cache", f"hydra.run.dir={tmp_path}/run"]
    output = tmp_path / "output.txt"
    assert code(command(overrides, output)) == 1, output.read_text()
    assert (
        f"{disk}/cache: No space left on device. Choose a folder with enough space by data.cache_dir=FOLDER"
        in output.read_text()
    )
    assert not (disk / "cache").exists()
    assert not (tmp_path / "run").exists()


def make_read_only(folder: Path) -> None:
    """Make a folder read-only: by a remount for the superuser, who ignores permissions, else by its permissions."""
    if os.geteuid() == 0:
        remount(folder, "ro")
    else:
        for path in (folder, *folder.rglob("*")):
            path.chmod(path.stat().st_mode & ~0o222)


@pytest.fixture
def writable_folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A folder that can be made read-only; for the superuser it is a mounted disk."""
    folder = request.getfixturevalue("disk") if os.geteuid() == 0 else tmp_path / "writable"
    folder.mkdir(exist_ok=True)
    return folder


def test_a_read_only_folder_is_rejected_before_training(
    overrides: list[str], tmp_path: Path, writable_folder: Path
) -> None:
    make_read_only(writable_folder)
    output = tmp_path / "output.txt"
    assert code(command([*overrides, f"hydra.run.dir={writable_folder}/run"], output)) == 2, output.read_text()
    assert "hydra.run.dir=" in output.read_text()
    assert "Traceback" not in output.read_text()


def test_a_folder_that_cannot_be_created_is_rejected_with_a_suggestion(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    message = r"file/run cannot be written: Not a directory\. Choose a writable folder by hydra\.run\.dir="
    with pytest.raises(ValueError, match=message), exclusive_run_dir(tmp_path / "file/run"):
        pass


def test_a_run_in_a_folder_that_became_read_only_is_not_resumed(
    tiny, overrides: list[str], tmp_path: Path, writable_folder: Path
) -> None:
    if os.geteuid() == 0:
        remount(writable_folder, "size=8m")
    train(tiny(*LEAN, "steps=3", "validations=1", run=str(writable_folder / "run")))
    last, output = writable_folder / "run/checkpoints/last.ckpt", tmp_path / "output.txt"
    before = last.read_bytes()
    make_read_only(writable_folder)
    assert code(command([*overrides, f"ckpt={last}"], output)) == 2, output.read_text()
    assert "hydra.run.dir=" in output.read_text()
    assert last.read_bytes() == before


def test_a_second_run_in_the_same_folder_is_rejected_and_the_first_continues(
    overrides: list[str], tmp_path: Path
) -> None:
    run, output = tmp_path / "run", tmp_path / "output.txt"

    def hold_run_dir() -> None:
        with exclusive_run_dir(run):
            (run / "config").mkdir()
            (run / "config/hydra.yaml").write_text("of the first")
            while not (tmp_path / "done").exists():
                time.sleep(0.01)

    first = forked(hold_run_dir)
    try:
        while not (run / "config/hydra.yaml").exists():
            time.sleep(0.01)
        assert code(command([*overrides, f"hydra.run.dir={run}"], output)) == 2, output.read_text()
    finally:
        (tmp_path / "done").touch()
    assert code(first) == 0
    assert f"another run is writing to {run}. Wait for it, or choose another folder by" in output.read_text()
    assert (run / "config/hydra.yaml").read_text() == "of the first"
    assert not (run / "config.yaml").exists()


def test_a_new_run_does_not_overwrite_the_checkpoints_of_another(tiny, tmp_path: Path) -> None:
    train(tiny("steps=2", "validations=1"))
    files = {path: path.stat().st_mtime_ns for path in (tmp_path / "run").rglob("*") if path.name != ".lock"}
    with pytest.raises(
        ValueError, match=r"run holds the checkpoints of another run\. Continue it by ckpt=.*last\.ckpt"
    ):
        train(tiny("steps=4", "validations=1"))
    assert {path: path.stat().st_mtime_ns for path in files} == files
