"""Build a learning rate scheduler of upnet, torch or a user from its config."""

from collections.abc import Callable
from typing import Any

from torch.optim import Optimizer

from upnet.config import Factory, build_factory
from upnet.config.errors import invalid, join_path
from upnet.config.signatures import signature


def scheduler_factory(node: Any, path: str = "scheduler") -> Callable[[Optimizer, int], Any]:
    """A function that builds the scheduler from the optimizer and the number of steps.

    node: the config of the scheduler, with `_partial_: true`.
    path: the path of the node in the config, for errors.

    A scheduler with an argument `steps` gets the number of steps, unless the config sets it. Nested schedulers, as in
    torch's SequentialLR and ChainedScheduler, are built for the same optimizer.

    >>> import torch
    >>> node = {"_target_": "torch.optim.lr_scheduler.StepLR", "_partial_": True, "step_size": 2}
    >>> optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
    >>> type(scheduler_factory(node)(optimizer, 10)).__name__
    'StepLR'
    """
    factory = build_factory(node, path)
    return lambda optimizer, steps: _build(factory, optimizer, steps)


def _build(factory: Factory, optimizer: Optimizer, steps: int) -> Any:
    arguments = {key: _nested(value, optimizer, steps) for key, value in factory.keywords.items()}
    names = _names(factory)
    if "steps" in names:
        arguments.setdefault("steps", steps)
    target = signature(factory.func)
    for name in target.required if target is not None else ():
        if name not in arguments and name != "optimizer":
            path = join_path(factory.path, name)
            raise invalid(f"required by {factory.func.__name__}", setting=path, cure=f"Set +{path}=…")
    complete = Factory(factory.func, **arguments)
    complete.path = factory.path
    return complete(optimizer=optimizer) if "optimizer" in names else complete(optimizer)


def _nested(value: Any, optimizer: Optimizer, steps: int) -> Any:
    """An argument of a scheduler, with nested schedulers built. Other functions are returned unchanged."""
    if isinstance(value, list):
        return [_nested(item, optimizer, steps) for item in value]
    is_scheduler = isinstance(value, Factory) and "optimizer" in _names(value)
    return _build(value, optimizer, steps) if is_scheduler else value


def _names(factory: Factory) -> tuple[str, ...]:
    target = signature(factory.func)
    return target.names if target is not None else ()
