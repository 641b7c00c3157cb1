"""A small config with a model of two components, for the tests of upnet.config.check()."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

import pytest
from annotated_types import Ge, Gt, Le
from omegaconf import OmegaConf

from upnet.config import Component, ConfigError, check
from upnet.utils.errors import UserError

if TYPE_CHECKING:
    from somewhere import Unreachable  # pyright: ignore[reportMissingImports]


class Encoder:
    def __init__(self, width: int, levels: Annotated[int, Ge(0)] = 2, stem: "Unreachable | None" = None) -> None: ...


class Model:
    def __init__(
        self,
        encoder: Encoder,
        scale: Annotated[int, Ge(1)],
        upsampler: Callable[..., Any] | Sequence[Callable[..., Any]] | None = None,
        kind: Literal["plain", "strided"] = "plain",
        drop: Annotated[float, Ge(0), Le(1)] = 0.0,
        size: int = None,  # noqa: RUF013  # pyright: ignore[reportArgumentType]  # as careless libraries declare it
    ) -> None: ...


class Open:
    def __init__(self, name: str = "runs", **rest: Any) -> None: ...


@dataclass
class Averaging:
    decay: Annotated[float, Gt(0), Le(1)]
    warm_up: bool = True


@dataclass
class Settings:
    model: Component
    steps: Annotated[int, Ge(1)]
    scale: Annotated[int, Ge(1)] = 2
    precision: Literal["auto", "bf16", "32"] = "auto"
    average: Averaging | None = None
    callbacks: dict[str, Component | None] | None = None
    trainer: Component | None = None
    optimizer: Component | None = None
    logger: Component | None = None


def config(**changes: Any) -> dict[str, Any]:
    model = {"_target_": f"{__name__}.Model", "scale": "${scale}", "encoder": encoder()}
    return {"model": model, "steps": 10, "scale": 2, **changes}


def model(**changes: Any) -> dict[str, Any]:
    return config(model={"_target_": f"{__name__}.Model", "scale": "${scale}", "encoder": encoder(), **changes})


def encoder(**changes: Any) -> dict[str, Any]:
    return {"_target_": f"{__name__}.Encoder", "width": 8, **changes}


def errors(settings: dict[str, Any]) -> list[UserError]:
    """The errors of a config that is rejected."""
    with pytest.raises(ConfigError) as caught:
        check(OmegaConf.create(settings), Settings)
    return list(caught.value.errors)


def fields(error: UserError) -> tuple[object, ...]:
    """(setting, value, problem, allowed, cure) of an error."""
    return error.setting, error.value, error.problem, error.allowed, error.cure


ADAMW = {"_target_": "torch.optim.AdamW", "_partial_": True}
TRAINER = {"_target_": "pytorch_lightning.Trainer"}
CHECKPOINT = {"_target_": "pytorch_lightning.callbacks.ModelCheckpoint", "monitor": "psnr", "mode": "max"}
