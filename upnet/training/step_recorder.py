"""When a training's optimizer step is recorded, and why it isn't where it isn't."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal, Protocol

import pytorch_lightning as pl
import torch
from torch import Tensor

from upnet.training.cuda_graph import CapturableOptimizer, CUDAGraphs, Graph, RecordedStep
from upnet.training.ema import EMA
from upnet.utils.errors import UserError

GraphSetting = bool | Literal["auto"]

WARMUP = 3
"""Optimizer steps that are launched before one is recorded: they allocate, compile, and choose kernels."""

INSIDE_STEP = ("on_before_zero_grad", "on_before_backward", "on_after_backward", "on_before_optimizer_step")
"""Hooks of callbacks in the middle of a step. A recorded step can't call them."""

log = logging.getLogger(__name__)


class RecordableTask(Protocol):
    """What a recorder needs of a LightningModule."""

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
    """Launch the first optimizer steps of a training, record the next one, and replay it from then on.

    graph: "auto" records on a GPU if every part of the step can be recorded; True refuses to train if it can't; False
           never records.

    With any setting, a step on a GPU reads its learning rate and the weight of the moving average from device memory.
    Launched and recorded steps therefore give the same weights. The Python code of network, loss and optimizer runs
    once, when it is recorded: values that it counts or draws in Python stay fixed afterwards.
    """

    def __init__(self, graph: GraphSetting) -> None:
        self.graph = graph
        self._optimizer: CapturableOptimizer | None = None
        self._recorded: RecordedStep | None = None
        self._wanted = False
        self._launched = 0

    @property
    def replaying(self) -> bool:
        """Whether steps are replayed from a recording."""
        return self._recorded is not None

    @property
    def gradient_norm(self) -> Tensor | None:
        """Gradient norm of the last recorded step, before clipping, (); None if steps are launched."""
        return None if self._recorded is None else self._recorded.gradient_norm

    def check_device(self, device: torch.device) -> None:
        """Raise UserError if the step has to be recorded and the device that trains can't record."""
        if self.graph is True and not supports_graphs(device):
            raise UserError(
                f"CUDA graphs need an NVIDIA GPU, and this training is on {device.type}",
                setting="graph",
                value=True,
                cure="Take graph=auto",
            )

    def start(self, task: RecordableTask) -> None:
        """Prepare the optimizer and the average, after their state was loaded. Raises UserError as `disable` does."""
        device = task.trainer.strategy.root_device
        self._optimizer = self._recorded = None
        self._launched, self._wanted = 0, False
        if not supports_graphs(device):
            return
        task.ema.keep_weight_on(device)
        optimizer = task.trainer.optimizers[0]
        reason = CapturableOptimizer.unsupported_reason(optimizer)
        if reason is None:
            self._optimizer = CapturableOptimizer(optimizer, device)
            reason = unsupported_reason(task.trainer)
        self._wanted = self.graph is not False
        if self._wanted and reason is not None:
            self.disable(reason)

    def stop(self) -> None:
        """Free the recording's memory."""
        self._recorded, self._wanted = None, False

    def disable(self, reason: str) -> None:
        """Launch every step from now on, and say why. Raises UserError where the step has to be recorded."""
        self.stop()
        if self.graph is True:
            raise UserError(
                f"the optimizer step can't be recorded: {reason}",
                setting="graph",
                value=True,
                cure="Take graph=auto or graph=false",
            )
        log.info("The optimizer step is not recorded as a CUDA graph: %s", reason)

    def before_batch(self, task: RecordableTask, batch: dict[str, Tensor], batch_idx: int) -> None:
        """Record the step ahead of its first batch, where it is time to. Raises UserError as `disable` does."""
        if not self._wanted or batch_idx % task.trainer.accumulate_grad_batches:
            return
        if self._recorded is not None:
            if reason := self._recorded.stale_reason():
                self.disable(reason)
        elif self._launched >= WARMUP:
            recorded = self._new(task)
            try:
                recorded.record(batch)
            except Exception as fault:  # whatever a network, loss or optimizer of a user raises while it is captured
                self.disable(_first_cause(fault))
            else:
                self._recorded = recorded

    def loss(self, task: RecordableTask, batch: dict[str, Tensor], batch_idx: int) -> Tensor | None:
        """Replay a batch's part of the step and give the batch's loss; None where the step is launched."""
        if self._recorded is None:
            return None
        accumulate = task.trainer.accumulate_grad_batches
        first, last = batch_idx % accumulate == 0, (batch_idx + 1) % accumulate == 0
        return self._recorded.run(batch, first, last, task.global_step + 1)

    def _new(self, task: RecordableTask) -> RecordedStep:
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
    def launching(self) -> Iterator[None]:
        """What a launched optimizer step runs in."""
        if self._optimizer is None:
            yield
            return
        self._optimizer.write_rates()
        with self._optimizer.rates():
            yield
        self._launched += 1

    def restore_flags(self, optimizer_state: dict[str, Any]) -> None:
        """Change an optimizer's state_dict so that any device can load it."""
        if self._optimizer is not None:
            self._optimizer.restore_flags(optimizer_state)


def _first_cause(fault: BaseException) -> str:
    """The error that came first, in one line: ending a broken capture raises another one."""
    while fault.__context__ is not None:
        fault = fault.__context__
    return f"{type(fault).__name__}: {str(fault).partition(chr(10))[0]}"


def supports_graphs(device: torch.device) -> bool:
    """Whether a device records graphs."""
    return device.type == "cuda"


def graph_factory() -> Callable[[], Graph]:
    """What makes empty graphs for the parts of one step."""
    return CUDAGraphs()


def unsupported_reason(trainer: pl.Trainer) -> str | None:
    """Why a trainer's steps can't be recorded; None where they can."""
    if trainer.strategy.model is not trainer.lightning_module:
        return f"{type(trainer.strategy).__name__} exchanges gradients between processes during the backward pass"
    if getattr(trainer, "_detect_anomaly", False):
        return "trainer.detect_anomaly looks at every gradient"
    if trainer.precision == "16-mixed":
        if trainer.gradient_clip_val:
            return "under precision=16 gradients are clipped after a look at them; precision=bf16 has no need to"
        if not getattr(trainer.optimizers[0], "_step_supports_amp_scaling", False):
            return "under precision=16 an optimizer that isn't fused looks at every gradient; take optimizer.fused=true"
    for callback in trainer.callbacks:  # pyright: ignore[reportAttributeAccessIssue]
        hooks = [name for name in INSIDE_STEP if getattr(type(callback), name) is not getattr(pl.Callback, name)]
        if hooks and not getattr(callback, "recordable", False):
            return f"the callback {type(callback).__name__} takes part in the step by {hooks[0]}"
    return None
