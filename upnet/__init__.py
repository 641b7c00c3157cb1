"""upnet: train image super-resolution networks with any upsampling operator in any place."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from upnet.version import VERSION

if TYPE_CHECKING:
    from upnet.upscaler import Upscaler

__version__ = VERSION
__all__ = ["__version__", "load"]


def load(
    path: str | Path, weights: Literal["ema", "raw"] = "ema", trust: Sequence[str] = (), device: str = "cpu"
) -> "Upscaler":
    """The network of a checkpoint, ready to enlarge pictures: `upnet.load(path).upscale(image)`.

    weights: the averaged ones, or the raw ones.
    trust:   modules beside upnet whose classes the checkpoint may build.

    Raises ValueError for files that are no checkpoint, damaged, or ask for code beside upnet's own.
    """
    # Imported here, so that `import upnet` costs nothing.
    from upnet import upscaler

    return upscaler.load(path, weights, trust, device)
