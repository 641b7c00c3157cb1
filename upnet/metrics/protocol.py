"""Which numbers a picture's PSNR and SSIM are taken from: a number without its protocol means nothing.

Two protocols are in print, and they differ in the second decimal of a dB.
`rgb8` (EDSR and after): LR is made from the uint8 RGB picture and rounded to uint8; the output is rounded to uint8 RGB;
Y, where it is what counts, is not rounded.
`y-float` (SRCNN, VDSR): everything happens in the Y plane, which is rounded to uint8 at first; LR is made from it and
not rounded; the output is rounded.

Kim, Lee and Lee, "Accurate Image Super-Resolution Using Very Deep Convolutional Networks",
https://arxiv.org/abs/1511.04587
Lim et al., "Enhanced Deep Residual Networks for Single Image Super-Resolution", https://arxiv.org/abs/1707.02921
"""

import math
from dataclasses import dataclass, fields
from typing import Literal, get_args

import torch
from torch import Tensor

from upnet.imaging.colour import luma, rounded_luma
from upnet.imaging.imresize import Border
from upnet.metrics.baseline import downscale
from upnet.metrics.psnr import psnr
from upnet.metrics.score import PSNR_CAP, Score
from upnet.metrics.ssim import SIGMA, WINDOW, ssim
from upnet.utils.device import float64_device

__all__ = ["CAPPED_PSNR_MEAN", "PSNR_MEAN", "EvaluationProtocol"]

Name = Literal["rgb8", "y-float"]
Channel = Literal["y", "rgb"]
Grey = Literal["studio", "full"]

CAPPED_PSNR_MEAN = f"peak 255, mean of the images' dB, each at most {PSNR_CAP:g}"
PSNR_MEAN = f"{CAPPED_PSNR_MEAN}, without the images that bicubic reproduces"
"""How a mean PSNR is taken, as results.json says it; see `upnet.evaluation.results`."""

_HALF = torch.tensor(0.5, dtype=torch.float64)

# Rounding and luma take a dozen passes over float64 values: bands of 2 MiB make them in the cache.
_BAND_VALUES = 2**18


