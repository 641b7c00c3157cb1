"""Atomic writes, and names that must stay inside a folder."""

import os
from pathlib import Path

import pytest

from upnet.utils.atomic_io import atomic_write
from upnet.utils.paths import resolve_inside


def test_link_is_replaced_and_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / "in").mkdir()
    (tmp_path / "in/a.json").symlink_to(victim)
    atomic_write("new", tmp_path / "in/a.json")
    assert victim.read_text() == "precious"
    assert os.listdir(tmp_path / "in") == ["a.json"]
    assert (tmp_path / "in/a.json").read_text() == "new"
    assert not (tmp_path / "in/a.json").is_symlink()


def test_failed_write_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    atomic_write("old", tmp_path / "a")
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(OSError, match="No space left"):
        atomic_write(b"new", tmp_path / "a")
    assert os.listdir(tmp_path) == ["a"]
    assert (tmp_path / "a").read_text() == "old"


@pytest.mark.parametrize("name", ["..", "../b", "a/../../b", "/etc/passwd", "out", "out/c"])
def test_name_outside_the_folder_is_rejected(tmp_path: Path, name: str) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a/out").symlink_to(tmp_path)
    with pytest.raises(ValueError, match="leads out of"):
        resolve_inside(tmp_path / "a", name)
    assert resolve_inside(tmp_path / "a", "b/../c") == tmp_path / "a/b/../c"
