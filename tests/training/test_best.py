"""best.ckpt is replaced only by a checkpoint with a higher score, also in a moved or linked run folder."""

import shutil
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
from support import score_by

from upnet.checkpoint import load_network
from upnet.training import train
from upnet.training.callbacks.checkpoints import read_best_psnr

STORED = Path(__file__).resolve().parent.parent / "checkpoint/stored"
LEAN = ("callbacks.grid=null", "validations=3")


def moved(run: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Rename the run folder."""
    return run.rename(run.with_name("moved"))


def linked(run: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Create a symbolic link to the run folder."""
    link = run.with_name("link")
    link.symlink_to(run, target_is_directory=True)
    return link


def relative(run: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Change the working directory; return the relative path of the run folder."""
    monkeypatch.chdir(run.parent)
    return Path(run.name)


def copied(run: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Copy the run folder and delete the original."""
    copy = run.with_name("copy")
    shutil.copytree(run, copy)
    shutil.rmtree(run)
    return copy


@pytest.fixture
def falling_psnr(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each validation has a lower PSNR than the one before it."""
    score_by(monkeypatch, lambda step: -step)


@pytest.mark.rotating
@pytest.mark.usefixtures("falling_psnr")
@pytest.mark.parametrize("relocate", [moved, linked, relative, copied], ids=lambda relocate: relocate.__name__)
def test_resume_keeps_the_best_checkpoint_of_a_relocated_run_folder(
    tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, relocate: Callable[[Path, pytest.MonkeyPatch], Path]
) -> None:
    train(tiny(*LEAN, "steps=3"))
    best = (tmp_path / "run/checkpoints/best.ckpt").read_bytes()
    folder = relocate(tmp_path / "run", monkeypatch)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*dirpath.*")
        train(tiny(*LEAN, "steps=6", f"ckpt={folder}/checkpoints/last.ckpt", run=str(folder)))
    assert (folder / "checkpoints/best.ckpt").read_bytes() == best
    assert load_network(folder / "checkpoints/last.ckpt").step == 6


@pytest.mark.full
def test_a_better_checkpoint_replaces_the_best_one_in_a_moved_folder(
    tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    score_by(monkeypatch, lambda step: -abs(step - 6))
    train(tiny(*LEAN, "steps=3"))
    folder = moved(tmp_path / "run", monkeypatch)
    train(tiny(*LEAN, "steps=9", f"ckpt={folder}/checkpoints/last.ckpt", run=str(folder)))
    assert load_network(folder / "checkpoints/best.ckpt").step == 6
    assert not (tmp_path / "run").exists()


def test_resume_from_an_earlier_checkpoint_keeps_the_best_checkpoint_of_the_folder(
    tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run resumes from a checkpoint that is older than best.ckpt."""
    score_by(monkeypatch, lambda step: {3: 30.0, 4: 20.0, 6: 20.0}.get(step, 10.0))
    train(tiny(*LEAN, "steps=3"))
    best = (tmp_path / "run/checkpoints/best.ckpt").read_bytes()
    train(tiny(*LEAN, "steps=6", f"ckpt={tmp_path}/run/checkpoints/last-2.ckpt"))
    assert (tmp_path / "run/checkpoints/best.ckpt").read_bytes() == best


@pytest.mark.usefixtures("falling_psnr")
def test_resume_into_a_new_folder_writes_a_best_checkpoint(tiny, tmp_path: Path) -> None:
    train(tiny(*LEAN, "steps=3"))
    train(tiny(*LEAN, "steps=6", f"ckpt={tmp_path}/run/checkpoints/last.ckpt", run="other"))
    assert load_network(tmp_path / "run/checkpoints/best.ckpt").step == 1
    assert load_network(tmp_path / "other/checkpoints/best.ckpt").step == 4


@pytest.mark.usefixtures("falling_psnr")
def test_a_damaged_best_checkpoint_is_reported_and_replaced(
    tiny, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    train(tiny(*LEAN, "steps=3"))
    best = tmp_path / "run/checkpoints/best.ckpt"
    best.unlink()
    best.write_bytes(b"half")
    train(tiny(*LEAN, "steps=6", f"ckpt={tmp_path}/run/checkpoints/last.ckpt"))
    assert f"{best} has no readable PSNR, and the next validation replaces it: " in caplog.text
    assert load_network(best).step == 4


@pytest.mark.parametrize(("name", "psnr"), [("format1", 22.3709), ("format2", 18.9654)])
def test_the_best_psnr_is_read_from_checkpoints_of_earlier_formats(tmp_path: Path, name: str, psnr: float) -> None:
    shutil.copy(STORED / name / "last.ckpt", tmp_path / "best.ckpt")
    assert read_best_psnr(tmp_path / "best.ckpt") == pytest.approx(psnr, abs=1e-4)
