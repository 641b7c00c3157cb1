"""Decide when the optimizer step is recorded as CUDA graphs, and log why if it cannot be."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal, Protocol

import pytorch_lightning as pl
import torch
from torch import Tensor

from upnet.training.capturable_optimizer import CapturableOptimizer
from upnet.training.cuda_graph import CUDAGraphs, Graph, RecordedStep
from upnet.training.ema import EMA
from upnet.utils.errors import UserError

GraphSetting = bool | Literal["auto"]

WARMUP = 3
"""Eager optimizer steps before one is recorded: they allocate memory, compile the network and select kernels."""

STEP_HOOKS = ("on_before_zero_grad", "on_before_backward", "on_after_backward", "on_before_optimizer_step")
"""Hooks of callbacks that run within a step. A replayed step cannot call them."""

log = logging.getLogger(__name__)


class RecordableTask(Protocol):
    """The part of a LightningModule that a StepRecorder uses."""

    net: Any
    ema: EMA[Any]

    @property
    def trainer(self) -> pl.Trainer: ...

    @property
    def global_step(self) -> int: ...

    def batch_loss(self, batch: dict[str, Tensor]) -> Tensor: ...

    def configure_gradient_clipping(
        self,
        optimizer: torch.optim.Optimizer,
        gradient_clip_val: int | float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None: ...


class StepRecorder:
    """Run the first optimizer steps of a run eagerly, record the next one, and replay it from then on.

    graph: "auto" records on a CUDA GPU if every part of the step can be recorded. True also records, and raises
           UserError if the step cannot be recorded. False never records.

    With any setting, a step on a GPU reads its learning rate and the weight of the moving average from device memory.
    Eager and replayed steps therefore give the same weights. The Python code of network, loss and optimizer runs for
    the last time while the step is recorded: Python counters and random numbers are constants in replayed steps.

    >>> recorder = StepRecorder("auto")
    >>> recorder.check_device(torch.device("cpu"))
    >>> recorder.replaying
    False
    """

    def __init__(self, graph: GraphSetting) -> None:
        self.graph = graph
        self._optimizer: CapturableOptimizer | None = None
        self._recorded: RecordedStep | None = None
        self._enabled = False
        self._eager_steps = 0

    @property
    def replaying(self) -> bool:
        """Whether steps are replayed."""
        return self._recorded is not None

    @property
    def gradient_norm(self) -> Tensor | None:
        """Gradient norm of the last replayed step before clipping, a scalar tensor; None while steps are eager."""
        return None if self._recorded is None else self._recorded.gradient_norm

    def check_device(self, device: torch.device) -> None:
        """Raise UserError if `graph` is True and the device does not support CUDA graphs."""
        if self.graph is True and not supports_graphs(device):
            raise UserError(
                f"CUDA graphs need an NVIDIA GPU, and training runs on {device.type}",
                setting="graph",
                value=True,
                cure="Set graph=auto",
            )

    def start(self, task: RecordableTask) -> None:
        """Prepare the optimizer and the average, after their states are loaded. Raises UserError as `disable` does."""
        device = task.trainer.strategy.root_device
        self._optimizer = self._recorded = None
        self._eager_steps, self._enabled = 0, False
        if not supports_graphs(device):
            return
        task.ema.keep_weight_on(device)
        optimizer = task.trainer.optimizers[0]
        reason = CapturableOptimizer.unsupported_reason(optimizer)
        if reason is None:
            self._optimizer = CapturableOptimizer(optimizer, device)
            reason = unsupported_reason(task.trainer)
        self._enabled = self.graph is not False
        if self._enabled and reason is not None:
            self.disable(reason)

    def stop(self) -> None:
        """Free the memory of the recorded step; later steps are eager."""
        self._recorded, self._enabled = None, False

    def disable(self, reason: str) -> None:
        """Run every step eagerly from now on, and log the reason. Raises UserError if `graph` is True."""
        self.stop()
        if self.graph is True:
            raise UserError(
                f"the optimizer step cannot be recorded: {reason}",
                setting="graph",
                value=True,
                cure="Set graph=auto or graph=false",
            )
        log.info("The optimizer step is not recorded as a CUDA graph: %s", reason)

    def before_batch(self, task: RecordableTask, batch: dict[str, Tensor], batch_idx: int) -> None:
        """Record the step before its first batch, after WARMUP eager steps. Raises UserError as `disable` does."""
        if not self._enabled or batch_idx % task.trainer.accumulate_grad_batches:
            return
        if self._recorded is not None:
            if reason := self._recorded.stale_reason():
                self.disable(reason)
        elif self._eager_steps >= WARMUP:
            recorded = self._make_step(task)
            try:
                recorded.record(batch)
            except Exception as error:  # any exception of a user's network, loss or optimizer during the capture
                self.disable(_first_cause(error))
            else:
                self._recorded = recorded

    def loss(self, task: RecordableTask, batch: dict[str, Tensor], batch_idx: int) -> Tensor | None:
        """Replay the part of the step for one batch and return its loss, a scalar tensor; None if the step is eager."""
        if self._recorded is None:
            return None
        accumulate = task.trainer.accumulate_grad_batches
        first, last = batch_idx % accumulate == 0, (batch_idx + 1) % accumulate == 0
        return self._recorded.run(batch, first, last, task.global_step + 1)

    def _make_step(self, task: RecordableTask) -> RecordedStep:
        assert self._optimizer is not None
        trainer = task.trainer
        return RecordedStep(
            loss=task.batch_loss,
            parameters=list(task.net.parameters()),
            optimizer=self._optimizer,
            clip=lambda: task.configure_gradient_clipping(
                trainer.optimizers[0], trainer.gradient_clip_val, trainer.gradient_clip_algorithm
            ),
            average=(task.ema, task.net),
            context=trainer.precision_plugin.train_step_context,
            scaler=getattr(trainer.precision_plugin, "scaler", None),
            accumulate=trainer.accumulate_grad_batches,
            make_graph=graph_factory(),
        )

    @contextmanager
    def eager_step(self) -> Iterator[None]:
        """Context of an eager optimizer step."""
        if self._optimizer is None:
            yield
            return
        self._optimizer.write_rates()
        with self._optimizer.rates():
            yield
        self._eager_steps += 1

    def restore_flags(self, optimizer_state: dict[str, Any]) -> None:
        """Change the state_dict of an optimizer in place, so that any device can load it."""
        if self._optimizer is not None:
            self._optimizer.restore_flags(optimizer_state)


def _first_cause(error: BaseException) -> str:
    """The first line of the original error: the end of a failed capture raises another one."""
    while error.__context__ is not None:
        error = error.__context__
    return f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"


def supports_graphs(device: torch.device) -> bool:
    """Whether a device supports CUDA graphs."""
    return device.type == "cuda"


def graph_factory() -> Callable[[], Graph]:
    """A factory of empty graphs for the parts of one step."""
    return CUDAGraphs()


def unsupported_reason(trainer: pl.Trainer) -> str | None:
    """Why the steps of a trainer cannot be recorded; None if they can."""
    if trainer.strategy.model is not trainer.lightning_module:
        return f"{type(trainer.strategy).__name__} exchanges gradients between processes during the backward pass"
    if getattr(trainer, "_detect_anomaly", False):
        return "trainer.detect_anomaly checks every gradient"
    if trainer.precision == "16-mixed":
        if trainer.gradient_clip_val:
            return "with precision=16 the CPU checks gradients before they are clipped; precision=bf16 avoids this"
        if not getattr(trainer.optimizers[0], "_step_supports_amp_scaling", False):
            return "with precision=16 the CPU checks every gradient for an optimizer without optimizer.fused=true"
    for callback in trainer.callbacks:  # pyright: ignore[reportAttributeAccessIssue]
        hooks = [name for name in STEP_HOOKS if getattr(type(callback), name) is not getattr(pl.Callback, name)]
        if hooks and not getattr(callback, "recordable", False):
            return f"the callback {type(callback).__name__} runs within the step ({hooks[0]})"
    return None
