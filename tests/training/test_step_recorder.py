"""A recorded optimizer step gives the weights of a launched one.

Without a GPU, a stand-in takes the place of a CUDA graph: it captures by keeping the work and replays by calling it,
over the same static inputs, device scalars and gradients.
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
    """Captures by keeping the work, replays by calling it."""

    replays = 0

    def capture(self, work: Callable[[], None]) -> None:
        self.work = work

    def replay(self) -> None:
        PlainGraph.replays += 1
        self.work()


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> type[PlainGraph]:
    """Plain calls in place of CUDA graphs, on any device."""
    monkeypatch.setattr(recording, "supports_graphs", lambda device: True)
    monkeypatch.setattr(recording, "graph_factory", lambda: PlainGraph)
    monkeypatch.setattr(PlainGraph, "replays", 0)
    return PlainGraph


def assert_same_run(one: Path, other: Path) -> None:
    """Equal weights, averages, optimizer state, schedule, and logged scalars but for the times."""
    first, second = state(one / "checkpoints/last.ckpt"), state(other / "checkpoints/last.ckpt")
    for part in ("state_dict", "optimizer_states", "lr_schedulers"):
        assert same(first[part], second[part]), part
    logged = [scalars(run / "tensorboard") for run in (one, other)]
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
def test_a_recorded_run_is_a_launched_one_bit_for_bit(
    tiny, tmp_path: Path, stand_in: type[PlainGraph], settings: tuple[str, ...]
) -> None:
    settings = ("scheduler.warmup=2", "trainer.log_every_n_steps=1", "ema=0.5", *settings)
    train(tiny(*settings, "graph=false", run="launched"))
    assert stand_in.replays == 0
    config = tiny(*settings, "graph=true", run="recorded")
    train(config)
    assert stand_in.replays == (config.steps - recording.WARMUP) * config.trainer["accumulate_grad_batches"]
    assert_same_run(tmp_path / "launched", tmp_path / "recorded")


def assert_resumes(tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *settings: str) -> None:
    """A run of 12 steps that is interrupted at step 5 and resumed equals an undisturbed one."""
    settings = ("steps=12", "validations=2", "trainer.log_every_n_steps=1", *settings)
    train(tiny(*settings, run="whole"))
    with monkeypatch.context() as inside:
        interrupt_at(inside, 5, 2)
        with pytest.raises(InterruptedRunError):
            train(tiny(*settings, run="broken"))
    train(tiny(*settings, f"ckpt={tmp_path}/broken/checkpoints/last.ckpt", run="broken"))
    assert_same_run(tmp_path / "whole", tmp_path / "broken")


def test_a_recorded_run_resumes_bit_for_bit(
    tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stand_in: type[PlainGraph]
) -> None:
    assert_resumes(tiny, tmp_path, monkeypatch)
    assert stand_in.replays > 0


def test_a_checkpoint_of_recorded_steps_is_resumed_by_any_device(
    tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stand_in: type[PlainGraph]
) -> None:
    unfused = ("optimizer.fused=null", "+optimizer.foreach=false")
    with monkeypatch.context() as inside:
        inside.setattr(sys.modules["torch.optim.adam"], "_get_capturable_supported_devices", lambda **_: ["cpu"])
        interrupt_at(inside, 5, 2)
        with pytest.raises(InterruptedRunError):
            train(tiny(*unfused))
    last = tmp_path / "run/checkpoints/last.ckpt"
    (group,) = state(last)["optimizer_states"][0]["param_groups"]
    assert (type(group["lr"]), group["capturable"]) == (float, False)
    monkeypatch.undo()
    assert train(tiny(*unfused, f"ckpt={last}"))["step"] == 6  # capturable=True would be refused by a CPU


def test_the_name_of_a_step_whose_loss_is_lost_is_that_of_a_launched_run(tiny, stand_in: type[PlainGraph]) -> None:
    with pytest.raises(NonFiniteLossError, match=r"no longer finite at step [23456]"):
        train(tiny("optimizer=sgd", "optimizer.lr=1e30", "scheduler.warmup=0"))


class Waits:
    """A graph that can't be captured, as where a loss looks at a number."""

    def capture(self, work: Callable[[], None]) -> None:
        work_without_weights = torch.zeros(())
        raise RuntimeError(f"operation not permitted when stream is capturing\nmore {work_without_weights}")

    def replay(self) -> None:
        raise AssertionError


