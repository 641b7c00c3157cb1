"""EvaluationProtocol: how LR images are made and which values PSNR and SSIM compare.

Two protocols are used in papers; they differ in the second decimal of a dB.

`rgb8` (EDSR and later): LR is made from the uint8 RGB image and rounded to uint8. The output is rounded to uint8 RGB.
Y, where it is compared, is not rounded.

`y-float` (SRCNN, VDSR): the Y plane is computed first and rounded to uint8. LR is made from it and not rounded. The
output is rounded.

Kim, Lee and Lee, "Accurate Image Super-Resolution Using Very Deep Convolutional Networks", 2016,
https://arxiv.org/abs/1511.04587
Lim et al., "Enhanced Deep Residual Networks for Single Image Super-Resolution", 2017,
https://arxiv.org/abs/1707.02921
"""

import math
from dataclasses import dataclass, fields
from typing import get_args

import torch
from torch import Tensor

from upnet.imaging.imresize import Border
from upnet.metrics.baseline import downscale
from upnet.metrics.planes import Channel, Grey, ProtocolName, compared_planes, round_to_8bit, y_plane
from upnet.metrics.psnr import psnr
from upnet.metrics.score import PSNR_CAP, Score
from upnet.metrics.ssim import SIGMA, WINDOW, ssim
from upnet.utils.device import float64_device
from upnet.utils.errors import UserError, join_or

__all__ = ["CAPPED_PSNR_MEAN", "PSNR_MEAN", "EvaluationProtocol"]

CAPPED_PSNR_MEAN = f"peak 255, mean of the images' dB, each at most {PSNR_CAP:g}"
PSNR_MEAN = f"{CAPPED_PSNR_MEAN}, without the images that bicubic reproduces"
"""Definitions of a mean PSNR for result files; see `upnet.evaluation.results`."""


