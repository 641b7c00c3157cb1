"""A learning rate scheduler from its node of the config: upnet's, torch's or a user's."""

from collections.abc import Callable
from typing import Any

from torch.optim import Optimizer

from upnet.config import ConfigError, Factory, build_factory
from upnet.config.errors import below
from upnet.config.signatures import signature


def scheduler_factory(node: Any) -> Callable[[Optimizer, int], Any]:
    """A function of the optimizer and the number of steps that makes the scheduler of a node.

    The number of steps goes to schedulers that take `steps` and have none from the config. The schedulers inside one,
    as in torch's SequentialLR and ChainedScheduler, are made for the same optimizer.
    """
    factory = build_factory(node)
    return lambda optimizer, steps: _make(factory, optimizer, steps)


def _make(factory: Factory, optimizer: Optimizer, steps: int) -> Any:
    takes, names = signature(factory.func), _names(factory)
    given = {key: _inside(value, optimizer, steps) for key, value in factory.keywords.items()}
    if "steps" in names:
        given.setdefault("steps", steps)
    needed = takes.required if takes is not None else ()
    for name in needed:
        if name not in given and name != "optimizer":
            path = below(factory.path, name)
            raise ConfigError(f"{path} must be given, since {factory.func.__name__} needs it: +{path}=...")
    made = Factory(factory.func, **given)
    made.path = factory.path
    return made(optimizer=optimizer) if "optimizer" in names else made(optimizer)


def _inside(value: Any, optimizer: Optimizer, steps: int) -> Any:
    """An argument of a scheduler, where the schedulers in it are made; a function of the step stays as it is."""
    if isinstance(value, list):
        return [_inside(item, optimizer, steps) for item in value]
    is_scheduler = isinstance(value, Factory) and "optimizer" in _names(value)
    return _make(value, optimizer, steps) if is_scheduler else value


def _names(factory: Factory) -> tuple[str, ...]:
    takes = signature(factory.func)
    return takes.names if takes is not None else ()
