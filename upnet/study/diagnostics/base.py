"""The base class of diagnostics, its four kinds by what they are computed from, and the registry."""

import inspect
import pkgutil
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeGuard

from torch import Tensor

from upnet.models import EncoderDecoder
from upnet.models.complexity import OUTPUT_SIZE
from upnet.study.diagnostics.methods import UpscalingMethod
from upnet.upsample import Upsampler


@dataclass(frozen=True, slots=True)
class Sample:
    """The output for one image.

    output: (3 or 1, H, W), approximately in [0, 1], neither clamped nor rounded.
    target: (3 or 1, H, W), the HR image, uint8 or in [0, 1]; a single channel is the luma.
    lr:     (3 or 1, h, w), the input of the network, uint8 or in [0, 1].
    """

    output: Tensor
    target: Tensor
    lr: Tensor


@dataclass(frozen=True, slots=True)
class Case:
    """The inputs of Diagnostic.compute().

    method: the examined upscaling method.
    net:    the network; None where the method is not a network.
    size:   (H, W), the output size in pixels for costs.
    sample: one image, for diagnostics that are averaged over images.
    """

    method: UpscalingMethod
    net: EncoderDecoder | None = None
    size: tuple[int, int] = OUTPUT_SIZE
    sample: Sample | None = None


class Diagnostic(ABC):
    """A property of a network or an operator, as a number or an array.

    The formula, unit, direction and source that a subclass declares are appended to its docstring, for help().
    """

    name: ClassVar[str]
    """The key of the value in dictionaries and files."""
    heading: ClassVar[str]
    """The name in tables."""
    unit: ClassVar[str]
    """`1` for a ratio."""
    better: ClassVar[Literal["higher", "lower"] | None]
    """The better direction; None where there is none."""
    formula: ClassVar[str]
    source: ClassVar[str]
    scalar: ClassVar[bool] = True
    """Whether the value is one number rather than an array."""
    per_image: ClassVar[bool] = False
    """Whether the value is averaged over images."""
    network_only: ClassVar[bool] = False
    """Whether it exists for networks only, and not for other upscaling methods."""

    def __init_subclass__(cls) -> None:
        """Complete the docstring of a class that declares its formula."""
        super().__init_subclass__()
        if "formula" in vars(cls):
            facts = {"Formula": cls.formula, "Unit": cls.unit, "Better": cls.better or "neither", "Source": cls.source}
            lines = [f"{key}: {value}" for key, value in facts.items()]
            cls.__doc__ = "\n\n".join((inspect.cleandoc(cls.__doc__ or ""), *lines))

    @abstractmethod
    def compute(self, case: Case) -> Any:
        """The value: a float, or float64 values in a tensor where the diagnostic is not scalar."""


class CostDiagnostic(Diagnostic):
    """The cost of a network, which does not depend on its weights."""

    network_only = True

    @abstractmethod
    def compute_for_network(self, net: EncoderDecoder, output: tuple[int, int] = OUTPUT_SIZE) -> float:
        """The cost of one output image of (H, W) pixels."""

    def compute(self, case: Case) -> float:
        """The cost of the case's network at the case's size."""
        assert case.net is not None
        return self.compute_for_network(case.net, case.size)


class SyntheticDiagnostic(Diagnostic):
    """The response of a network or an operator to a synthetic image."""

    @abstractmethod
    def compute_for_method(self, method: UpscalingMethod) -> Any:
        """The value for any upscaling method."""

    def compute_for_network(self, net: EncoderDecoder) -> Any:
        """The value for a network, computed on its device in float32."""
        return self.compute_for_method(UpscalingMethod.from_network(net))

    def compute_for_operator(self, operator: Upsampler) -> Any:
        """The value for an operator of one channel. Raises UserError for other operators."""
        return self.compute_for_method(UpscalingMethod.from_operator(operator))

    def compute(self, case: Case) -> Any:
        """The value for the case's method."""
        return self.compute_for_method(case.method)


class ImageDiagnostic(Diagnostic):
    """A comparison of an output image with its target."""

    per_image = True

    @abstractmethod
    def compute_for_image(self, output: Tensor, target: Tensor, lr: Tensor, scale: int) -> float:
        """The value for one image; shapes and ranges are those of a Sample.

        `scale` pixels are cropped at each side. Raises UserError for images that don't match in size or are too small.
        """

    def compute(self, case: Case) -> float:
        """The value for the case's sample."""
        assert case.sample is not None
        sample = case.sample
        return self.compute_for_image(sample.output, sample.target, sample.lr, case.method.scale)


class ShiftDiagnostic(Diagnostic):
    """The response of an output to a shift of the image."""

    per_image = True

    @abstractmethod
    def compute_for_method(self, method: UpscalingMethod, target: Tensor, lr: Tensor) -> float:
        """The value for any upscaling method; target and lr are those of a Sample."""

    def compute_for_network(self, net: EncoderDecoder, target: Tensor, lr: Tensor) -> float:
        """The value for a network, computed on its device in float32."""
        return self.compute_for_method(UpscalingMethod.from_network(net), target, lr)

    def compute(self, case: Case) -> float:
        """The value for the case's method and sample."""
        assert case.sample is not None
        return self.compute_for_method(case.method, case.sample.target, case.sample.lr)


def diagnostics() -> dict[str, Diagnostic]:
    """All diagnostics by name, in the order of their modules and of their definitions within a module.

    >>> diagnostics()["step_rise"].unit
    'px'
    """
    return dict(_registry())


@cache
def _registry() -> dict[str, Diagnostic]:
    package = __name__.rpartition(".")[0]
    registry: dict[str, Diagnostic] = {}
    for entry in pkgutil.iter_modules([str(Path(__file__).parent)], f"{package}."):
        for value in vars(import_module(entry.name)).values():
            if _is_diagnostic(value) and value.__module__ == entry.name:
                assert value.name not in registry, f"two diagnostics have the name {value.name}"
                registry[value.name] = value()
    return registry


def _is_diagnostic(value: object) -> TypeGuard[type[Diagnostic]]:
    return inspect.isclass(value) and issubclass(value, Diagnostic) and not inspect.isabstract(value)
