"""Build the objects that a checked config describes."""

import functools
from collections.abc import Mapping
from types import TracebackType
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from upnet.config.errors import ConfigError, invalid, join_path
from upnet.config.signatures import locate, signature
from upnet.utils.errors import UserError, join_or


class Factory(functools.partial[Any]):
    """A component with `_partial_: true`: a `functools.partial` with its path in the config."""

    path: str

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:  # as functools.partial declares it
        """Call the target with the config's arguments and these.

        Raises ConfigError as build() does, and if the target doesn't accept a keyword that the caller passes.
        """
        accepted = signature(self.func)
        rejected = (
            [] if accepted is None or accepted.accepts_kwargs else [key for key in kwargs if key not in accepted.names]
        )
        if rejected:
            problem = f"does not accept {join_or(rejected)}, which upnet passes to {self.path}"
            target = f"{self.func.__module__}.{self.func.__qualname__}"
            cure = "Choose a component that accepts it"
            raise invalid(problem, setting=join_path(self.path, "_target_"), value=target, cure=cure)
        with _Located(self.path, self.func):
            return super().__call__(*args, **kwargs)


class _Located:
    """Raise a ConfigError with the component's path for a ValueError of its constructor.

    Other exceptions pass, and so does a ConfigError of a nested component, which already has a path.
    """

    def __init__(self, path: str, target: Any) -> None:
        self.path, self.target = path, target

    def __enter__(self) -> None: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if not isinstance(error, ValueError) or isinstance(error, ConfigError):
            return
        if not isinstance(error, UserError):
            raise invalid(str(error), setting=self.path) from error
        is_argument = error.setting in getattr(signature(self.target), "names", ())
        raise invalid(
            error.problem,
            setting=join_path(self.path, error.setting) if is_argument else error.setting or self.path,
            value=error.value,
            allowed=error.allowed,
            cure=error.cure,
        ) from error


def build_factory(node: Any, path: str = "") -> Factory:
    """The factory of a component to which the code passes further arguments.

    Raises ConfigError if `_partial_` is not true.
    """
    factory = build(node, path)
    if not isinstance(factory, Factory):
        path = path or node._get_full_key(None)
        problem = f"must be true: upnet passes further arguments to {path}"
        raise invalid(problem, setting=join_path(path, "_partial_"), value=False)
    return factory


def build(node: Any, path: str = "") -> Any:
    """Build a component and the components inside it. Plain values are returned unchanged.

    node: a mapping with `_target_`, the dotted name of a class or function, and its arguments. With `_partial_: true`
          it becomes a Factory, which the code calls later with further arguments. Lists and mappings of components are
          built item by item.
    path: where the node is in the config, for errors; not needed for a node of a composed config.

    In contrast to `hydra.utils.instantiate`, errors name the path of the component, also those that a factory raises
    later. Mappings and lists are passed as plain dict and list.

    Raises ConfigError if a constructor raises ValueError, and for a target that does not exist.

    >>> build({"_target_": "torch.nn.Linear", "in_features": 2, "out_features": 3})
    Linear(in_features=2, out_features=3, bias=True)
    """
    if isinstance(node, DictConfig | ListConfig):
        path = path or node._get_full_key(None)
        try:
            node = OmegaConf.to_container(node, resolve=True, throw_on_missing=True)
        except OmegaConfBaseException as error:
            raise invalid(str(error).splitlines()[0], setting=path) from error
    if isinstance(node, list):
        return [build(item, join_path(path, index)) for index, item in enumerate(node)]
    if not isinstance(node, Mapping):
        return node
    arguments = {
        key: build(value, join_path(path, key)) for key, value in node.items() if key not in ("_target_", "_partial_")
    }
    if "_target_" not in node:
        return arguments
    factory = Factory(locate(node["_target_"], join_path(path, "_target_")), **arguments)
    factory.path = path
    return factory if node.get("_partial_", False) else factory()
