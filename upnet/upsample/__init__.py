"""The upsampling operators: one class, one module, one yaml each."""

from upnet.upsample.base import Upsampler
from upnet.upsample.bed_of_nails import BedOfNails
from upnet.upsample.bicubic import Bicubic
from upnet.upsample.bilinear import Bilinear
from upnet.upsample.interpolation import Interpolation, interpolation
from upnet.upsample.max_unpool import MaxUnpool
from upnet.upsample.nearest import Nearest
from upnet.upsample.pixel_shuffle import PixelShuffle
from upnet.upsample.resize_conv import ResizeConv
from upnet.upsample.transposed import Transposed

__all__ = [
    "BedOfNails",
    "Bicubic",
    "Bilinear",
    "Interpolation",
    "MaxUnpool",
    "Nearest",
    "PixelShuffle",
    "ResizeConv",
    "Transposed",
    "Upsampler",
    "interpolation",
]
