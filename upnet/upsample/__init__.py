"""The upsampling operators: one class, one module, one yaml each."""

from upnet.upsample.area import Area
from upnet.upsample.base import Upsampler
from upnet.upsample.bed_of_nails import BedOfNails
from upnet.upsample.bicubic import Bicubic
from upnet.upsample.bilinear import Bilinear
from upnet.upsample.bilinear_additive import BilinearAdditive
from upnet.upsample.carafe import CARAFE
from upnet.upsample.dct import DCT
from upnet.upsample.decomposed_transposed import DecomposedTransposed
from upnet.upsample.dysample import DySample
from upnet.upsample.interpolation import Interpolation, interpolation
from upnet.upsample.lanczos import Lanczos
from upnet.upsample.max_unpool import MaxUnpool
from upnet.upsample.nearest import Nearest
from upnet.upsample.pixel_shuffle import PixelShuffle
from upnet.upsample.resize_conv import ResizeConv
from upnet.upsample.transposed import Transposed

__all__ = [
    "CARAFE",
    "DCT",
    "Area",
    "BedOfNails",
    "Bicubic",
    "Bilinear",
    "BilinearAdditive",
    "DecomposedTransposed",
    "DySample",
    "Interpolation",
    "Lanczos",
    "MaxUnpool",
    "Nearest",
    "PixelShuffle",
    "ResizeConv",
    "Transposed",
    "Upsampler",
    "interpolation",
]
