"""A recorded optimizer step computes the same weights as an eager one.

Without a GPU, `PlainGraph` replaces the CUDA graph: it stores the captured function and calls it at each replay,
with the same static inputs, device scalars and gradients.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from support import CONFIGS, interrupt_at, same, scalars, state

from upnet.training import step_recorder as recording
from upnet.training import train
from upnet.training.callbacks.finite import NonFiniteLossError
from upnet.utils.errors import InterruptedRunError

OPERATORS = sorted(path.stem for path in (CONFIGS / "model/upsampler").glob("*.yaml"))


class PlainGraph:
    """A graph that stores the captured function and calls it at each replay."""

    replays = 0

    def capture(self, work: Callable[[], None]) -> None:
        self.work = work

    def replay(self) -> None:
        PlainGraph.replays += 1
        self.work()


@pytest.fixture
def plain_graph(monkeypatch: pytest.MonkeyPatch) -> type[PlainGraph]:
    """Replace CUDA graphs by plain calls on any device."""
    monkeypatch.setattr(recording, "supports_graphs", lambda device: True)
    monkeypatch.setattr(recording, "graph_factory", lambda: PlainGraph)
    monkeypatch.setattr(PlainGraph, "replays", 0)
    return PlainGraph


def assert_same_run(first: Path, second: Path) -> None:
    """Check that weights, averages, optimizer state, schedule and logged scalars, except times, are equal."""
    first_state, second_state = (state(run / "checkpoints/last.ckpt") for run in (first, second))
    for part in ("state_dict", "optimizer_states", "lr_schedulers"):
        assert same(first_state[part], second_state[part]), part
    logged = [scalars(run / "tensorboard") for run in (first, second)]
    timeless = [{tag: run[tag] for tag in run if tag not in TIMES} for run in logged]
    assert timeless[0] == timeless[1]
    assert timeless[0]["train/gradient_norm"]


TIMES = ("train/images_per_second", "train/data_share")

SETTINGS = {
    "default": (),
    "clipped by norm": ("trainer.gradient_clip_val=0.01",),
    "clipped by value": ("trainer.gradient_clip_val=0.0001", "+trainer.gradient_clip_algorithm=value"),
    "two batches": ("trainer.accumulate_grad_batches=2", "steps=7"),
    "four batches": ("trainer.accumulate_grad_batches=4", "trainer.gradient_clip_val=0.01"),
    "adam": ("optimizer=adam",),
    "sgd": ("optimizer=sgd", "trainer.gradient_clip_val=0.1"),
    "bf16": ("precision=bf16",),
    "max-unpooling": ("model/upsampler=max_unpool",),
}


@pytest.mark.rotating
@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS.keys())
def test_a_recorded_run_equals_an_eager_run_bit_for_bit(
    tiny, tmp_path: Path, plain_graph: type[PlainGraph], settings: tuple[str, ...]
) -> None:
    settings = ("scheduler.warmup=2", "trainer.log_every_n_steps=1", "ema=0.5", *settings)
    train(tiny(*settings, "graph=false", run="eager"))
    assert plain_graph.replays == 0
    config = tiny(*settings, "graph=true", run="recorded")
    train(config)
    assert plain_graph.replays == (config.steps - recording.WARMUP) * config.trainer["accumulate_grad_batches"]
    assert_same_run(tmp_path / "eager", tmp_path / "recorded")


def assert_resumes(tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *settings: str) -> None:
    """Check that a run of 12 steps, interrupted at step 5 and resumed, equals an uninterrupted run."""
    settings = ("steps=12", "validations=2", "trainer.log_every_n_steps=1", *settings)
    train(tiny(*settings, run="reference"))
    with monkeypatch.context() as patch:
        interrupt_at(patch, 5, 2)
        with pytest.raises(InterruptedRunError):
            train(tiny(*settings, run="interrupted"))
    train(tiny(*settings, f"ckpt={tmp_path}/interrupted/checkpoints/last.ckpt", run="interrupted"))
    assert_same_run(tmp_path / "reference", tmp_path / "interrupted")


@pytest.mark.full
def test_a_recorded_run_resumes_bit_for_bit(
    tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, plain_graph: type[PlainGraph]
) -> None:
    assert_resumes(tiny, tmp_path, monkeypatch)
    assert plain_graph.replays > 0


def test_a_checkpoint_of_recorded_steps_resumes_on_the_cpu(
    tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, plain_graph: type[PlainGraph]
) -> None:
    unfused = ("optimizer.fused=null", "+optimizer.foreach=false")
    with monkeypatch.context() as patch:
        patch.setattr(sys.modules["torch.optim.adam"], "_get_capturable_supported_devices", lambda **_: ["cpu"])
        interrupt_at(patch, 5, 2)
        with pytest.raises(InterruptedRunError):
            train(tiny(*unfused))
    last = tmp_path / "run/checkpoints/last.ckpt"
    (group,) = state(last)["optimizer_states"][0]["param_groups"]
    assert (type(group["lr"]), group["capturable"]) == (float, False)
    monkeypatch.undo()
    assert train(tiny(*unfused, f"ckpt={last}"))["step"] == 6  # the CPU would reject capturable=True


def test_the_error_of_a_non_finite_loss_contains_the_step(tiny, plain_graph: type[PlainGraph]) -> None:
    with pytest.raises(NonFiniteLossError, match=r"no longer finite at step [23456]"):
        train(tiny("optimizer=sgd", "optimizer.lr=1e30", "scheduler.warmup=0"))


class UncapturableGraph:
    """A graph whose capture fails, as with a loss that reads a value on the host."""

    def capture(self, work: Callable[[], None]) -> None:
        work_without_weights = torch.zeros(())
        raise RuntimeError(f"operation not permitted when stream is capturing\nmore {work_without_weights}")

    def replay(self) -> None:
        raise AssertionError


def test_a_step_that_cannot_be_captured_runs_eagerly_with_a_message(
    tiny,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    plain_graph: type[PlainGraph],
) -> None:
    train(tiny("graph=false", "trainer.log_every_n_steps=1", run="eager"))
    monkeypatch.setattr(recording, "graph_factory", lambda: UncapturableGraph)
    with caplog.at_level("INFO"):
        train(tiny("trainer.log_every_n_steps=1", run="auto"))
    lines = [record.getMessage() for record in caplog.records if "CUDA graph" in record.getMessage()]
    reason = "RuntimeError: operation not permitted when stream is capturing"
    assert lines == [f"The optimizer step is not recorded as a CUDA graph: {reason}"]
    assert_same_run(tmp_path / "eager", tmp_path / "auto")
    with pytest.raises(ValueError, match="graph=true: the optimizer step cannot be recorded: RuntimeError: operation"):
        train(tiny("graph=true", run="rejected"))


class LooksAtGradients(pl.Callback):
    """A callback that runs within the step."""

    seen = 0

    def on_after_backward(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        LooksAtGradients.seen += 1


class Momentum(torch.optim.lr_scheduler.LRScheduler):
    """A scheduler that changes the weight decay besides the learning rate."""

    def get_lr(self) -> list[Any]:
        for group in self.optimizer.param_groups:
            group["weight_decay"] = 0.1 * self.last_epoch
        return [group["lr"] for group in self.optimizer.param_groups]


def momentum(optimizer: torch.optim.Optimizer, steps: int) -> Momentum:
    return Momentum(optimizer)


UNRECORDABLE = {
    "callback": (
        (f"+callbacks.own._target_={__name__}.LooksAtGradients",),
        "the callback LooksAtGradients runs within the step (on_after_backward)",
    ),
    "optimizer": (
        ("optimizer._target_=torch.optim.Adagrad", "~optimizer.betas", "~optimizer.weight_decay", "~optimizer.fused"),
        "the optimizer Adagrad keeps its state in Python (it has no setting capturable)",
    ),
    "scheduler": (
        (f"scheduler._target_={__name__}.momentum", "~scheduler.warmup", "~scheduler.floor"),
        "weight_decay of the optimizer changes between steps, and a graph stores it as constant",
    ),
    "anomalies": (("+trainer.detect_anomaly=true",), "trainer.detect_anomaly checks every gradient"),
}


@pytest.mark.rotating
@pytest.mark.parametrize(("settings", "reason"), UNRECORDABLE.values(), ids=UNRECORDABLE.keys())
def test_unrecordable_settings_run_eagerly_with_a_message(
    tiny,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    plain_graph: type[PlainGraph],
    settings: tuple[str, ...],
    reason: str,
) -> None:
    settings = ("trainer.log_every_n_steps=1", *settings)
    train(tiny(*settings, "graph=false", run="eager"))
    with caplog.at_level("INFO"):
        train(tiny(*settings, run="auto"))
    assert f"The optimizer step is not recorded as a CUDA graph: {reason}" in caplog.text
    assert_same_run(tmp_path / "eager", tmp_path / "auto")
    with pytest.raises(ValueError, match="graph=true"):
        train(tiny(*settings, "graph=true", run="rejected"))


def test_graph_is_rejected_on_the_cpu(tiny) -> None:
    with pytest.raises(ValueError, match="graph=true: CUDA graphs need an NVIDIA GPU, and training runs on cpu"):
        train(tiny("graph=true"))
    assert not recording.supports_graphs(torch.device("cpu"))


ON_GPU = ("trainer=gpu", "trainer.deterministic=true", "trainer.log_every_n_steps=1")


@pytest.mark.gpu
@pytest.mark.parametrize("operator", OPERATORS)
def test_recording_on_a_gpu_does_not_change_the_result_of_an_operator(tiny, tmp_path: Path, operator: str) -> None:
    settings = (*ON_GPU, f"model/upsampler={operator}", "steps=8")
    train(tiny(*settings, "graph=false", run="eager"))
    train(tiny(*settings, "graph=true", run="recorded"))
    assert_same_run(tmp_path / "eager", tmp_path / "recorded")


@pytest.mark.gpu
@pytest.mark.parametrize(
    "settings",
    [
        *SETTINGS.values(),
        ("precision=32",),
        ("precision=16",),
        ("data.device=cpu",),
        ("data.device=gpu", "trainer.accumulate_grad_batches=3"),
        ("channels_last=false",),
        ("optimizer._target_=torch.optim.RMSprop", "~optimizer.betas", "~optimizer.fused"),
        ("compile=true",),
    ],
    ids=" ".join,
)
def test_recording_on_a_gpu_does_not_change_the_result_of_a_setting(
    tiny, tmp_path: Path, settings: tuple[str, ...]
) -> None:
    settings = (*ON_GPU, "steps=8", *settings)
    train(tiny(*settings, "graph=false", run="eager"))
    train(tiny(*settings, "graph=true", run="recorded"))
    assert_same_run(tmp_path / "eager", tmp_path / "recorded")


@pytest.mark.gpu
def test_a_recorded_run_on_a_gpu_resumes_bit_for_bit(tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert_resumes(tiny, tmp_path, monkeypatch, *ON_GPU, "graph=true")


class SynchronisingLoss(torch.nn.L1Loss):
    """A loss that reads a value from the device."""

    def forward(self, input: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        loss = super().forward(input, target)
        return loss * 1 if loss.item() >= 0 else loss


@pytest.mark.gpu
def test_a_synchronising_loss_runs_eagerly_with_a_message(
    tiny, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = (*ON_GPU, f"loss._target_={__name__}.SynchronisingLoss")
    with caplog.at_level("INFO"):
        train(tiny(*settings, run="auto"))
    assert "not recorded as a CUDA graph" in caplog.text
    train(tiny(*settings, "graph=false", run="eager"))
    assert_same_run(tmp_path / "eager", tmp_path / "auto")
    assert torch.rand(3, device="cuda").isfinite().all()  # the generator is no longer in capture mode
