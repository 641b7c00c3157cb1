"""An operator made ready to be looked at: built, given weights one can follow, and put at a place of its own."""

import difflib
import inspect
import math
import pkgutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import singledispatch
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from upnet import upsample
from upnet.site import Site
from upnet.upsample.base import Upsampler
from upnet.upsample.carafe import CARAFE
from upnet.upsample.dysample import DySample


@dataclass(frozen=True)
class Specimen:
    """One operator of one channel and the settings it was built with, written as its user would write them."""

    operator: Upsampler
    code: str

    @property
    def name(self) -> str:
        """The name of the class."""
        return type(self.operator).__name__

    @property
    def sentence(self) -> str:
        """What the operator does: the first paragraph of its module, or of the class where the module says nothing."""
        module = sys.modules[type(self.operator).__module__]
        text = inspect.getdoc(module) or inspect.getdoc(type(self.operator)) or ""
        return " ".join(text.partition("\n\n")[0].split())

    @property
    def learnable(self) -> bool:
        """Whether training changes it."""
        return any(parameter.requires_grad for parameter in self.operator.parameters())


@dataclass(frozen=True)
class Place:
    """What an operator meets: the site, and the picture whose pooling left it there, (1, 1, H, W), or None."""

    site: Site
    pooled: Tensor | None


def public_operators() -> dict[str, type[Upsampler]]:
    """The operators of `upnet.upsample.__all__`, by name: a new one is shown by being there."""
    public = {name: getattr(upsample, name) for name in sorted(upsample.__all__, key=str.casefold)}
    return {name: c for name, c in public.items() if _is_operator(c)}


def find_operator(name: str) -> type[Upsampler]:
    """An operator by name (Transposed), by the stem of its yaml (max_unpool) or by its path (my.module.Operator).

    Raises ValueError for anything else, with what comes closest.
    """
    public = public_operators()
    if "." in name:
        try:
            found = pkgutil.resolve_name(name)
        except (ImportError, AttributeError, ValueError) as fault:
            raise ValueError(f"no operator can be imported as {name!r}: {fault}") from fault
        if not _is_operator(found):
            raise ValueError(f"{name!r} is no operator: a class is needed that extends upnet.upsample.Upsampler")
        return found
    known = {_plain(key): operator for key, operator in public.items()}
    if _plain(name) in known:
        return known[_plain(name)]
    close = difflib.get_close_matches(_plain(name), known, n=1)
    guess = f"did you mean {known[close[0]].__name__}? " if close else ""
    raise ValueError(f"there is no operator {name!r}; {guess}there are {', '.join(public)}")


def prepare(operator: type[Upsampler], scale: float, settings: Mapping[str, Any]) -> Specimen:
    """Build an operator of one channel, in float64.

    Raises ValueError for a setting the operator doesn't have, and for what the operator itself refuses.
    """
    takes = _takes(operator)
    for name in settings:
        if name not in takes:
            raise ValueError(f"{operator.__name__} has no setting {name!r}; it has {', '.join(takes) or 'none'}")
    try:
        built = operator(channels=1, scale=scale, **settings).double()
    except (TypeError, RuntimeError) as fault:
        raise ValueError(f"{operator.__name__} cannot be built with {dict(settings)}: {fault}") from fault
    written = "".join(f", {name}={getattr(value, '__name__', repr(value))}" for name, value in settings.items())
    return Specimen(built, f"{operator.__name__}(channels=1, scale={scale:g}{written})")


def with_small_kernel(operator: type[Upsampler], scale: float, settings: Mapping[str, Any]) -> Mapping[str, Any]:
    """The settings, and beside them the smallest odd kernel that fits, from 3×3 on, where none is asked for.

    Nine weights are followed by eye; thirty-six are not.
    """
    if "kernel_size" not in _takes(operator) or "kernel_size" in settings:
        return settings
    for kernel_size in range(3, int(scale) + 2, 2):
        small = {**settings, "kernel_size": kernel_size}
        try:
            prepare(operator, scale, small)
        except ValueError:
            continue
        return small
    return settings


@singledispatch
def count_weights(operator: Upsampler) -> str:
    """Weights 1, 2, 3, … in reading order and every bias 0, so that each can be found again in the output.

    Returns what there is to say where an operator gets others; nothing for most.
    """
    _count(operator, 1)
    return ""


@count_weights.register
def _(operator: CARAFE) -> str:
    _count(operator, 0)
    return "Its weights are zero here: counted ones would put all on one pixel of the window."


@count_weights.register
def _(operator: DySample) -> str:
    _count(operator, 0.1)
    return "Its weights are 0.1, 0.2, 0.3, … here: greater ones would leave the picture."


@torch.no_grad()
def _count(operator: Upsampler, step: float) -> None:
    for parameter in operator.parameters():
        counted = step * torch.arange(1, parameter.numel() + 1).view_as(parameter) if parameter.dim() > 1 else 0
        parameter.copy_(torch.as_tensor(counted))


def place_for(operator: Upsampler, x: Tensor) -> Place:
    """A place whose input is x, (1, 1, h, w): where the operator reads more than the size, one that pooling left."""
    size = operator.output_size(x.shape[-2], x.shape[-1])
    if not operator.requires:
        return Place(Site(size), None)
    picture = _picture_with_maxima(x, int(operator.scale))
    _, indices = F.max_pool2d(picture, int(operator.scale), return_indices=True)
    return Place(Site(size, indices=indices, skip=picture), picture)


def _picture_with_maxima(x: Tensor, scale: int) -> Tensor:
    """(1, 1, s·h, s·w) that max-pools to x: each maximum in another corner of its block, and one less around it."""
    turns = torch.arange(1, x.numel() + 1).view_as(x) % scale**2
    blocks = torch.where(torch.arange(scale**2).view(1, -1, 1, 1) == turns, x, x - 1)
    return F.pixel_shuffle(blocks, math.isqrt(blocks.shape[1]))


def _takes(operator: type[Upsampler]) -> list[str]:
    given = ("channels", "scale", "out_channels")
    return [name for name in inspect.signature(operator).parameters if name not in given]


def _is_operator(found: object) -> bool:
    return inspect.isclass(found) and issubclass(found, Upsampler) and not inspect.isabstract(found)


def _plain(name: str) -> str:
    return name.replace("_", "").casefold()