@dataclass(frozen=True, slots=True)
class EvaluationProtocol:
    """How pictures are degraded and scored.

    name:    "rgb8" or "y-float", as this module's head tells.
    channel: "y" scores luma, "rgb" all three channels together; "y-float" has only "y".
    crop:    pixels left out at each side; None leaves out `scale` of them.
    grey:    what Y is for a picture of one channel, v: "studio" treats it as the colour picture R = G = B = v, whose
             Y is 16 + 219 v / 255; "full" takes v itself, so that the same error costs 1.32 dB more.
    border:  how `degrade` continues a picture beyond its border: "symmetric" as current MATLAB releases, "replicate" as
             older ones. It says nothing about LR pictures that came as files.

    Raises ValueError for other values, and for "y-float" with channel "rgb".
    """

    name: Name = "rgb8"
    channel: Channel = "y"
    crop: int | None = None
    grey: Grey = "studio"
    border: Border = "symmetric"

    def __post_init__(self) -> None:
        allowed = {"name": Name, "channel": Channel, "grey": Grey, "border": Border}
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name in allowed and value not in get_args(allowed[field.name]):
                choices = ", ".join(get_args(allowed[field.name]))
                raise ValueError(f"Protocol: {field.name} must be one of {choices}; got {value!r}")
        if self.name == "y-float" and self.channel != "y":
            raise ValueError("Protocol: y-float scores the Y plane only; use channel=y, or name=rgb8 with channel=rgb")
        if self.crop is not None and (isinstance(self.crop, bool) or not isinstance(self.crop, int) or self.crop < 0):
            raise ValueError(
                f"Protocol: crop must be a whole number of pixels from 0 on, or None for scale; got {self.crop!r}"
            )

    def degrade(self, hr: Tensor, scale: int) -> tuple[Tensor, Tensor]:
        """(LR, HR) of this protocol from an HR picture (3 or 1, H, W) uint8, cut to a multiple of the scale.

        LR is uint8 (3 or 1, h, w) under rgb8, and the Y plane (1, h, w) float64 in [0, 1] under y-float. HR stays
        uint8.
        """
        _check_picture(hr, "degrade: hr")
        if self.name == "rgb8":
            return downscale(hr, scale, self.border)
        lr, _ = downscale(self._y_plane(hr), scale, self.border)
        return lr / 255, hr[:, : lr.shape[1] * scale, : lr.shape[2] * scale]

    def evaluate(self, output: Tensor, target: Tensor, scale: int) -> Score:
        """PSNR and SSIM of one picture.

        output: (3 or 1, H, W) floating point, meant to be in [0, 1]: it is clamped and rounded to 8 bit here. One
                channel under y-float is the Y plane, as `degrade` makes it; under rgb8 it is a grey picture of the
                target's range.
        target: (3 or 1, H, W) uint8, on any device.

        Raises ValueError where shapes, dtypes or ranges do not fit, or the crop leaves less than SSIM's window.
        """
        _check_picture(target, "score: target")
        self._check_output(output, target)
        self.check_size("score: a picture", (target.shape[1], target.shape[2]), scale)
        crop = scale if self.crop is None else self.crop
        output = output.to(float64_device(output.device))
        measured, true = self._planes(_cut(output, crop), _cut(target, crop).to(output.device))
        decibels = psnr(measured, true)
        if math.isnan(decibels):
            raise ValueError("score: the output holds values that are not a number; the network has diverged")
        return Score(decibels, ssim(measured, true))

    def check_size(self, name: str, size: tuple[int, int], scale: int) -> None:
        """Raise ValueError where a picture of (H, W) pixels can't be scored: the crop leaves no window of SSIM's."""
        crop = scale if self.crop is None else self.crop
        if min(size) - 2 * crop < WINDOW:
            raise ValueError(
                f"{name} of {size[0]}x{size[1]} pixels can't be scored: protocol.crop={crop} leaves less than SSIM's "
                f"{WINDOW}x{WINDOW}; use larger pictures or a smaller crop"
            )

    def to_rgb8(self, output: Tensor, target: Tensor, scale: int) -> tuple[Tensor, Tensor]:
        """Output and target as measures of colour pictures take them: rounded and cropped, (3, H, W) uint8.

        Takes what `evaluate` takes. Raises ValueError under y-float, where there is no colour.
        """
        if self.name == "y-float":
            raise ValueError("perceptual= are of colour pictures, and y-float has the Y plane only; take protocol=rgb8")
        _check_picture(target, "pictures: target")
        self._check_output(output, target)
        crop = scale if self.crop is None else self.crop
        output = output.to(float64_device(output.device))
        rounded, true = _levels(_cut(output, crop)).to(torch.uint8), _cut(target, crop).to(output.device)
        return rounded.expand(3, -1, -1), true.expand(3, -1, -1)

    def describe(self, scale: int, ensemble: str = "none") -> dict[str, str | int]:
        """Everything that has to stand beside a number, as plain data.

        ensemble: whether a network's output was averaged over turned pictures: "x8", or "none".
        """
        crop = scale if self.crop is None else self.crop
        return {
            "name": self.name,
            "channel": self.channel,
            "scale": scale,
            "crop": crop,
            "grey": self.grey,
            "ensemble": ensemble,
            "resizing": f"MATLAB imresize, bicubic a=-0.5, antialiased, {self.border} border",
            "lr": "uint8 RGB, rounded" if self.name == "rgb8" else "float Y of the rounded Y plane, not rounded",
            "y": "BT.601 studio range, " + ("not rounded" if self.name == "rgb8" else "rounded"),
            "psnr": PSNR_MEAN,
            "ssim": f"Gaussian {WINDOW}x{WINDOW}, sigma {SIGMA}, K1 0.01, K2 0.03, valid positions",
            "precision": "float32 network, float64 metrics",
        }

    def _check_output(self, output: Tensor, target: Tensor) -> None:
        if not output.is_floating_point():
            raise ValueError(f"score: output must be floating point in [0, 1]; got {output.dtype}; divide uint8 by 255")
        if output.ndim != 3 or output.shape[0] not in (1, 3) or output.shape[1:] != target.shape[1:]:
            raise ValueError(
                f"score: output must be (3 or 1, {target.shape[1]}, {target.shape[2]}) as its target is; "
                f"got {tuple(output.shape)}"
            )
        if self.name == "rgb8" and len(output) < len(target):
            raise ValueError(
                "score: rgb8 needs an RGB output beside an RGB target, and this one has a single channel; "
                "add the colour of the enlarged LR picture, or score the Y plane under y-float"
            )

    def _planes(self, output: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """What is compared, (C, H, W) float64 of range 0 ... 255."""
        rows = output.shape[1] if output.is_cuda else max(1, _BAND_VALUES // output[:, 0].numel())
        bands = zip(output.split(rows, dim=1), target.split(rows, dim=1), strict=True)
        measured, true = zip(*(self._band(*band) for band in bands), strict=True)
        return torch.cat(measured, dim=1), torch.cat(true, dim=1)

    def _band(self, output: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        grey = len(target) == 1
        if self.name == "y-float":
            values = output.to(torch.float64, copy=True).mul_(255)
            plane = values if len(values) == 1 else self._y(values, grey)
            return _half_up(plane).clamp_(0, 255), self._y_plane(target)
        rounded, true = _levels(output), target.to(torch.float64)
        if self.channel == "rgb":
            return rounded, true.expand_as(rounded)
        return self._y(rounded, grey), self._y(true, grey)

    def _y_plane(self, picture: Tensor) -> Tensor:
        """(3 or 1, H, W) uint8 -> (1, H, W) float64 of whole numbers."""
        return rounded_luma(picture) if len(picture) == 3 else _half_up(self._y(picture.to(torch.float64), grey=True))

    def _y(self, picture: Tensor, grey: bool) -> Tensor:
        """Y of a colour or grey picture, (3 or 1, H, W) float64 of range 0 ... 255 -> (1, H, W), not rounded."""
        if len(picture) == 1:
            return picture if self.grey == "full" else 16 + picture * (219 / 255)
        studio = luma(picture, white=255)
        return (studio - 16) * (255 / 219) if grey and self.grey == "full" else studio


def _levels(output: Tensor) -> Tensor:
    """A picture about [0, 1] in 256 levels: float64 of whole numbers of 0 ... 255, halves rounded upwards."""
    # Clamped first, while it is float32 of half as many bytes; the product with 255 is exact in float64.
    values = output.clamp(0, 1).to(torch.float64)
    return torch.add(_HALF, values, alpha=255, out=values).floor_()


def _half_up(picture: Tensor) -> Tensor:
    """Rounded in place, as MATLAB rounds what is not negative: halves go up, not to the even neighbour."""
    return picture.add_(0.5).floor_()


def _cut(picture: Tensor, crop: int) -> Tensor:
    return picture[:, crop : picture.shape[1] - crop, crop : picture.shape[2] - crop]


def _check_picture(picture: Tensor, what: str) -> None:
    if picture.dtype != torch.uint8:
        raise ValueError(
            f"{what} must be uint8; got {picture.dtype}; it is the picture as the file holds it, 0 ... 255"
        )
    if picture.ndim != 3 or picture.shape[0] not in (1, 3):
        raise ValueError(f"{what} must be (3, H, W) or (1, H, W); got {tuple(picture.shape)}")
