"""Networks by name: the presets of configs/model with any operator, as plain torch modules."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from upnet.config.build import build
from upnet.config.check import check
from upnet.config.compose import compose_training, plain_mapping, with_values
from upnet.config.types import Component
from upnet.models.encoder_decoder import EncoderDecoder
from upnet.utils.errors import UserError, did_you_mean
from upnet.utils.paths import CONFIGS

GROUPS = ("encoder", "block")
"""Settings of a model that are chosen by name, as `model/encoder=resnet` on the command line."""


@dataclass
class _Settings:
    model: Component


def list_models() -> list[str]:
    """The names of the presets, for create_model().

    >>> "unet" in list_models()
    True
    """
    return _names("model")


def list_upsamplers() -> list[str]:
    """The names of the upsampling operators, for create_model().

    >>> "carafe" in list_upsamplers()
    True
    """
    return _names("model/upsampler")


def create_model(
    name: str = "unet", scale: int = 2, upsampler: str | Sequence[str] | None = None, **changes: Any
) -> EncoderDecoder:
    """Build a preset as a plain `torch.nn.Module` with fresh weights: (N, C, h, w) -> (N, C, scale·h, scale·w).

    name:      one of list_models(); its settings are in configs/model/NAME.yaml.
    scale:     upsampling factor, an integer of at least 2.
    upsampler: one of list_upsamplers() for every place, or a list of them, one per place from the coarsest grid
               to the finest; None keeps the preset's.
    changes:   other settings of the model: a value (`skip=False`), a mapping for a component
               (`encoder={"width": 32}`), or the name of an encoder or a block (`encoder="resnet"`).

    Raises UserError for unknown names and settings, values out of range, and operators that can't be used at their
    place.

    >>> import torch
    >>> net = create_model("unet", scale=2, upsampler="carafe", encoder={"width": 8})
    >>> net(torch.rand(1, 3, 16, 16)).shape
    torch.Size([1, 3, 32, 32])
    """
    overrides = [f"model={_checked_name(name, 'model')}", f"scale={scale}"]
    values: dict[str, Any] = {}
    if isinstance(upsampler, str):
        overrides.append(f"model/upsampler={_checked_name(upsampler, 'model/upsampler')}")
    elif upsampler is not None:
        values["model.upsampler"] = [_upsampler_config(item) for item in upsampler]
    for setting, value in changes.items():
        if setting in GROUPS and isinstance(value, str):
            overrides.append(f"model/{setting}={_checked_name(value, f'model/{setting}')}")
        else:
            values |= dict(_flatten(f"model.{setting}", value))
    model = plain_mapping(with_values(compose_training(overrides), values).model)
    check({"model": model}, _Settings)
    net = build(model, "model")
    assert isinstance(net, EncoderDecoder)
    return net


def _upsampler_config(name: str) -> dict[str, Any]:
    return plain_mapping(
        compose_training([f"model/upsampler={_checked_name(name, 'model/upsampler')}"]).model.upsampler
    )


def _flatten(path: str, value: Any) -> list[tuple[str, Any]]:
    """The settings of a nested mapping by their paths."""
    if not isinstance(value, Mapping):
        return [(path, value)]
    return [pair for key, item in value.items() for pair in _flatten(f"{path}.{key}", item)]


def _names(group: str) -> list[str]:
    return sorted(path.stem for path in (CONFIGS / group).glob("*.yaml"))


def _checked_name(name: str, group: str) -> str:
    names = _names(group)
    if name not in names:
        cure = did_you_mean(name, names)
        raise UserError("is unknown", setting=group, value=name, allowed=", ".join(names), cure=cure)
    return name
