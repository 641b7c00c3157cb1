"""An operator prepared for display: built with one channel, weights that can be followed, and a site."""

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
from upnet.utils.errors import UserError, did_you_mean, join_or


@dataclass(frozen=True)
class Example:
    """An operator of one channel, and the code that builds it."""

    operator: Upsampler
    code: str

    @property
    def name(self) -> str:
        """The name of the class."""
        return type(self.operator).__name__

    @property
    def sentence(self) -> str:
        """What the operator does: the first paragraph of its module docstring, or of its class where there is none."""
        module = sys.modules[type(self.operator).__module__]
        text = inspect.getdoc(module) or inspect.getdoc(type(self.operator)) or ""
        return " ".join(text.partition("\n\n")[0].split())

    @property
    def learnable(self) -> bool:
        """Whether it has parameters."""
        return any(parameter.requires_grad for parameter in self.operator.parameters())


@dataclass(frozen=True)
class ExampleSite:
    """The site of an example, and the image (1, 1, H, W) whose pooling gave its indices; None without indices."""

    site: Site
    pooled: Tensor | None


def public_operators() -> dict[str, type[Upsampler]]:
    """The operators of `upnet.upsample.__all__`, by class name."""
    public = {name: getattr(upsample, name) for name in sorted(upsample.__all__, key=str.casefold)}
    return {name: c for name, c in public.items() if _is_operator(c)}


def find_operator(name: str) -> type[Upsampler]:
    """An operator by class name (Transposed), config name (max_unpool) or import path (my.module.Operator).

    Raises UserError for any other name.

    >>> find_operator("max_unpool").__name__
    'MaxUnpool'
    """
    public = public_operators()
    if "." in name:
        try:
            operator = pkgutil.resolve_name(name)
        except (ImportError, AttributeError, ValueError) as error:
            raise UserError(f"no operator can be imported: {error}", setting="operator", value=name) from error
        if not _is_operator(operator):
            raise UserError(
                "is not an operator", setting="operator", value=name, allowed="a subclass of upnet.upsample.Upsampler"
            )
        return operator
    operators = {_normalize(key): operator for key, operator in public.items()}
    if _normalize(name) in operators:
        return operators[_normalize(name)]
    raise UserError(
        "is not an operator",
        setting="operator",
        value=name,
        allowed=join_or(public),
        cure=did_you_mean(name, public),
    )


def prepare(operator: type[Upsampler], scale: float, settings: Mapping[str, Any]) -> Example:
    """Build an operator of one channel, in float64.

    Raises UserError for unknown settings and for values that the operator refuses.

    >>> from upnet.upsample import Bicubic
    >>> prepare(Bicubic, 2, {"a": -0.75}).code
    'Bicubic(channels=1, scale=2, a=-0.75)'
    """
    names = _setting_names(operator)
    for name in settings:
        if name not in names:
            raise UserError(
                f"{operator.__name__} has no such setting", setting=name, allowed=join_or(names) if names else "none"
            )
    try:
        built = operator(channels=1, scale=scale, **settings).double()
    except (TypeError, RuntimeError) as error:
        raise UserError(f"{operator.__name__} cannot be built with {dict(settings)}: {error}") from error
    arguments = "".join(f", {name}={getattr(value, '__name__', repr(value))}" for name, value in settings.items())
    return Example(built, f"{operator.__name__}(channels=1, scale={scale:g}{arguments})")


def with_small_kernel(operator: type[Upsampler], scale: float, settings: Mapping[str, Any]) -> Mapping[str, Any]:
    """The settings with the smallest odd kernel size from 3 on that the operator accepts, unless they contain one.

    A reader can follow nine weights, but not thirty-six.
    """
    if "kernel_size" not in _setting_names(operator) or "kernel_size" in settings:
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
def set_counting_weights(operator: Upsampler) -> str:
    """Set the weights to 1, 2, 3, … in reading order and all biases to 0, so that each is recognised in the output.

    Returns a remark for operators that need other weights, and "" for all others.
    """
    _count(operator, 1)
    return ""


@set_counting_weights.register
def _(operator: CARAFE) -> str:
    _count(operator, 0)
    return "Its weights are zero here: with large ones the softmax would select a single pixel of the window."


@set_counting_weights.register
def _(operator: DySample) -> str:
    _count(operator, 0.1)
    return "Its weights are 0.1, 0.2, 0.3, … here: with larger ones the positions would lie outside the image."


@torch.no_grad()
def _count(operator: Upsampler, step: float) -> None:
    for parameter in operator.parameters():
        counted = step * torch.arange(1, parameter.numel() + 1).view_as(parameter) if parameter.dim() > 1 else 0
        parameter.copy_(torch.as_tensor(counted))


def example_site(operator: Upsampler, x: Tensor) -> ExampleSite:
    """A site for the input x, (1, 1, h, w), with indices of a pooling that gives x if the operator reads them."""
    size = operator.output_size(x.shape[-2], x.shape[-1])
    if not operator.requires:
        return ExampleSite(Site(size), None)
    image = _image_with_maxima(x, int(operator.scale))
    _, indices = F.max_pool2d(image, int(operator.scale), return_indices=True)
    return ExampleSite(Site(size, indices=indices, skip=image), image)


def _image_with_maxima(x: Tensor, scale: int) -> Tensor:
    """(1, 1, s·h, s·w) whose max-pooling is x; the position of the maximum in its block varies, the rest is x − 1."""
    turns = torch.arange(1, x.numel() + 1).view_as(x) % scale**2
    blocks = torch.where(torch.arange(scale**2).view(1, -1, 1, 1) == turns, x, x - 1)
    return F.pixel_shuffle(blocks, math.isqrt(blocks.shape[1]))


def _setting_names(operator: type[Upsampler]) -> list[str]:
    sizes = ("channels", "scale", "out_channels")
    return [name for name in inspect.signature(operator).parameters if name not in sizes]


def _is_operator(candidate: object) -> bool:
    return inspect.isclass(candidate) and issubclass(candidate, Upsampler) and not inspect.isabstract(candidate)


def _normalize(name: str) -> str:
    return name.replace("_", "").casefold()
