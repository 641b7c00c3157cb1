"""What is tried on a few numbers before a run begins: the optimizer, the scheduler and the compiler."""

import inspect
import io
from collections.abc import Callable
from typing import Any

import torch
from omegaconf import DictConfig
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from upnet.config import ConfigError, build_factory
from upnet.training.schedule import scheduler_factory

_FAULTS = (RuntimeError, TypeError, ValueError)


def try_optimizer(config: DictConfig) -> None:
    """Make one step of the optimizer and of the scheduler on two small parameters, and read their states back.

    Raises ConfigError for what either refuses, now or later, and for a state from which no run could be resumed.
    """
    # Of the shapes that networks have, and not from nn.Conv2d, which would draw random numbers.
    layout = torch.channels_last if config.channels_last else torch.contiguous_format
    tensors = [torch.zeros(2, 2, 3, 3).contiguous(memory_format=layout), torch.zeros(2)]
    parameters = [torch.nn.Parameter(tensor) for tensor in tensors]
    try:
        optimizer = build_factory(config.optimizer)(parameters)
    except ConfigError as fault:
        raise ConfigError(f"{fault}; {_cure(fault)}") from fault
    if not isinstance(optimizer, Optimizer):
        raise ConfigError(f"optimizer: a torch.optim.Optimizer is expected, and this is a {type(optimizer).__name__}")
    _check_closure(optimizer, config.trainer.accumulate_grad_batches)
    scheduler = scheduler_factory(config.scheduler)(optimizer, config.steps)
    _check_scheduler(scheduler, config.steps)
    for group in optimizer.param_groups:
        if group.get("capturable"):
            group["capturable"] = False  # the parameters of a run are on a GPU then, and these are not

    def closure() -> Any:
        for parameter in parameters:
            parameter.grad = torch.ones_like(parameter)
        return torch.zeros(())

    closure()
    other = "optimizer, or channels_last=false" if config.channels_last else "optimizer"
    _attempt("optimizer", lambda: optimizer.step(closure), other)
    plateau = isinstance(scheduler, ReduceLROnPlateau)
    _attempt("scheduler", lambda: scheduler.step(0.0) if plateau else scheduler.step(), "scheduler")
    for name, state in (("optimizer", optimizer.state_dict()), ("scheduler", scheduler.state_dict())):
        _check_state(name, state)


def _check_closure(optimizer: Optimizer, accumulate: int) -> None:
    """Raise ConfigError for an optimizer that computes a loss several times in a step of several batches."""
    closure = inspect.signature(optimizer.step).parameters.get("closure")
    if closure is not None and closure.default is closure.empty and accumulate > 1:
        raise ConfigError(
            f"optimizer: {type(optimizer).__name__} computes the loss several times in a step, which needs one batch a "
            f"step; set trainer.accumulate_grad_batches=1, which is {accumulate}"
        )


def _check_scheduler(scheduler: object, steps: int) -> None:
    if not isinstance(scheduler, LRScheduler):
        raise ConfigError(f"scheduler: a torch LRScheduler is expected, and this is a {type(scheduler).__name__}")
    if isinstance(scheduler, ReduceLROnPlateau) and scheduler.mode != "max":
        raise ConfigError(
            f"scheduler.mode={scheduler.mode} would lower the rate while the validation PSNR rises; set "
            "scheduler.mode=max"
        )
    total = getattr(scheduler, "total_steps", None)
    if total is not None and total < steps:
        raise ConfigError(
            f"scheduler.total_steps={total} ends before the training of steps={steps}; set it to at least {steps}"
        )


def check_compiler(device: torch.device) -> None:
    """Compile one addition on the device that trains. Raises ValueError where torch.compile cannot."""

    def double(x: Tensor) -> Tensor:
        return x + x

    try:
        # Without its cache, which may still hold what a compiler made that is gone.
        torch.compile(double, options={"fx_graph_cache": False})(torch.zeros(8, device=device))
    except (RuntimeError, OSError, ImportError) as fault:
        needed = "Triton and a C compiler" if device.type == "cuda" else "a C++ compiler"
        raise ValueError(
            f"compile=true needs {needed}, and torch found none that works ({str(fault).splitlines()[0]}); install "
            "one, such as g++, name it by the environment variable CXX, or set compile=false"
        ) from fault


def _cure(fault: ConfigError) -> str:
    if "Invalid" in str(fault):
        return "rates, momentum, decay and eps are 0 or larger and betas in [0, 1), as in configs/optimizer"
    return "take another optimizer, such as optimizer=adamw"


def _attempt(name: str, step: Callable[[], object], other: str) -> None:
    try:
        step()
    except _FAULTS as fault:
        raise ConfigError(f"{name}: its step fails: {' '.join(str(fault).split())}; take another {other}") from fault


def _check_state(name: str, state: dict[str, Any]) -> None:
    """Raise ConfigError for a state that a checkpoint, which is read as plain data, can't hold."""
    content = io.BytesIO()
    try:
        torch.save(state, content)
        content.seek(0)
        torch.load(content, weights_only=True)
    except Exception as fault:  # whatever pickling a user's optimizer or scheduler raises
        raise ConfigError(
            f"{name}: no checkpoint can hold its state, and no run could be resumed; take another {name}"
        ) from fault
