"""Image quality metrics (PSNR, SSIM), the evaluation protocols of papers, and interpolation baselines."""

from upnet.metrics.baseline import BASELINES, bicubic, downscale
from upnet.metrics.protocol import EvaluationProtocol
from upnet.metrics.psnr import psnr
from upnet.metrics.score import PSNR_CAP, MeanScore, Score, cap_psnr, gain, mean
from upnet.metrics.ssim import ssim

__all__ = [
    "BASELINES",
    "PSNR_CAP",
    "EvaluationProtocol",
    "MeanScore",
    "Score",
    "bicubic",
    "cap_psnr",
    "downscale",
    "gain",
    "mean",
    "psnr",
    "ssim",
]
