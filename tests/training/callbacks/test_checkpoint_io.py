"""Checkpoint files are complete or absent at each moment."""

import os
from pathlib import Path

import pytest
from support import state

from upnet.training.callbacks import AtomicCheckpointIO, earlier_checkpoints


def test_save_syncs_the_file_before_and_the_folder_after_the_rename(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[str, str]] = []
    sync, replace = os.fsync, os.replace

    def record_sync(handle: int) -> None:
        calls.append(("sync", os.readlink(f"/proc/self/fd/{handle}")))
        sync(handle)

    def record_replace(source: Path, target: Path) -> None:
        calls.append(("rename", f"{source} {target}"))
        replace(source, target)

    if not Path("/proc/self/fd").exists():
        pytest.skip("only Linux reports the name of an open file")
    monkeypatch.setattr(os, "fsync", record_sync)
    monkeypatch.setattr(os, "replace", record_replace)
    last = tmp_path / "last.ckpt"
    AtomicCheckpointIO(keep=0).save_checkpoint({"a": 1}, last)
    temporary = tmp_path / ".last.ckpt.part"
    assert calls == [("sync", str(temporary)), ("rename", f"{temporary} {last}"), ("sync", str(tmp_path))]


def test_earlier_checkpoints_are_found_beyond_a_gap_in_the_numbers(tmp_path: Path) -> None:
    """A process killed between two renames leaves such a gap."""
    for name in ("last.ckpt", "last-2.ckpt", "last-10.ckpt", "last-x.ckpt", "best.ckpt"):
        (tmp_path / name).touch()
    assert [path.name for path in earlier_checkpoints(tmp_path / "last.ckpt")] == ["last-2.ckpt", "last-10.ckpt"]


@pytest.mark.parametrize("links", [True, False], ids=["hard_links", "a_file_system_without_hard_links"])
def test_the_last_checkpoint_is_complete_at_each_rename_and_earlier_ones_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    last, replace = tmp_path / "last.ckpt", os.replace
    steps: list[int] = []

    def reject_link(source: Path, target: Path) -> None:
        raise OSError(1, "Operation not permitted")

    def record_replace(source: Path, target: Path) -> None:
        steps.append(state(last)["step"])
        replace(source, target)
        steps.append(state(last)["step"])

    checkpoint_io = AtomicCheckpointIO(keep=2)
    checkpoint_io.save_checkpoint({"step": 0}, last)
    if not links:
        monkeypatch.setattr(os, "link", reject_link)
    monkeypatch.setattr(os, "replace", record_replace)
    for step in range(1, 5):
        checkpoint_io.save_checkpoint({"step": step}, last)
    assert steps == sorted(steps)
    kept = {path.name: state(path)["step"] for path in tmp_path.iterdir()}
    assert kept == {"last.ckpt": 4, "last-1.ckpt": 3, "last-2.ckpt": 2}


@pytest.mark.parametrize("links", [True, False], ids=["hard_links", "a_file_system_without_hard_links"])
def test_the_second_name_is_created_first_and_the_file_is_written_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    last, best, replace = tmp_path / "last.ckpt", tmp_path / "best.ckpt", os.replace
    renamed: list[str] = []

    def reject_link(source: Path, target: Path) -> None:
        raise OSError(1, "Operation not permitted")

    def record_replace(source: Path, target: Path) -> None:
        renamed.append(Path(target).name)
        replace(source, target)

    if not links:
        monkeypatch.setattr(os, "link", reject_link)
    monkeypatch.setattr(os, "replace", record_replace)
    checkpoint_io = AtomicCheckpointIO(keep=1)
    checkpoint_io.save_checkpoint({"step": 1}, last, best)
    assert renamed == ["best.ckpt", "last.ckpt"]
    assert os.path.samefile(best, last) == links
    checkpoint_io.save_checkpoint({"step": 2}, last)
    assert renamed[2:] == ["last-1.ckpt", "last.ckpt"]
    # A new file replaces the old one: other hard links to the old file keep their content.
    assert {path.name: state(path)["step"] for path in tmp_path.iterdir()} == {
        "best.ckpt": 1,
        "last-1.ckpt": 1,
        "last.ckpt": 2,
    }
