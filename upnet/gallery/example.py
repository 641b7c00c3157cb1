"""Operators of one channel for `upnet operators`, with example weights and example sites."""

import inspect
import pkgutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from upnet import upsample
from upnet.site import Site
from upnet.upsample.base import Upsampler
from upnet.utils.errors import UserError, did_you_mean, join_or


@dataclass(frozen=True)
class Example:
    """An operator of one channel and the code that builds it."""

    operator: Upsampler
    code: str

    @property
    def name(self) -> str:
        """The name of the class."""
        return type(self.operator).__name__

    @property
    def summary(self) -> str:
        """The first paragraph of the module's docstring, or of the class's where the module has none."""
        module = sys.modules[type(self.operator).__module__]
        text = inspect.getdoc(module) or inspect.getdoc(type(self.operator)) or ""
        return " ".join(text.partition("\n\n")[0].split())

    @property
    def learnable(self) -> bool:
        """Whether the operator has learned weights."""
        return any(parameter.requires_grad for parameter in self.operator.parameters())


@dataclass(frozen=True)
class ExampleSite:
    """A site for an example's input, with the image whose max-pooling gives the input and the indices.

    image: (1, 1, H, W); None where the operator reads no indices.
    """

    site: Site
    image: Tensor | None


def public_operators() -> dict[str, type[Upsampler]]:
    """Class name -> operator, for all operators in `upnet.upsample.__all__`."""
    public = {name: getattr(upsample, name) for name in sorted(upsample.__all__, key=str.casefold)}
    return {name: value for name, value in public.items() if _is_operator(value)}


def find_operator(name: str) -> type[Upsampler]:
    """Find an operator by class name (Transposed), config name (max_unpool) or import path (my.module.Operator).

    Raises UserError if there is none of that name.

    >>> find_operator("max_unpool").__name__
    'MaxUnpool'
    """
    public = public_operators()
    if "." in name:
        try:
            operator = pkgutil.resolve_name(name)
        except (ImportError, AttributeError, ValueError) as error:
            raise UserError(f"cannot be imported: {error}", setting="operator", value=name) from error
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


def build_example(operator: type[Upsampler], scale: float, settings: Mapping[str, Any]) -> Example:
    """Build an operator of one channel, in float64.

    Raises UserError for unknown settings, and for values and scales that the operator rejects.

    >>> from upnet.upsample import Bicubic
    >>> build_example(Bicubic, 2, {"a": -0.75}).code
    'Bicubic(channels=1, scale=2, a=-0.75)'
    """
    names = _setting_names(operator)
    for name in settings:
        if name not in names:
            raise UserError(
                f"{operator.__name__} has no such setting", setting=name, allowed=join_or(names) if names else "none"
            )
    try:
        example = operator(channels=1, scale=scale, **settings).double()
    except (TypeError, RuntimeError) as error:
        raise UserError(f"{operator.__name__} cannot be built with {dict(settings)}: {error}") from error
    arguments = "".join(f", {name}={getattr(value, '__name__', repr(value))}" for name, value in settings.items())
    return Example(example, f"{operator.__name__}(channels=1, scale={scale:g}{arguments})")


def with_small_kernel(operator: type[Upsampler], scale: float, settings: Mapping[str, Any]) -> Mapping[str, Any]:
    """Add the smallest odd kernel_size of at least 3 that the operator accepts, unless the settings have one.

    A small kernel keeps the printed numbers readable.

    >>> from upnet.upsample import Transposed
    >>> with_small_kernel(Transposed, 2, {})
    {'kernel_size': 3}
    """
    if "kernel_size" not in _setting_names(operator) or "kernel_size" in settings:
        return settings
    for kernel_size in range(3, int(scale) + 2, 2):
        small = {**settings, "kernel_size": kernel_size}
        try:
            build_example(operator, scale, small)
        except UserError:
            continue
        return small
    return settings


@torch.no_grad()
def set_example_weights(operator: Upsampler) -> str:
    """Set the weights that the operator declares as `example_weights`, and all biases to 0.

    Returns a sentence on the weights where they are not 1, 2, 3, …, else "".

    >>> from upnet.upsample import CARAFE
    >>> set_example_weights(CARAFE(channels=1, scale=2))
    'The weights are 0 here. With large weights the softmax would select one pixel of the window.'
    """
    step, reason = operator.example_weights
    for parameter in operator.parameters():
        numbers = torch.arange(1, parameter.numel() + 1, dtype=parameter.dtype).view_as(parameter)
        parameter.copy_(step * numbers if parameter.dim() > 1 else torch.zeros_like(parameter))
    if step == 1:
        return ""
    numbers = ", ".join(f"{step * number:g}" for number in (1, 2, 3))
    return f"The weights are {f'{numbers}, …' if step else 0} here. {reason}"


def example_site(operator: Upsampler, x: Tensor) -> ExampleSite:
    """A site for the input x, (1, 1, h, w); where the operator reads encoder state, that of an image pooled to x."""
    size = operator.output_size(x.shape[-2], x.shape[-1])
    if not operator.requires:
        return ExampleSite(Site(size), None)
    scale = int(operator.scale)
    image = _image_pooled_to(x, scale)
    _, indices = F.max_pool2d(image, scale, return_indices=True)
    return ExampleSite(Site(size, indices=indices, skip=image), image)


def _image_pooled_to(x: Tensor, scale: int) -> Tensor:
    """An image (1, 1, s·h, s·w) whose max-pooling is x.

    The maximum is at a different position in each s × s block; the other pixels are x − 1.
    """
    positions = torch.arange(1, x.numel() + 1).view_as(x) % scale**2
    blocks = torch.where(torch.arange(scale**2).view(1, -1, 1, 1) == positions, x, x - 1)
    return F.pixel_shuffle(blocks, scale)


def _setting_names(operator: type[Upsampler]) -> list[str]:
    common = ("channels", "scale", "out_channels")
    return [name for name in inspect.signature(operator).parameters if name not in common]


def _is_operator(candidate: object) -> bool:
    return inspect.isclass(candidate) and issubclass(candidate, Upsampler) and not inspect.isabstract(candidate)


def _normalize(name: str) -> str:
    return name.replace("_", "").casefold()
