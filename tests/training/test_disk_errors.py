"""A run that can't be written any more is told in one sentence, with what it has kept."""

import errno
import os
from pathlib import Path

import pytest

from upnet.training.run_files import UnwritableRunError, explain_disk_errors


@pytest.mark.parametrize("name", ["ENOSPC", "EDQUOT", "EFBIG", "EROFS", "EACCES", "EPERM", "EIO"])
@pytest.mark.parametrize("saved", [True, False], ids=["saved", "nothing_saved"])
def test_whatever_keeps_a_run_from_writing_is_told_with_what_it_has_kept(
    tmp_path: Path, name: str, saved: bool
) -> None:
    number, last = getattr(errno, name), tmp_path / "checkpoints/last.ckpt"
    if saved:
        last.parent.mkdir()
        last.touch()
    kept = f"What was saved is whole: {last}" if saved else "Nothing was saved yet"
    again = f"with ckpt={last} hydra.run.dir={tmp_path}" if saved else f"with hydra.run.dir={tmp_path}"
    with pytest.raises(UnwritableRunError) as told, explain_disk_errors(tmp_path):
        raise OSError(number, os.strerror(number), "log")
    assert str(told.value) == (
        f"log can't be written: {os.strerror(number)}. {kept}. Make room, or make it writable, and go on by the same "
        f"command {again}"
    )


def test_other_faults_of_files_are_not_taken_for_it(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), explain_disk_errors(tmp_path):
        raise FileNotFoundError(errno.ENOENT, "No such file or directory", "picture.png")
