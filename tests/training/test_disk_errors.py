"""A run that cannot write its files ends with one sentence, which says what is saved."""

import errno
import os
from pathlib import Path

import pytest

from upnet.training.run_files import UnwritableRunError, explain_disk_errors


@pytest.mark.parametrize("name", ["ENOSPC", "EDQUOT", "EFBIG", "EROFS", "EACCES", "EPERM", "EIO"])
@pytest.mark.parametrize("saved", [True, False], ids=["saved", "nothing_saved"])
def test_an_error_of_writing_is_explained_with_what_is_saved(tmp_path: Path, name: str, saved: bool) -> None:
    number, last = getattr(errno, name), tmp_path / "checkpoints/last.ckpt"
    if saved:
        last.parent.mkdir()
        last.touch()
    kept = f"The last checkpoint is intact: {last}" if saved else "No checkpoint was saved yet"
    resume = f"ckpt={last} hydra.run.dir={tmp_path}" if saved else f"hydra.run.dir={tmp_path}"
    with pytest.raises(UnwritableRunError) as caught, explain_disk_errors(tmp_path):
        raise OSError(number, os.strerror(number), "log")
    assert str(caught.value) == (
        f"log cannot be written: {os.strerror(number)}. {kept}. Free some space or make the folder writable, and "
        f"continue with the same command and {resume}"
    )


def test_other_errors_of_files_pass_unchanged(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), explain_disk_errors(tmp_path):
        raise FileNotFoundError(errno.ENOENT, "No such file or directory", "picture.png")
