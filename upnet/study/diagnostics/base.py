"""What a diagnostic declares of itself, and the four kinds there are, by what they are computed from."""

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
from upnet.models.complexity import OUTPUT
from upnet.study.diagnostics.methods import UpscalingMethod
from upnet.upsample import Upsampler


@dataclass(frozen=True, slots=True)
class Sample:
    """What a network made of one picture.

    output: (3 or 1, H, W) about [0, 1], neither clamped nor rounded.
    target: (3 or 1, H, W), the HR picture, uint8 or in [0, 1]; one channel is the Y plane.
    lr:     (3 or 1, h, w), what the network was given, uint8 or in [0, 1].
    """

    output: Tensor
    target: Tensor
    lr: Tensor


@dataclass(frozen=True, slots=True)
class Case:
    """Everything that some diagnostic is computed from.

    net:     None where the method that is looked at is no network.
    method: how it enlarges a picture.
    size:    (H, W), the output size in pixels that costs are told for.
    sample:  one picture, for the diagnostics that are a mean over pictures.
    """

    method: UpscalingMethod
    net: EncoderDecoder | None = None
    size: tuple[int, int] = OUTPUT
    sample: Sample | None = None


class Diagnostic(ABC):
    """One figure of a network or an operator.

    What a subclass declares is appended to its docstring, so that help() tells it as well.
    """

    name: ClassVar[str]
    """The key of its value wherever values are kept."""
    heading: ClassVar[str]
    """What a table calls it."""
    unit: ClassVar[str]
    """`1` for a plain ratio."""
    better: ClassVar[Literal["higher", "lower"] | None]
    """None where neither direction is."""
    formula: ClassVar[str]
    source: ClassVar[str]
    scalar: ClassVar[bool] = True
    """Whether its value is one number rather than an array."""
    per_image: ClassVar[bool] = False
    """Whether it is the mean over pictures."""
    network_only: ClassVar[bool] = False
    """Whether it is of networks alone, and not of any method that enlarges."""

    def __init_subclass__(cls) -> None:
        """Complete the docstring of a class that declares its formula."""
        super().__init_subclass__()
        if "formula" in vars(cls):
            told = {"Formula": cls.formula, "Unit": cls.unit, "Better": cls.better or "neither", "Source": cls.source}
            lines = [f"{key}: {value}" for key, value in told.items()]
            cls.__doc__ = "\n\n".join((inspect.cleandoc(cls.__doc__ or ""), *lines))

    @abstractmethod
    def compute(self, case: Case) -> Any:
        """The value: a float, or float64 values in a tensor where the diagnostic is not scalar."""


class CostDiagnostic(Diagnostic):
    """What a network costs, whatever its weights are."""

    network_only = True

    @abstractmethod
    def compute_for_network(self, net: EncoderDecoder, output: tuple[int, int] = OUTPUT) -> float:
        """The cost of one output picture of that size in pixels, rows first."""

    def compute(self, case: Case) -> float:
        """Of the network, at the size of the case."""
        assert case.net is not None
        return self.compute_for_network(case.net, case.size)


class SyntheticDiagnostic(Diagnostic):
    """What a network or an operator does to a synthetic picture."""

    @abstractmethod
    def compute_for_method(self, method: UpscalingMethod) -> Any:
        """The value for anything that enlarges planes."""

    def compute_for_network(self, net: EncoderDecoder) -> Any:
        """The value for a network, which is taken on its own device in float32."""
        return self.compute_for_method(UpscalingMethod.from_network(net))

    def compute_for_operator(self, operator: Upsampler) -> Any:
        """The value for an operator of one channel in float64. Raises ValueError where it is another one."""
        return self.compute_for_method(UpscalingMethod.from_operator(operator))

    def compute(self, case: Case) -> Any:
        """Of whatever enlarges in the case."""
        return self.compute_for_method(case.method)


class ImageDiagnostic(Diagnostic):
    """What an output picture has, and its target has not."""

    per_image = True

    @abstractmethod
    def compute_for_image(self, output: Tensor, target: Tensor, lr: Tensor, scale: int) -> float:
        """The value of one picture; the shapes are those of a Sample.

        `scale` pixels are left out at each side. Raises ValueError for pictures that don't fit together or are too
        small.
        """

    def compute(self, case: Case) -> float:
        """Of the sample in the case."""
        assert case.sample is not None
        sample = case.sample
        return self.compute_for_image(sample.output, sample.target, sample.lr, case.method.scale)


class ShiftDiagnostic(Diagnostic):
    """What becomes of an output when the picture moves."""

    per_image = True

    @abstractmethod
    def compute_for_method(self, method: UpscalingMethod, target: Tensor, lr: Tensor) -> float:
        """The value for anything that enlarges pictures; target and lr are those of a Sample."""

    def compute_for_network(self, net: EncoderDecoder, target: Tensor, lr: Tensor) -> float:
        """The value for a network, which is taken on its own device in float32."""
        return self.compute_for_method(UpscalingMethod.from_network(net), target, lr)

    def compute(self, case: Case) -> float:
        """Of whatever enlarges in the case, on its sample."""
        assert case.sample is not None
        return self.compute_for_method(case.method, case.sample.target, case.sample.lr)


def diagnostics() -> dict[str, Diagnostic]:
    """All diagnostics by name, in the order of their modules, and within a module as they are written there."""
    return dict(_found())


@cache
def _found() -> dict[str, Diagnostic]:
    package = __name__.rpartition(".")[0]
    found: dict[str, Diagnostic] = {}
    for entry in pkgutil.iter_modules([str(Path(__file__).parent)], f"{package}."):
        for value in vars(import_module(entry.name)).values():
            if _is_diagnostic(value) and value.__module__ == entry.name:
                assert value.name not in found, f"two diagnostics are called {value.name}"
                found[value.name] = value()
    return found


def _is_diagnostic(found: object) -> TypeGuard[type[Diagnostic]]:
    return inspect.isclass(found) and issubclass(found, Diagnostic) and not inspect.isabstract(found)
