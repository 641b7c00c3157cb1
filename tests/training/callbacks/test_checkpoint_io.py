"""Checkpoint files: whole or not there, whatever happens."""

import os
from pathlib import Path

import pytest
from support import state

from upnet.training.callbacks import AtomicCheckpointIO, earlier_checkpoints


def test_a_checkpoint_is_on_the_disk_before_it_has_its_name_and_its_name_before_the_call_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[str, str]] = []
    sync, replace = os.fsync, os.replace

    def synced(handle: int) -> None:
        told.append(("sync", os.readlink(f"/proc/self/fd/{handle}")))
        sync(handle)

    def replaced(one: Path, other: Path) -> None:
        told.append(("rename", f"{one} {other}"))
        replace(one, other)

    if not Path("/proc/self/fd").exists():
        pytest.skip("only Linux tells the name of an open file")
    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", replaced)
    last = tmp_path / "last.ckpt"
    AtomicCheckpointIO(keep=0).save_checkpoint({"a": 1}, last)
    aside = tmp_path / ".last.ckpt.part"
    assert told == [("sync", str(aside)), ("rename", f"{aside} {last}"), ("sync", str(tmp_path))]


def test_earlier_states_are_found_beyond_a_gap(tmp_path: Path) -> None:
    """As a process leaves one that is killed between two renamings."""
    for name in ("last.ckpt", "last-2.ckpt", "last-10.ckpt", "last-x.ckpt", "best.ckpt"):
        (tmp_path / name).touch()
    assert [path.name for path in earlier_checkpoints(tmp_path / "last.ckpt")] == ["last-2.ckpt", "last-10.ckpt"]


@pytest.mark.parametrize("links", [True, False], ids=["hard_links", "a_file_system_without_hard_links"])
def test_a_whole_last_checkpoint_is_there_at_every_moment_and_as_many_earlier_ones_as_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    last, replace = tmp_path / "last.ckpt", os.replace
    seen: list[int] = []

    def refused(one: Path, other: Path) -> None:
        raise OSError(1, "Operation not permitted")

    def replaced(one: Path, other: Path) -> None:
        seen.append(state(last)["step"])
        replace(one, other)
        seen.append(state(last)["step"])

    files = AtomicCheckpointIO(keep=2)
    files.save_checkpoint({"step": 0}, last)
    if not links:
        monkeypatch.setattr(os, "link", refused)
    monkeypatch.setattr(os, "replace", replaced)
    for step in range(1, 5):
        files.save_checkpoint({"step": step}, last)
    assert seen == sorted(seen)
    kept = {path.name: state(path)["step"] for path in tmp_path.iterdir()}
    assert kept == {"last.ckpt": 4, "last-1.ckpt": 3, "last-2.ckpt": 2}


@pytest.mark.parametrize("links", [True, False], ids=["hard_links", "a_file_system_without_hard_links"])
def test_a_second_name_is_there_before_the_first_and_a_file_is_written_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    last, best, replace = tmp_path / "last.ckpt", tmp_path / "best.ckpt", os.replace
    renamed: list[str] = []

    def refused(one: Path, other: Path) -> None:
        raise OSError(1, "Operation not permitted")

    def replaced(one: Path, other: Path) -> None:
        renamed.append(Path(other).name)
        replace(one, other)

    if not links:
        monkeypatch.setattr(os, "link", refused)
    monkeypatch.setattr(os, "replace", replaced)
    files = AtomicCheckpointIO(keep=1)
    files.save_checkpoint({"step": 1}, last, best)
    assert renamed == ["best.ckpt", "last.ckpt"]
    assert os.path.samefile(best, last) == links
    files.save_checkpoint({"step": 2}, last)
    assert renamed[2:] == ["last-1.ckpt", "last.ckpt"]
    # The file that replaces another is a new one: no other name of the old one changes with it.
    assert {path.name: state(path)["step"] for path in tmp_path.iterdir()} == {
        "best.ckpt": 1,
        "last-1.ckpt": 1,
        "last.ckpt": 2,
    }
