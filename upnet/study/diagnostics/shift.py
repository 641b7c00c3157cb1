"""Whether a picture that moves is enlarged to one that moves.

Shape legend: h, w LR pixels; s scale.
"""

from fractions import Fraction

import torch
from torch import Tensor

from upnet.imaging.imresize import imresize
from upnet.metrics import psnr
from upnet.study.diagnostics.base import ShiftDiagnostic
from upnet.study.diagnostics.methods import UpscalingMethod

# LR pixels at each side of the detail that is moved: enough to look at, and quick for large pictures.
DETAIL = 128


class ShiftWhole(ShiftDiagnostic):
    """PSNR between the output of the picture moved by one LR pixel in both axes, and the output moved by s pixels.

    Networks that work on the LR grid, and interpolations, commute with such moves: what is left is float32's rounding,
    120 dB and more, or inf. What pools on its way does so for multiples of its stride only.
    """

    name = "shift_whole"
    heading = "shift by an LR pixel"
    unit = "dB"
    better = "higher"
    formula = (
        "10·log10(1 / mean((f(T₁ x) − T_s f(x))²)) in Y, x: the central 128×128 LR pixels at most, f: the method, "
        "T_d: moved by d pixels in both axes; borders left out as far as pixels look, a quarter of the side at most"
    )
    source = (
        "Zhang, Making Convolutional Networks Shift-Invariant Again, https://arxiv.org/abs/1904.11486; in dB as EQ-T "
        "of Karras et al., Alias-Free Generative Adversarial Networks, https://arxiv.org/abs/2106.12423"
    )

    def compute_for_method(self, method: UpscalingMethod, target: Tensor, lr: Tensor) -> float:
        """In dB; the target is not looked at."""
        small = _central(lr, DETAIL)
        still, moved = method.upscaled_luma(small[:, :-1, :-1]), method.upscaled_luma(small[:, 1:, 1:])
        return _psnr(still, moved, method.scale, method)


class ShiftFraction(ShiftDiagnostic):
    """The same for a move by one output pixel, 1/s of an LR pixel: how much of the output shimmers as a scene passes.

    The HR picture is moved, and both are reduced anew. The aliasing that the reduction leaves in LR is part of it, so
    that not even an ideal interpolation has inf on photographs.
    """

    name = "shift_fraction"
    heading = "shift by an output pixel"
    unit = "dB"
    better = "higher"
    formula = (
        "10·log10(1 / mean((f(↓T₁ HR) − T₁ f(↓HR))²)) in Y, HR: the central 128·s pixels at most, f: the method, "
        "T₁: moved by one HR pixel in both axes, ↓: MATLAB's bicubic imresize by 1/s, not rounded; borders as in "
        "shift_whole"
    )
    source = ShiftWhole.source

    def compute_for_method(self, method: UpscalingMethod, target: Tensor, lr: Tensor) -> float:
        """In dB; LR is not looked at."""
        scale = method.scale
        hr = _central(target, DETAIL * scale)
        hr = hr.double() / 255 if hr.dtype == torch.uint8 else hr.double()
        rows, cols = ((length - 1) // scale * scale for length in hr.shape[1:])
        views = (hr[:, :rows, :cols], hr[:, 1 : rows + 1, 1 : cols + 1])
        reduced: list[Tensor] = [imresize(view, Fraction(1, scale)) for view in views]
        return _psnr(method.upscaled_luma(reduced[0]), method.upscaled_luma(reduced[1]), 1, method)


def _psnr(still: Tensor, moved: Tensor, pixels: int, method: UpscalingMethod) -> float:
    """Of two (H, W), where moved[o] is to be still[o + pixels]."""
    still, moved = still[pixels:, pixels:], moved[:-pixels, :-pixels]
    quarter = min(still.shape) // 4
    # Reduction makes the outermost LR pixels of what lies beyond the border: two more to keep away from.
    edge = min(method.scale * (method.radius + 2), quarter)
    kept = slice(edge, -edge if edge else None)
    return psnr(still[None, kept, kept], moved[None, kept, kept], peak=1.0)


def _central(picture: Tensor, side: int) -> Tensor:
    """The middle of (C, H, W), `side` pixels a side at most."""
    rows, cols = (max(0, (length - side) // 2) for length in picture.shape[1:])
    return picture[:, rows : rows + side, cols : cols + side]
