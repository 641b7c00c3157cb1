"""Record an optimizer step as CUDA graphs, and replay it.

A small network keeps a GPU waiting for Python: one step launches hundreds of short kernels. A CUDA graph records them
once and launches all of them in one call. What changes from step to step is kept in device memory, and is written there
before a replay: the batch, the learning rates, the weight of the moving average.

Source: CUDA Graphs in PyTorch, https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.amp.grad_scaler import GradScaler
from torch.optim import Optimizer

from upnet.training.ema import EMA, DeviceScalar


class Graph(Protocol):
    """Work that is captured once and replayed. Capturing does not execute the work."""

    def capture(self, work: Callable[[], None]) -> None: ...

    def replay(self) -> None: ...


class CUDAGraphs:
    """Make CUDA graphs that share one memory pool. They are replayed in the order of their capture."""

    def __init__(self) -> None:
        self._pool = torch.cuda.graph_pool_handle()

    def __call__(self) -> Graph:
        return _CUDAGraph(self._pool)


class _CUDAGraph:
    def __init__(self, pool: Any) -> None:
        self._pool = pool
        self._graph = torch.cuda.CUDAGraph()

    def capture(self, work: Callable[[], None]) -> None:
        try:
            # The thread that pins batches may allocate memory meanwhile, which the mode "global" forbids.
            with torch.cuda.graph(self._graph, pool=self._pool, capture_error_mode="thread_local"):
                work()
        except BaseException:
            # A capture that fails leaves the generator in its capturing state, and later random numbers would raise.
            generator = torch.cuda.default_generators[torch.cuda.current_device()]
            generator.graphsafe_set_state(generator.clone_state())
            raise

    def replay(self) -> None:
        self._graph.replay()


class CapturableOptimizer:
    """An optimizer that keeps its step counters and learning rates in device memory, where a graph can read them.

    optimizer: of parameters on `device`, after its state was loaded.

    The learning rates in `param_groups` stay Python numbers, which schedulers write and checkpoints hold. `rates` gives
    the tensors to the optimizer while it steps. A launched step uses them too, so that it equals a recorded one bit for
    bit.

    Raises ValueError for an optimizer that cannot do this; `refusal` gives the reason.
    """

    def __init__(self, optimizer: Optimizer, device: torch.device) -> None:
        if reason := self.unsupported_reason(optimizer):
            raise ValueError(reason)
        self.optimizer = optimizer
        self._flags = [{key: group.get(key) for key in ("capturable", "fused")} for group in optimizer.param_groups]
        self._rates = [DeviceScalar(device) for _ in optimizer.param_groups]
        for group in optimizer.param_groups:
            if "capturable" in group:
                group["capturable"] = True
            else:
                group["fused"] = True
        for parameter, state in optimizer.state.items():
            if isinstance(state.get("step"), Tensor):
                state["step"] = state["step"].to(parameter.device, torch.float32)

    @staticmethod
    def unsupported_reason(optimizer: Optimizer) -> str | None:
        """Why the optimizer's step can't be recorded; None where it can."""
        name = type(optimizer).__name__
        for group in optimizer.param_groups:
            # SGD has no step counter, and its fused kernel reads the learning rate from a tensor.
            fused = isinstance(optimizer, torch.optim.SGD) and not group["foreach"] and group["fused"] is not False
            if "capturable" not in group and not fused:
                return f"the optimizer {name} keeps its state in Python (it has no setting capturable)"
            if isinstance(group["lr"], Tensor):
                return f"the learning rate of the optimizer {name} is a tensor already"
        return None

    def write_rates(self) -> None:
        """Copy the learning rates, as the scheduler set them, to the device."""
        for rate, group in zip(self._rates, self.optimizer.param_groups, strict=True):
            rate.set(group["lr"])

    @contextmanager
    def rates(self) -> Iterator[None]:
        """The optimizer reads its learning rates from the device in this context."""
        numbers = [group["lr"] for group in self.optimizer.param_groups]
        for rate, group in zip(self._rates, self.optimizer.param_groups, strict=True):
            group["lr"] = rate.tensor
        try:
            yield
        finally:
            for number, group in zip(numbers, self.optimizer.param_groups, strict=True):
                group["lr"] = number

    def constants(self) -> list[dict[str, Any]]:
        """What a recording holds on to: everything of the groups but the parameters and the learning rates."""
        return [
            {key: value for key, value in group.items() if key not in ("params", "lr", "initial_lr")}
            for group in self.optimizer.param_groups
        ]

    def restore_flags(self, state: dict[str, Any]) -> None:
        """Put the flags that were set here back in a state_dict of the optimizer, so that any device can load it."""
        for group, flags in zip(state["param_groups"], self._flags, strict=True):
            group.update({key: value for key, value in flags.items() if key in group})


class RecordedStep:
    """One optimizer step over `accumulate` batches, recorded and replayed.

    loss:       of a batch, a dict of tensors: a scalar tensor with its graph.
    optimizer:  the optimizer of `parameters`.
    clip:       clips the gradients in place; does nothing where there is nothing to clip.
    average:    the moving average of the weights, and the network it follows.
    context:    what the forward pass runs in: autocast.
    scaler:     of the loss, for float16.
    accumulate: batches whose gradients are added up for a step.
    make_graph: makes an empty graph.

    A step has up to three parts, each a graph: the first batch overwrites the gradients, the others add to them, and
    the last one also clips, steps and averages.
    """

    def __init__(
        self,
        loss: Callable[[dict[str, Tensor]], Tensor],
        parameters: Sequence[Tensor],
        optimizer: CapturableOptimizer,
        clip: Callable[[], None],
        average: tuple[EMA[Any], Any],
        context: Callable[[], AbstractContextManager[Any]],
        scaler: GradScaler | None,
        accumulate: int,
        make_graph: Callable[[], Graph],
    ) -> None:
        device = parameters[0].device
        self._loss_of, self._parameters, self._optimizer, self._clip = loss, parameters, optimizer, clip
        self._ema, self._net = average
        self._context, self._scaler, self._accumulate, self._make_graph = context, scaler, accumulate, make_graph
        self._graphs: dict[tuple[bool, bool], Graph] = {}
        self._inputs: dict[str, Tensor] = {}
        self._gradients: list[Tensor] = []
        self._constants = optimizer.constants()
        self.loss = torch.zeros((), device=device)
        self.gradient_norm = torch.zeros((), device=device)

    def record(self, batch: dict[str, Tensor]) -> None:
        """Record every part, without executing any.

        batch: tensors of the shapes and types of every later batch; later ones in the same memory aren't copied.

        Raises whatever the step raises while it is recorded; weights and state are unchanged then.
        """
        self._inputs = dict(batch)
        final = self._accumulate - 1
        try:
            for index in sorted({0, min(1, final), final}):
                part = index == 0, index == final
                graph = self._make_graph()
                graph.capture(lambda part=part: self._work(*part))
                self._graphs[part] = graph
        except BaseException:
            self._graphs.clear()
            self._drop_gradients()
            raise
        # Held on to, since validation drops the parameters' own references.
        self._gradients = [parameter.grad for parameter in self._parameters if parameter.grad is not None]

    def run(self, batch: dict[str, Tensor], first: bool, last: bool, step: int) -> Tensor:
        """Replay one batch's part of optimizer step number `step`, counted from 1. The batch's loss comes back, ().

        first, last: whether it is the first and the last batch of the step.

        The tensor is overwritten by the next run.
        """
        for name, tensor in batch.items():
            if tensor.data_ptr() != self._inputs[name].data_ptr():
                self._inputs[name].copy_(tensor, non_blocking=True)
        if last:
            self._ema.set_step(step)
            self._optimizer.write_rates()
        self._graphs[first, last].replay()
        return self.loss

    def stale_reason(self) -> str | None:
        """Why the recording no longer is what a launched step would do; None where it still is."""
        now = self._optimizer.constants()
        if now == self._constants:
            return None
        changed = {key for old, new in zip(self._constants, now, strict=True) for key in new if old[key] != new[key]}
        return f"{', '.join(sorted(changed))} of the optimizer changes between steps, and a recording keeps it"

    def _drop_gradients(self) -> None:
        for parameter in self._parameters:
            parameter.grad = None

    def _work(self, first: bool, last: bool) -> None:
        if first:
            self._drop_gradients()  # backward then writes gradients into the graph's memory instead of adding to them
        with self._context():
            loss = self._loss_of(self._inputs)
        self.loss.copy_(loss.detach())
        share = loss / self._accumulate  # as Lightning divides
        (share if self._scaler is None else self._scaler.scale(share)).backward()
        if not last:
            return
        gradients = [parameter.grad for parameter in self._parameters if parameter.grad is not None]
        self.gradient_norm.copy_(torch.nn.utils.get_total_norm(gradients))
        self._clip()
        with self._optimizer.rates():
            if self._scaler is None:
                self._optimizer.optimizer.step()
            else:
                self._scaler.step(self._optimizer.optimizer)
                self._scaler.update()
        self._ema.average(self._net)