def test_what_cannot_be_captured_is_launched_and_said(
    tiny,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    stand_in: type[PlainGraph],
) -> None:
    train(tiny("graph=false", "trainer.log_every_n_steps=1", run="launched"))
    monkeypatch.setattr(recording, "graph_factory", lambda: Waits)
    with caplog.at_level("INFO"):
        train(tiny("trainer.log_every_n_steps=1", run="auto"))
    lines = [record.getMessage() for record in caplog.records if "CUDA graph" in record.getMessage()]
    reason = "RuntimeError: operation not permitted when stream is capturing"
    assert lines == [f"The optimizer step is not recorded as a CUDA graph: {reason}"]
    assert_same_run(tmp_path / "launched", tmp_path / "auto")
    with pytest.raises(ValueError, match="graph=true: the optimizer step cannot be recorded: RuntimeError: operation"):
        train(tiny("graph=true", run="refused"))


class LooksAtGradients(pl.Callback):
    """Takes part in the step."""

    seen = 0

    def on_after_backward(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        LooksAtGradients.seen += 1


class Momentum(torch.optim.lr_scheduler.LRScheduler):
    """Changes more than the learning rate."""

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
def test_what_a_recording_would_get_wrong_is_launched_and_said(
    tiny,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    stand_in: type[PlainGraph],
    settings: tuple[str, ...],
    reason: str,
) -> None:
    settings = ("trainer.log_every_n_steps=1", *settings)
    train(tiny(*settings, "graph=false", run="launched"))
    with caplog.at_level("INFO"):
        train(tiny(*settings, run="auto"))
    assert f"The optimizer step is not recorded as a CUDA graph: {reason}" in caplog.text
    assert_same_run(tmp_path / "launched", tmp_path / "auto")
    with pytest.raises(ValueError, match="graph=true"):
        train(tiny(*settings, "graph=true", run="refused"))


def test_a_cpu_records_nothing(tiny) -> None:
    with pytest.raises(ValueError, match="graph=true: CUDA graphs need an NVIDIA GPU, and training runs on cpu"):
        train(tiny("graph=true"))
    assert not recording.supports_graphs(torch.device("cpu"))


ON_GPU = ("trainer=gpu", "trainer.deterministic=true", "trainer.log_every_n_steps=1")


@pytest.mark.gpu
@pytest.mark.parametrize("operator", OPERATORS)
def test_a_gpu_replays_every_operator_to_the_same_bits(tiny, tmp_path: Path, operator: str) -> None:
    settings = (*ON_GPU, f"model/upsampler={operator}", "steps=8")
    train(tiny(*settings, "graph=false", run="launched"))
    train(tiny(*settings, "graph=true", run="recorded"))
    assert_same_run(tmp_path / "launched", tmp_path / "recorded")


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
def test_a_gpu_replays_every_setting_to_the_same_bits(tiny, tmp_path: Path, settings: tuple[str, ...]) -> None:
    settings = (*ON_GPU, "steps=8", *settings)
    train(tiny(*settings, "graph=false", run="launched"))
    train(tiny(*settings, "graph=true", run="recorded"))
    assert_same_run(tmp_path / "launched", tmp_path / "recorded")


@pytest.mark.gpu
def test_a_recorded_run_on_a_gpu_resumes_bit_for_bit(tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert_resumes(tiny, tmp_path, monkeypatch, *ON_GPU, "graph=true")


class Synchronising(torch.nn.L1Loss):
    """Looks at a number of the device."""

    def forward(self, input: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        loss = super().forward(input, target)
        return loss * 1 if loss.item() >= 0 else loss


@pytest.mark.gpu
def test_a_loss_that_synchronises_is_launched_and_said(tiny, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    settings = (*ON_GPU, f"loss._target_={__name__}.Synchronising")
    with caplog.at_level("INFO"):
        train(tiny(*settings, run="auto"))
    assert "not recorded as a CUDA graph" in caplog.text
    train(tiny(*settings, "graph=false", run="launched"))
    assert_same_run(tmp_path / "launched", tmp_path / "auto")
    assert torch.rand(3, device="cuda").isfinite().all()  # the generator is not left capturing
