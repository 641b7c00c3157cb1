"""upnet: train image super-resolution networks with any upsampling operator in any place."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from upnet.utils.provenance import VERSION

if TYPE_CHECKING:
    from upnet.inference.upscaler import Upscaler

__version__ = VERSION
__all__ = ["__version__", "load"]


def load(
    path: str | Path,
    weights: Literal["ema", "raw"] = "ema",
    trust: Sequence[str] = (),
    device: str = "cpu",
    tile: Literal["auto", "none"] | int = "auto",
    ensemble: Literal["none", "x8"] = "none",
    alpha: Literal["bicubic", "network"] = "bicubic",
) -> "Upscaler":
    """The network of a checkpoint, ready to enlarge pictures: `upnet.load(path).upscale("photo.png")`.

    weights:  the averaged ones, or the raw ones.
    trust:    modules beside upnet whose classes the checkpoint may build.
    tile:     the side in LR pixels of the tiles that a picture is cut into; "auto" cuts where memory asks for it.
    ensemble: "x8" averages over the eight turns and mirror images of a picture, in eight times the time.
    alpha:    what upscales an alpha channel: "bicubic" interpolation, or the "network", as a grey image.

    Raises ValueError for files that are no checkpoint, damaged, or ask for code beside upnet's own.
    """
    # Imported here, so that `import upnet` costs nothing.
    from upnet.inference import upscaler

    return upscaler.load(path, weights, trust, device, tile, ensemble, alpha)
