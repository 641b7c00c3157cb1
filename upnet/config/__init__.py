"""Check a config, build its objects, and restrict what the config in a checkpoint may build.

A config is a tree of plain values. A mapping with `_target_` is a component: the class or function of that dotted name,
called with the other keys as arguments. With `_partial_: true` it is a factory, which the code calls later with further
arguments. A dataclass declares the keys of the root:

    @dataclass
    class TrainSettings:
        model: Component
        scale: Annotated[int, Ge(2)]
        precision: Literal["auto", "bf16", "32"] = "auto"

    settings = check(config, TrainSettings)
    model = build(settings.model, "model")
"""

from upnet.config.build import Factory, build, build_factory
from upnet.config.check import check
from upnet.config.errors import ConfigError
from upnet.config.trust import check_targets
from upnet.config.types import Component

__all__ = ["Component", "ConfigError", "Factory", "build", "build_factory", "check", "check_targets"]
