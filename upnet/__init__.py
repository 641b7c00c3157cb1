"""upnet: train image super-resolution networks with any upsampling operator at any level.

>>> net = create_model("unet", scale=2, upsampler="carafe")  # a plain torch module
>>> "edsr" in list_models(), "pixel_shuffle" in list_upsamplers()
(True, True)

`upnet.load("last.ckpt").upscale("photo.png")` upscales an image with a trained network.

Names are imported on first use, so that `import upnet` imports neither torch nor Hydra.
"""

from typing import TYPE_CHECKING

import lazy_loader

from upnet.utils.provenance import VERSION

if TYPE_CHECKING:
    from upnet.inference.upscaler import Upscaler as Upscaler
    from upnet.inference.upscaler import load as load
    from upnet.models.presets import create_model as create_model
    from upnet.models.presets import list_models as list_models
    from upnet.models.presets import list_upsamplers as list_upsamplers

__version__ = VERSION

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "inference.upscaler": ["Upscaler", "load"],
        "models.presets": ["create_model", "list_models", "list_upsamplers"],
    },
)
