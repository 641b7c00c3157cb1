"""The error of a run that cannot write its files states which checkpoint is saved."""

import errno
import os
from pathlib import Path

import pytest

from upnet.training.run_files import UnwritableRunError, explain_disk_errors


@pytest.mark.parametrize("name", ["ENOSPC", "EDQUOT", "EFBIG", "EROFS", "EACCES", "EPERM", "EIO"])
@pytest.mark.parametrize("saved", [True, False], ids=["saved", "nothing_saved"])
def test_a_write_error_states_which_checkpoint_is_saved(tmp_path: Path, name: str, saved: bool) -> None:
    number, last = getattr(errno, name), tmp_path / "checkpoints/last.ckpt"
    if saved:
        last.parent.mkdir()
        last.touch()
    status = f"The last checkpoint is intact: {last}" if saved else "No checkpoint was saved yet"
    resume = f"ckpt={last} hydra.run.dir={tmp_path}" if saved else f"hydra.run.dir={tmp_path}"
    with pytest.raises(UnwritableRunError) as raised, explain_disk_errors(tmp_path):
        raise OSError(number, os.strerror(number), "log")
    assert str(raised.value) == (
        f"log cannot be written: {os.strerror(number)}. {status}. Free some space or make the folder writable, and "
        f"continue with the same command and {resume}"
    )


def test_other_file_errors_are_raised_unchanged(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), explain_disk_errors(tmp_path):
        raise FileNotFoundError(errno.ENOENT, "No such file or directory", "picture.png")
