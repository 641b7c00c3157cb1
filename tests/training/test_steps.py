"""Optimizer steps: gradient clipping, accumulation and averaging."""

from pathlib import Path

import pytest
import torch
from support import scalars, state

from upnet.training import train


@pytest.mark.rotating(per=None)
@pytest.mark.covering
@pytest.mark.parametrize("precision", ["32", "bf16"])
@pytest.mark.parametrize("algorithm", ["norm", "value"])
def test_gradients_are_clipped_to_the_limit(tiny, tmp_path: Path, precision: str, algorithm: str) -> None:
    settings = ("optimizer=sgd", "optimizer.lr=1", "optimizer.momentum=0", "scheduler=constant", "scheduler.warmup=0")
    settings += (f"precision={precision}", "steps=1", "validations=1", f"trainer.gradient_clip_algorithm={algorithm}")
    settings = (*settings[:-1], f"+{settings[-1]}")
    torch.manual_seed(0)
    limit = 0.001 if algorithm == "norm" else 0.0001
    train(tiny(*settings, f"trainer.gradient_clip_val={limit}", run="clipped"))
    train(tiny(*settings, "trainer.gradient_clip_val=1e-9", run="unchanged"))
    clipped, unchanged = (
        state(tmp_path / run / "checkpoints/last.ckpt")["state_dict"] for run in ("clipped", "unchanged")
    )
    changes = [clipped[key] - unchanged[key] for key in clipped if key.startswith("net.")]
    if algorithm == "norm":
        assert torch.stack([change.norm() for change in changes]).norm().item() == pytest.approx(limit, rel=0.05)
    else:
        assert max(change.abs().max().item() for change in changes) == pytest.approx(limit, rel=0.05)


@pytest.mark.full
def test_the_default_optimizer_trains_with_clipping(tiny) -> None:
    assert train(tiny("trainer.gradient_clip_val=1", "steps=1", "validations=1"))["step"] == 1


def test_the_logged_loss_does_not_depend_on_the_number_of_accumulated_batches(tiny, tmp_path: Path) -> None:
    losses = []
    for run, accumulate in (("one", 1), ("four", 4)):
        settings = ("trainer.log_every_n_steps=1", "steps=1", "validations=1", "optimizer.lr=1e-9")
        train(tiny(*settings, f"trainer.accumulate_grad_batches={accumulate}", run=run))
        losses.append(scalars(tmp_path / run / "tensorboard")["train/loss"][0][1])
    assert losses[1] == pytest.approx(losses[0], rel=0.5)


def test_the_progress_bar_shows_the_logged_loss(tiny, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = ("+callbacks.bar._target_=upnet.training.callbacks.Progress", "+callbacks.bar.refresh_rate=1")
    settings += ("trainer.log_every_n_steps=1", "trainer.accumulate_grad_batches=2", "steps=2", "validations=1")
    train(tiny(*settings))
    logged = [value for _, value in scalars(tmp_path / "run/tensorboard")["train/loss"]]
    assert f"loss={logged[-1]:.3g}" in capsys.readouterr().out


def test_accumulated_batches_count_as_one_step(tiny, tmp_path: Path) -> None:
    content = train(tiny("trainer.accumulate_grad_batches=3", "steps=2", "validations=1"))
    assert content["step"] == 2


def test_the_first_step_has_weight_nine_elevenths_in_the_average(tiny, tmp_path: Path) -> None:
    settings = ("optimizer=sgd", "optimizer.momentum=0", "scheduler=constant", "scheduler.warmup=0", "precision=32")
    settings += ("steps=1", "validations=1")
    train(tiny(*settings, "optimizer.lr=0.1", run="trained"))
    train(tiny(*settings, "optimizer.lr=1e-30", run="unchanged"))
    trained, unchanged = (
        state(tmp_path / run / "checkpoints/last.ckpt")["state_dict"] for run in ("trained", "unchanged")
    )
    raw = {key.removeprefix("net."): tensor for key, tensor in trained.items() if key.startswith("net.")}
    assert any((raw[key] - unchanged[f"net.{key}"]).abs().max() > 1e-3 for key in raw)
    for key, tensor in raw.items():
        torch.testing.assert_close(trained[f"ema.net.{key}"], unchanged[f"net.{key}"].lerp(tensor, 9 / 11))
