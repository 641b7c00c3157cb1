"""Support and receptive radius of an operator, as it declares them or as measured by gradients."""

import copy
from abc import ABC, abstractmethod
from fractions import Fraction

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from upnet.site import Site

# The largest radius, in input pixels, that is measured; anything larger counts as unbounded.
LARGEST_RADIUS = 16


class MeasuredSupport(nn.Module, ABC):
    """Which input pixels an output pixel depends on, as the operator declares or as measured by gradients.

    An operator may declare `input_support`, from which the rest follows, or `receptive_radius` alone. It must declare
    `receptive_radius = None` if the positions that it reads depend on the values of the input.

    >>> from upnet.upsample import Bicubic, Bilinear
    >>> Bicubic(channels=1, scale=2).support_size
    16
    >>> Bilinear(channels=1, scale=2).receptive_radius, Bilinear(1, 2, out_channels=3).receptive_radius
    (1, 2)
    """

    channels: int
    out_channels: int
    scale: int | float
    projects_channels: bool
    projection: nn.Module

    @abstractmethod
    def expand(self, x: Tensor, site: Site) -> Tensor:
        """See `Upsampler`."""

    @abstractmethod
    def output_size(self, height: int, width: int) -> tuple[int, int]:
        """See `Upsampler`."""

    def input_support(self, output: int) -> range | None:
        """Input indices (one axis, ignoring borders) that contribute to output index `output` of expand().

        None where they are unbounded or unknown.
        """
        return measure_input_support(self, output)

    @property
    def receptive_radius(self) -> int | None:
        """Largest distance, in input pixels of one axis, between an output pixel and an input that it depends on.

        Output o depends only on inputs floor(o / scale) − radius … floor(o / scale) + radius and on what the site holds
        there; the 3×3 projection is included. None where it is unbounded or unknown; images are then not tiled.
        """
        supports = self._phase_supports()
        if supports is None:
            return None
        period = _period(self)
        radius = 0
        for output, inputs in enumerate(supports):
            centre = output * period.denominator // period.numerator
            radius = max([radius, *(abs(index - centre) for index in inputs)])
        return radius + self._projection_padding

    @property
    def support_size(self) -> int | None:
        """Number of input pixels, in both axes, that contribute to an output pixel; the largest of all phases.

        The 3×3 projection is included. None where it is unbounded or unknown.
        """
        supports = self._phase_supports()
        if supports is None:
            return None
        return (max(len(inputs) for inputs in supports) + 2 * self._projection_padding) ** 2

    @property
    def _projection_padding(self) -> int:
        return 1 if list(self.projection.parameters()) else 0

    def _phase_supports(self) -> list[range] | None:
        """`input_support` of each output index of one period; None where one of them is unknown."""
        supports = []
        for output in range(_period(self).numerator):
            inputs = self.input_support(output)
            if inputs is None:
                return None
            supports.append(inputs)
        return supports


def measure_input_support(operator: MeasuredSupport, output: int) -> range | None:
    """Input indices (one axis, ignoring borders) that contribute to output index `output`, by gradients.

    A float64 copy of the operator with random weights gets random inputs. None where the support is larger than
    ±LARGEST_RADIUS, and where it grows with the values of the input.

    >>> from upnet.upsample import Upsampler
    >>> class Repeat(Upsampler):
    ...     def expand(self, x, site):
    ...         return x.repeat_interleave(2, -2).repeat_interleave(2, -1)
    >>> measure_input_support(Repeat(channels=3, scale=2), output=5)
    range(2, 3)
    """
    period = _period(operator)
    # The output pixel is moved by whole periods to the middle of an input so large that its borders have no effect.
    periods = -(-(LARGEST_RADIUS + 1) // period.denominator)
    length = (2 * periods + 1) * period.denominator
    number, phase = divmod(output, period.numerator)
    central = phase + periods * period.numerator
    with torch.inference_mode(False), torch.enable_grad():
        probe = _with_random_weights(operator)
        small, large = (_gradient_span(probe, length, central, amplitude) for amplitude in (1, 100))
    if not small and not large:
        return range(0)
    if small.start == 0 or small.stop == length or large.start < small.start or large.stop > small.stop:
        return None
    offset = (number - periods) * period.denominator
    return range(small.start + offset, small.stop + offset)


def _period(operator: MeasuredSupport) -> Fraction:
    """The scale as a fraction p/q: outputs p apart have the same weights, for inputs q apart."""
    return Fraction(operator.scale).limit_denominator(100)


@torch.no_grad()
def _with_random_weights(operator: MeasuredSupport) -> MeasuredSupport:
    # Random, since initial weights may be zero where trained ones are not. A model on `meta` has no weights to copy.
    probe = copy.deepcopy(operator).eval()
    on_meta = any(tensor.is_meta for tensor in (*probe.parameters(), *probe.buffers()))
    probe = (probe.to_empty(device="cpu") if on_meta else probe.cpu()).double()
    generator = torch.Generator().manual_seed(0)
    for parameter in probe.parameters():
        parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64) / 8)
    return probe


def _gradient_span(operator: MeasuredSupport, length: int, output: int, amplitude: float) -> range:
    """Smallest range, over both axes, of inputs with a gradient of output row or column `output`; maybe empty."""
    channels = operator.channels if operator.projects_channels else operator.out_channels
    x, site = _example_input(operator, channels, length, amplitude)
    x.requires_grad_()
    out = operator.expand(x, site)
    generator = torch.Generator().manual_seed(1)
    indices: set[int] = set()
    for axis in (2, 3):
        line = out.select(axis, output)
        # Random weights, so that the pixels and channels of the line do not cancel out.
        weights = torch.randn(line.shape, generator=generator, dtype=x.dtype)
        (gradient,) = torch.autograd.grad(line, x, weights, retain_graph=True)
        magnitude = gradient.abs().transpose(2, axis).amax((0, 1, 3))
        indices.update((magnitude > 1e-9 * magnitude.max()).nonzero().flatten().tolist())
    return range(min(indices), max(indices) + 1) if indices else range(0)


def _example_input(operator: MeasuredSupport, channels: int, length: int, amplitude: float) -> tuple[Tensor, Site]:
    """(4, channels, length, length) float64 and a site for it, whose encoder state comes from 2-d max-pooling."""
    generator = torch.Generator().manual_seed(0)
    size = operator.output_size(length, length)
    if isinstance(operator.scale, int):
        skip = amplitude * torch.randn(4, channels, *size, generator=generator, dtype=torch.float64)
        x, indices = F.max_pool2d(skip, operator.scale, return_indices=True)
        return x.detach(), Site(size, indices=indices, skip=skip)
    x = amplitude * torch.randn(4, channels, length, length, generator=generator, dtype=torch.float64)
    skip = amplitude * torch.randn(4, channels, *size, generator=generator, dtype=torch.float64)
    return x, Site(size, skip=skip)
