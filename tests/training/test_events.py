"""TensorBoard's files, cut back to where training goes on."""

from pathlib import Path

import pytest
from support import scalars

from upnet.training.run_files import ASIDE, forget_after


@pytest.fixture
def events(tmp_path: Path) -> Path:
    """An event file of steps 1 to 6, and what belongs to no step."""
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(tmp_path)) as writer:
        writer.add_text("config", "a: 1")
        for step in range(1, 7):
            writer.add_scalar("loss", step / 8, step)
        writer.add_scalar("final/psnr", 30.0, 0)
    (path,) = tmp_path.glob("events*")
    return path


def test_what_was_logged_after_the_step_goes_and_what_was_before_it_stays(events: Path) -> None:
    forget_after(events.parent, 4)
    assert scalars(events.parent) == {"loss": [(step, step / 8) for step in range(1, 5)]}


def test_a_file_torn_at_any_byte_keeps_its_whole_records(events: Path) -> None:
    content = events.read_bytes()
    kept: list[int] = []
    for length in range(0, len(content), 5):
        events.write_bytes(content[:length])
        forget_after(events.parent, 4)
        kept.append(len(scalars(events.parent).get("loss", [])))
    assert kept == sorted(kept)
    assert (kept[0], kept[-1]) == (0, 4)


def test_nothing_stays_before_the_first_step(events: Path) -> None:
    forget_after(events.parent, None)
    assert list(events.parent.iterdir()) == []


@pytest.mark.parametrize("step", [4, None])
def test_a_process_killed_amid_this_leaves_nothing_that_tensorboard_reads_and_nothing_that_stays(
    events: Path, monkeypatch: pytest.MonkeyPatch, step: int | None
) -> None:
    def killed(*rest: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("os.replace", killed)
        with pytest.raises(KeyboardInterrupt):
            forget_after(events.parent, 4)
    (left,) = events.parent.glob(f"{ASIDE}*")
    assert "tfevents" not in left.name
    forget_after(events.parent, step)
    assert [path.name for path in events.parent.iterdir()] == ([events.name] if step else [])
