"""From a checked config to the objects it describes."""

import functools
from collections.abc import Mapping
from types import TracebackType
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf

from upnet.config.errors import ConfigError, below
from upnet.config.signatures import locate

_OUR_MISTAKES = (AssertionError, AttributeError, NameError, LookupError)


class Factory(functools.partial[Any]):
    """A component with `_partial_: true`: a `functools.partial` that knows its place in the config."""

    path: str

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:  # as functools.partial declares it
        """Call the target with the config's arguments and these. Raises ConfigError as build() does."""
        with _At(self.path):
            return super().__call__(*args, **kwargs)


class _At:
    """Put the config's path in front of what a constructor complains about.

    What can only be a mistake of the code stays as it is and keeps its traceback; so does a ConfigError, which comes
    from a component further in and has its path.
    """

    def __init__(self, path: str) -> None:
        self.path = path

    def __enter__(self) -> None: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if not isinstance(error, Exception) or isinstance(error, (ConfigError, *_OUR_MISTAKES)):
            return
        complaint = str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
        raise ConfigError(f"{self.path}: {complaint}" if self.path else complaint) from error


def build_factory(node: Any) -> Factory:
    """The factory of a component to which the code gives further arguments.

    Raises ConfigError where `_partial_` is not true.
    """
    made = build(node)
    if not isinstance(made, Factory):
        path = node._get_full_key(None)
        raise ConfigError(f"{path}._partial_: false is not allowed: upnet adds arguments to {path}; set it to true")
    return made


def build(node: Any, path: str = "") -> Any:
    """The object that a component describes, with every component inside it; plain values come back as they are.

    It reads `_target_` and `_partial_` as `hydra.utils.instantiate` does. The difference is what a user is told: a
    factory also knows its path, so that an operator which the decoder makes is refused as
    `model.upsampler: Transposed: kernel_size must …`. Mappings and lists arrive as plain dict and list.

    path: where the node stands in the config; a node of a whole config knows it itself.

    Raises ConfigError, chained from the original, where a constructor raises, and where a target leads nowhere.
    """
    if isinstance(node, DictConfig | ListConfig):
        path = path or node._get_full_key(None)
        with _At(path):
            node = OmegaConf.to_container(node, resolve=True, throw_on_missing=True)
    if isinstance(node, list):
        return [build(item, below(path, index)) for index, item in enumerate(node)]
    if not isinstance(node, Mapping):
        return node
    built = {key: build(value, below(path, key)) for key, value in node.items() if key not in ("_target_", "_partial_")}
    if "_target_" not in node:
        return built
    factory = Factory(locate(node["_target_"], below(path, "_target_")), **built)
    factory.path = path
    return factory if node.get("_partial_", False) else factory()
