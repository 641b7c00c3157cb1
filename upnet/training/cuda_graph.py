"""Record an optimizer step as CUDA graphs, and replay it.

For a small network, a GPU waits for Python: one step launches hundreds of short kernels. A CUDA graph records them once
and launches them with one call. Values that change from step to step are kept in device memory and written there before
a replay: the batch, the learning rates, the weight of the moving average.

Source: CUDA Graphs in PyTorch, https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.amp.grad_scaler import GradScaler

from upnet.training.capturable_optimizer import CapturableOptimizer
from upnet.training.ema import EMA


class Graph(Protocol):
    """A function that is captured once and replayed. Capturing does not execute it."""

    def capture(self, function: Callable[[], None]) -> None: ...

    def replay(self) -> None: ...


class CUDAGraphs:
    """A factory of CUDA graphs that share one memory pool. They must be replayed in the order of their capture."""

    def __init__(self) -> None:
        self._pool = torch.cuda.graph_pool_handle()

    def __call__(self) -> Graph:
        return _CUDAGraph(self._pool)


class _CUDAGraph:
    def __init__(self, pool: Any) -> None:
        self._pool = pool
        self._graph = torch.cuda.CUDAGraph()

    def capture(self, function: Callable[[], None]) -> None:
        try:
            # The thread that pins batches may allocate memory at the same time, which the mode "global" forbids.
            with torch.cuda.graph(self._graph, pool=self._pool, capture_error_mode="thread_local"):
                function()
        except BaseException:
            # A failed capture leaves the generator in its capturing state, in which random numbers raise an error.
            generator = torch.cuda.default_generators[torch.cuda.current_device()]
            generator.graphsafe_set_state(generator.clone_state())
            raise

    def replay(self) -> None:
        self._graph.replay()


class RecordedStep:
    """One optimizer step over `accumulate` batches, recorded and replayed.

    loss:       a function of a batch, a dict of tensors; it returns a scalar tensor with gradient.
    parameters: the parameters that are trained, on one device.
    optimizer:  the optimizer of `parameters`.
    clip:       a function that clips the gradients in place, or does nothing.
    average:    the moving average of the weights, and the network whose weights are averaged.
    context:    makes the context of the forward pass: autocast.
    scaler:     the gradient scaler for float16, or None.
    accumulate: number of batches whose gradients are summed in a step.
    make_graph: makes an empty graph.

    A step has up to three parts, each with its own graph: the first batch overwrites the gradients, the other batches
    add to them, and the last batch also clips the gradients, steps the optimizer and updates the average.
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
        self._compute_loss, self._parameters, self._optimizer, self._clip = loss, parameters, optimizer, clip
        self._ema, self._net = average
        self._context, self._scaler, self._accumulate, self._make_graph = context, scaler, accumulate, make_graph
        self._graphs: dict[tuple[bool, bool], Graph] = {}
        self._inputs: dict[str, Tensor] = {}
        self._gradients: list[Tensor] = []
        self._constants = optimizer.constants()
        self.loss = torch.zeros((), device=device)
        self.gradient_norm = torch.zeros((), device=device)

    def record(self, batch: dict[str, Tensor]) -> None:
        """Record every part of the step without executing it.

        batch: tensors of the shapes and types of all later batches. Later batches in the same memory are not copied.

        Raises the exception of the code that is recorded; weights and state are then unchanged.
        """
        self._inputs = dict(batch)
        last_index = self._accumulate - 1
        try:
            for index in sorted({0, min(1, last_index), last_index}):
                part = index == 0, index == last_index
                graph = self._make_graph()
                graph.capture(lambda part=part: self._run_part(*part))
                self._graphs[part] = graph
        except BaseException:
            self._graphs.clear()
            self._drop_gradients()
            raise
        # Graphs write to this memory. A validation sets parameter.grad to None, which would free it.
        self._gradients = [parameter.grad for parameter in self._parameters if parameter.grad is not None]

    def run(self, batch: dict[str, Tensor], first: bool, last: bool, step: int) -> Tensor:
        """Replay the part of the optimizer step for one batch, and return the loss of the batch, a scalar tensor.

        first, last: whether it is the first and the last batch of the step.
        step:        number of the optimizer step, counted from 1.

        The next run overwrites the returned tensor.
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
        """Why a replay would differ from a step without a graph; None if it would not."""
        constants = self._optimizer.constants()
        if constants == self._constants:
            return None
        pairs = zip(self._constants, constants, strict=True)
        changed = {key for old, new in pairs for key in new if old[key] != new[key]}
        return f"{', '.join(sorted(changed))} of the optimizer changes between steps, and a graph stores it as constant"

    def _drop_gradients(self) -> None:
        for parameter in self._parameters:
            parameter.grad = None

    def _run_part(self, first: bool, last: bool) -> None:
        if first:
            self._drop_gradients()  # backward then writes gradients to the memory of the graph instead of adding
        with self._context():
            loss = self._compute_loss(self._inputs)
        self.loss.copy_(loss.detach())
        scaled_loss = loss / self._accumulate  # as in Lightning
        (scaled_loss if self._scaler is None else self._scaler.scale(scaled_loss)).backward()
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
