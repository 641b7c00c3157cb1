"""The upsampling operators: one class, one module, one yaml each. Names are imported on first use."""

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from upnet.upsample.area import Area as Area
    from upnet.upsample.base import Upsampler as Upsampler
    from upnet.upsample.bed_of_nails import BedOfNails as BedOfNails
    from upnet.upsample.bicubic import Bicubic as Bicubic
    from upnet.upsample.bilinear import Bilinear as Bilinear
    from upnet.upsample.bilinear_additive import BilinearAdditive as BilinearAdditive
    from upnet.upsample.carafe import CARAFE as CARAFE
    from upnet.upsample.dct import DCT as DCT
    from upnet.upsample.decomposed_transposed import DecomposedTransposed as DecomposedTransposed
    from upnet.upsample.dysample import DySample as DySample
    from upnet.upsample.lanczos import Lanczos as Lanczos
    from upnet.upsample.max_unpool import MaxUnpool as MaxUnpool
    from upnet.upsample.nearest import Nearest as Nearest
    from upnet.upsample.pixel_shuffle import PixelShuffle as PixelShuffle
    from upnet.upsample.resize_conv import ResizeConv as ResizeConv
    from upnet.upsample.transposed import Transposed as Transposed

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "area": ["Area"],
        "base": ["Upsampler"],
        "bed_of_nails": ["BedOfNails"],
        "bicubic": ["Bicubic"],
        "bilinear": ["Bilinear"],
        "bilinear_additive": ["BilinearAdditive"],
        "carafe": ["CARAFE"],
        "dct": ["DCT"],
        "decomposed_transposed": ["DecomposedTransposed"],
        "dysample": ["DySample"],
        "lanczos": ["Lanczos"],
        "max_unpool": ["MaxUnpool"],
        "nearest": ["Nearest"],
        "pixel_shuffle": ["PixelShuffle"],
        "resize_conv": ["ResizeConv"],
        "transposed": ["Transposed"],
    },
)
