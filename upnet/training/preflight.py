"""Test the optimizer, the scheduler and the compiler on small tensors before training starts."""

import inspect
import io
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from upnet.config import ConfigError, build_factory
from upnet.config.schema import TrainSettings
from upnet.training.schedule import scheduler_factory
from upnet.utils.errors import UserError

_STEP_ERRORS = (RuntimeError, TypeError, ValueError)


def try_optimizer(settings: TrainSettings) -> None:
    """Run one step of the optimizer and of the scheduler on two small parameters, then save and load their states.

    Raises UserError if either of them rejects its arguments or fails in its step, and for a state that cannot be saved
    in a checkpoint.
    """
    # The shapes of a convolution. nn.Conv2d would use random numbers.
    layout = torch.channels_last if settings.channels_last else torch.contiguous_format
    tensors = [torch.zeros(2, 2, 3, 3).contiguous(memory_format=layout), torch.zeros(2)]
    parameters = [torch.nn.Parameter(tensor) for tensor in tensors]
    optimizer = _build_optimizer(settings, parameters)
    _check_closure(optimizer, settings.trainer.get("accumulate_grad_batches", 1))
    try:
        scheduler = scheduler_factory(settings.scheduler)(optimizer, settings.steps)
    except (TypeError, RuntimeError) as error:
        raise UserError(str(error), setting="scheduler", cure="Choose another scheduler") from error
    _check_scheduler(scheduler, settings.steps)
    for group in optimizer.param_groups:
        if group.get("capturable"):
            group["capturable"] = False  # only supported for parameters on a GPU; these are on the CPU

    def closure() -> Any:
        for parameter in parameters:
            parameter.grad = torch.ones_like(parameter)
        return torch.zeros(())

    closure()
    channels_last = ", or channels_last=false" if settings.channels_last else ""
    _try_step("optimizer", lambda: optimizer.step(closure), channels_last)
    plateau = isinstance(scheduler, ReduceLROnPlateau)
    _try_step("scheduler", lambda: scheduler.step(0.0) if plateau else scheduler.step())
    for name, state in (("optimizer", optimizer.state_dict()), ("scheduler", scheduler.state_dict())):
        _check_state(name, state)


def _build_optimizer(settings: TrainSettings, parameters: list[torch.nn.Parameter]) -> Optimizer:
    try:
        optimizer = build_factory(settings.optimizer, "optimizer")(parameters)
    except (ConfigError, TypeError, RuntimeError) as error:
        problem = error.problem if isinstance(error, ConfigError) else str(error)
        if "Invalid" in problem:  # the messages of torch's optimizers
            cure = "Learning rate, momentum, decay and eps must be 0 or larger, betas in [0, 1): see configs/optimizer"
        else:
            cure = "Choose another optimizer, such as optimizer=adamw"
        raise UserError(problem, setting="optimizer", cure=cure) from error
    if not isinstance(optimizer, Optimizer):
        problem = f"must be a torch.optim.Optimizer, not a {type(optimizer).__name__}"
        raise UserError(problem, setting="optimizer", value=settings.optimizer["_target_"])
    return optimizer


def _check_closure(optimizer: Optimizer, accumulate: int) -> None:
    """Raise UserError for gradient accumulation with an optimizer that computes the loss several times per step."""
    closure = inspect.signature(optimizer.step).parameters.get("closure")
    if closure is not None and closure.default is closure.empty and accumulate > 1:
        raise UserError(
            f"{type(optimizer).__name__} computes the loss several times in a step, and supports one batch per step",
            setting="trainer.accumulate_grad_batches",
            value=accumulate,
            allowed="1",
        )


def _check_scheduler(scheduler: object, steps: int) -> None:
    if not isinstance(scheduler, LRScheduler):
        raise UserError(f"must be an LRScheduler of torch, not a {type(scheduler).__name__}", setting="scheduler")
    if isinstance(scheduler, ReduceLROnPlateau) and scheduler.mode != "max":
        raise UserError(
            "lowers the learning rate while the validation PSNR rises",
            setting="scheduler.mode",
            value=scheduler.mode,
            cure="Set scheduler.mode=max",
        )
    total = getattr(scheduler, "total_steps", None)
    if total is not None and total < steps:
        raise UserError(
            f"the schedule ends before the training of steps={steps}",
            setting="scheduler.total_steps",
            value=total,
            allowed=f"{steps} or more",
        )


def check_compiler(device: torch.device) -> None:
    """Compile an addition on the device of the training. Raises UserError if torch.compile fails."""

    def double(x: Tensor) -> Tensor:
        return x + x

    try:
        # Without the cache, which may contain the result of a compiler that is no longer installed.
        torch.compile(double, options={"fx_graph_cache": False})(torch.zeros(8, device=device))
    except (RuntimeError, OSError, ImportError) as error:
        compiler = "Triton and a C compiler" if device.type == "cuda" else "a C++ compiler"
        raise UserError(
            f"needs {compiler}, but torch finds none that works ({str(error).splitlines()[0]})",
            setting="compile",
            value=True,
            cure="Install one, such as g++, name it by the environment variable CXX, or set compile=false",
        ) from error


def _try_step(name: str, step: Callable[[], object], alternative: str = "") -> None:
    try:
        step()
    except _STEP_ERRORS as error:
        raise UserError(
            f"its step fails: {' '.join(str(error).split())}",
            setting=name,
            cure=f"Choose another {name}{alternative}",
        ) from error


def _check_state(name: str, state: dict[str, Any]) -> None:
    """Raise UserError for a state that torch.load cannot load with weights_only=True."""
    content = io.BytesIO()
    try:
        torch.save(state, content)
        content.seek(0)
        torch.load(content, weights_only=True)
    except Exception as error:  # any exception of pickling the state of a user's class
        raise UserError(
            "its state cannot be saved in a checkpoint, and no run could be resumed",
            setting=name,
            cure=f"Choose another {name}",
        ) from error
