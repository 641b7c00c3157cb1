"""The one check before anything is built, the building itself, and what a stranger's config may build.

A config is a tree of plain values. A mapping with `_target_` is a component: the class or function of that dotted name,
called with the other keys as arguments; with `_partial_: true` it is a factory, which the code calls later with the
arguments that only the code knows. The keys that no class owns stand at the root and are declared by a dataclass:

    @dataclass
    class TrainSettings:
        model: Component
        callbacks: dict[str, Component | None]
        scale: Annotated[int, Ge(1)]
        precision: Literal["auto", "bf16", "32"] = "auto"

    check(config, TrainSettings)
    model = build(config.model)
"""

from upnet.config.build import Factory, build, build_factory
from upnet.config.check import check
from upnet.config.errors import ConfigError
from upnet.config.trust import check_targets
from upnet.config.types import Component

__all__ = ["Component", "ConfigError", "Factory", "build", "build_factory", "check", "check_targets"]
