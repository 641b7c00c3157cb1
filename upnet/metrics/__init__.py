"""What a picture is worth: PSNR and SSIM, the protocols in print, and the bicubic baseline."""

from upnet.metrics.baseline import BASELINES, bicubic, reduce
from upnet.metrics.protocol import Protocol
from upnet.metrics.psnr import psnr
from upnet.metrics.score import CEILING, Mean, Score, capped, gain, mean
from upnet.metrics.ssim import ssim

__all__ = [
    "BASELINES",
    "CEILING",
    "Mean",
    "Protocol",
    "Score",
    "bicubic",
    "capped",
    "gain",
    "mean",
    "psnr",
    "reduce",
    "ssim",
]