@dataclass(frozen=True, slots=True)
class EvaluationProtocol:
    """How images are degraded and evaluated.

    name:    "rgb8" or "y-float"; see the head of this module.
    channel: "y" evaluates luma, "rgb" all three channels together; "y-float" allows only "y".
    crop:    pixels excluded at each side; None excludes `scale` pixels.
    grey:    Y of an image of one channel with values v: "studio" treats it as the colour image R = G = B = v, whose Y
             is 16 + 219 v / 255; "full" takes v itself, which makes the PSNR of the same error 1.32 dB lower.
    border:  how `degrade` continues an image beyond its border: "symmetric" as current MATLAB releases, "replicate" as
             older ones. It doesn't apply to LR images read from files.

    Raises UserError for other values, and for "y-float" with channel "rgb".

    >>> protocol = EvaluationProtocol()
    >>> lr, hr = protocol.degrade(torch.full((3, 48, 64), 128, dtype=torch.uint8), scale=2)
    >>> lr.shape
    torch.Size([3, 24, 32])
    >>> output = (hr + 1) / 255
    >>> score = protocol.evaluate(output, hr, scale=2)
    >>> f"{score.psnr:.2f} dB, {score.ssim:.4f}"
    '49.45 dB, 1.0000'
    """

    name: ProtocolName = "rgb8"
    channel: Channel = "y"
    crop: int | None = None
    grey: Grey = "studio"
    border: Border = "symmetric"

    def __post_init__(self) -> None:
        choices = {"name": ProtocolName, "channel": Channel, "grey": Grey, "border": Border}
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name in choices and value not in get_args(choices[field.name]):
                raise UserError(
                    "is unknown",
                    setting=f"protocol.{field.name}",
                    value=value,
                    allowed=join_or(get_args(choices[field.name])),
                )
        if self.name == "y-float" and self.channel != "y":
            raise UserError(
                "the protocol y-float evaluates the Y plane only",
                setting="protocol.channel",
                value=self.channel,
                cure="Use protocol.channel=y, or protocol=rgb8",
            )
        if self.crop is not None and (isinstance(self.crop, bool) or not isinstance(self.crop, int) or self.crop < 0):
            raise UserError(
                "is not a number of pixels",
                setting="protocol.crop",
                value=self.crop,
                allowed="integers of at least 0, or null for the scale",
            )

    def degrade(self, hr: Tensor, scale: int) -> tuple[Tensor, Tensor]:
        """Make the LR image of an HR image.

        hr: (3 or 1, H, W) uint8. It is cropped to a multiple of the scale.

        Returns LR and the cropped HR, uint8. LR is (3 or 1, h, w) uint8 under rgb8, and the Y plane (1, h, w) float64
        in [0, 1] under y-float.
        """
        _check_uint8(hr, "degrade: hr")
        if self.name == "rgb8":
            return downscale(hr, scale, self.border)
        lr, _ = downscale(y_plane(hr, self.grey), scale, self.border)
        return lr / 255, hr[:, : lr.shape[1] * scale, : lr.shape[2] * scale]

    def evaluate(self, output: Tensor, target: Tensor, scale: int) -> Score:
        """PSNR and SSIM of one image.

        output: (3 or 1, H, W) floating point, nominally in [0, 1]; it is clamped and rounded to 8 bits here. One
                channel is the Y plane under y-float, as `degrade` makes it, and a grey image under rgb8.
        target: (3 or 1, H, W) uint8, on any device.
        scale:  the crop, where `crop` is None.

        Raises ValueError where shapes or dtypes don't fit, and UserError for NaN and where the crop leaves less than
        the window of SSIM.
        """
        _check_uint8(target, "evaluate: target")
        self._check_output(output, target)
        self.check_size("an image", (target.shape[1], target.shape[2]), scale)
        crop = self._crop_width(scale)
        output = output.to(float64_device(output.device))
        output, target = _crop(output, crop), _crop(target, crop).to(output.device)
        planes = compared_planes(output, target, self.name, self.channel, self.grey)
        decibels = psnr(*planes)
        if math.isnan(decibels):
            raise UserError("the output contains NaN", cure="Use another checkpoint")
        return Score(decibels, ssim(*planes))

    def check_size(self, name: str, size: tuple[int, int], scale: int) -> None:
        """Raise UserError where an image of (H, W) pixels is too small: the crop leaves less than SSIM's window.

        name: what the message calls the image.
        """
        crop = self._crop_width(scale)
        if min(size) - 2 * crop < WINDOW:
            raise UserError(
                f"{name} has {size[0]}x{size[1]} pixels, of which the crop leaves less than SSIM's {WINDOW}x{WINDOW}",
                setting="protocol.crop",
                value=crop,
                cure="Use larger images or a smaller crop",
            )

    def to_rgb8(self, output: Tensor, target: Tensor, scale: int) -> tuple[Tensor, Tensor]:
        """Output and target for metrics of colour images: rounded and cropped, (3, H, W) uint8.

        Takes the arguments of `evaluate`. Raises UserError under y-float, which has no colour.
        """
        if self.name == "y-float":
            raise UserError(
                "perceptual metrics need colour images, and the protocol y-float has the Y plane only",
                cure="Use protocol=rgb8",
            )
        _check_uint8(target, "to_rgb8: target")
        self._check_output(output, target)
        crop = self._crop_width(scale)
        output = output.to(float64_device(output.device))
        rounded = round_to_8bit(_crop(output, crop)).to(torch.uint8)
        return rounded.expand(3, -1, -1), _crop(target, crop).to(output.device).expand(3, -1, -1)

    def describe(self, scale: int, ensemble: str = "none") -> dict[str, str | int]:
        """The protocol, the scale and the ensemble as plain data: everything that a number depends on.

        ensemble: "x8" where the network's outputs for eight orientations were averaged, else "none".
        """
        return {
            "name": self.name,
            "channel": self.channel,
            "scale": scale,
            "crop": self._crop_width(scale),
            "grey": self.grey,
            "ensemble": ensemble,
            "resizing": f"MATLAB imresize, bicubic a=-0.5, antialiased, {self.border} border",
            "lr": "uint8 RGB, rounded" if self.name == "rgb8" else "float Y of the rounded Y plane, not rounded",
            "y": "BT.601 studio range, " + ("not rounded" if self.name == "rgb8" else "rounded"),
            "psnr": PSNR_MEAN,
            "ssim": f"Gaussian {WINDOW}x{WINDOW}, sigma {SIGMA}, K1 0.01, K2 0.03, valid positions",
            "precision": "float32 network, float64 metrics",
        }

    def _crop_width(self, scale: int) -> int:
        return scale if self.crop is None else self.crop

    def _check_output(self, output: Tensor, target: Tensor) -> None:
        if not output.is_floating_point():
            raise ValueError(f"output must be floating point in [0, 1]; got {output.dtype}; divide uint8 by 255")
        if output.ndim != 3 or output.shape[0] not in (1, 3) or output.shape[1:] != target.shape[1:]:
            raise ValueError(
                f"output must be (3 or 1, {target.shape[1]}, {target.shape[2]}), the size of its target; "
                f"got {tuple(output.shape)}"
            )
        if self.name == "rgb8" and len(output) < len(target):
            raise ValueError(
                "rgb8 needs an RGB output for an RGB target, and this output has one channel; add the Cb and Cr planes "
                "of the interpolated LR image, or evaluate the Y plane under y-float"
            )


def _crop(image: Tensor, width: int) -> Tensor:
    return image[:, width : image.shape[1] - width, width : image.shape[2] - width]


def _check_uint8(image: Tensor, name: str) -> None:
    if image.dtype != torch.uint8:
        raise ValueError(f"{name} must be uint8; got {image.dtype}; pass the pixels of the file, 0..255")
    if image.ndim != 3 or image.shape[0] not in (1, 3):
        raise ValueError(f"{name} must be (3, H, W) or (1, H, W); got {tuple(image.shape)}")
