"""TensorBoard shows every step of a resumed run once."""

from pathlib import Path

import pytest
from support import scalars

from upnet.training import train


@pytest.fixture
def overrides() -> tuple[str, ...]:
    return ("callbacks.grid=null", "trainer.log_every_n_steps=1")


def test_events_after_the_checkpoint_are_replaced_by_those_of_the_resumed_run(
    tiny, overrides: tuple[str, ...], tmp_path: Path
) -> None:
    train(tiny(*overrides, "steps=4", "validations=4"))
    earlier = tmp_path / "run/checkpoints/last-2.ckpt"
    train(tiny(*overrides, "steps=6", "validations=6", f"ckpt={earlier}"))
    logged = scalars(tmp_path / "run/tensorboard")
    assert [step for step, _ in logged["train/loss"]] == [1, 2, 3, 4, 5, 6]
    assert [step for step, _ in logged["validation/psnr"]] == [1, 2, 3, 4, 5, 6]


@pytest.mark.rotating(per=None)
@pytest.mark.parametrize("missing", [1, 10, 100])
def test_a_truncated_event_file_keeps_its_complete_records(
    tiny, overrides: tuple[str, ...], tmp_path: Path, missing: int
) -> None:
    train(tiny(*overrides, "steps=4", "validations=2"))
    for path in (tmp_path / "run/tensorboard").glob("events*"):
        path.write_bytes(path.read_bytes()[:-missing])
    train(tiny(*overrides, "steps=6", "validations=3", f"ckpt={tmp_path}/run/checkpoints/last-1.ckpt"))
    logged = scalars(tmp_path / "run/tensorboard")
    assert [step for step, _ in logged["train/loss"]] == [1, 2, 3, 4, 5, 6]


def test_a_new_run_removes_the_events_of_an_earlier_run_without_checkpoints(tiny, tmp_path: Path) -> None:
    train(tiny("steps=2", "validations=1"))
    for path in (tmp_path / "run/checkpoints").iterdir():
        path.unlink()
    train(tiny("steps=4", "validations=1"))
    assert [step for step, _ in scalars(tmp_path / "run/tensorboard")["validation/psnr"]] == [4]
