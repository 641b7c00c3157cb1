"""A trained network in anyone's hands: pictures in, larger pictures out."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar, get_args, overload

import numpy as np
import torch
from torch import Tensor

from upnet.checkpoint import load_network
from upnet.imaging.alpha import fill_transparent, upscale_alpha
from upnet.imaging.imresize import imresize
from upnet.inference.inputs import check_array, check_tensor
from upnet.inference.tensor import self_ensemble, upscale_tensor
from upnet.models import EncoderDecoder
from upnet.utils.allocator import TRAINING_KERNELS, limit_onednn_cache

if TYPE_CHECKING:
    from PIL.Image import Image

    from upnet.imaging.image import RasterImage as File

Picture = TypeVar("Picture", "Image", np.ndarray, Tensor)
Tile = Literal["auto", "none"] | int
Ensemble = Literal["none", "x8"]
Alpha = Literal["bicubic", "network"]


class Upscaler:
    """Enlarges pictures by a network.

    tile:     the side in LR pixels of the tiles that a picture is cut into;
              "auto" cuts where memory asks for it, "none" never.
    ensemble: "x8" takes the mean over the eight turns and mirror images of a picture, in eight times the time; see
              `upnet.inference.tensor.self_ensemble`.
    alpha:    what upscales an alpha channel: "bicubic" interpolation, or the "network", as a grey image.

    Raises ValueError for another ensemble, and for another alpha.

    >>> import upnet
    >>> model = upnet.load("runs/first/checkpoints/last.ckpt")  # doctest: +SKIP
    >>> model.upscale("photo.png").save("photo_x2.png")  # doctest: +SKIP
    """

    def __init__(
        self, net: EncoderDecoder, tile: Tile = "auto", ensemble: Ensemble = "none", alpha: Alpha = "bicubic"
    ) -> None:
        if ensemble not in get_args(Ensemble):
            raise ValueError(f"ensemble must be one of {', '.join(get_args(Ensemble))}; got {ensemble!r}")
        if alpha not in get_args(Alpha):
            raise ValueError(f"alpha must be one of {', '.join(get_args(Alpha))}; got {alpha!r}")
        self.net = net.eval()
        self.tile: Tile = tile
        self.ensemble: Ensemble = ensemble
        self.alpha: Alpha = alpha

    @property
    def scale(self) -> int:
        """How many times as large the output is."""
        return self.net.scale

    def to(self, device: str | torch.device) -> "Upscaler":
        """The same, computing on another device."""
        self.net.to(device)
        return self

    @overload
    def upscale(self, image: str | Path) -> "Image": ...
    @overload
    def upscale(self, image: Picture) -> Picture: ...
    def upscale(self, image: "str | Path | Image | np.ndarray | Tensor") -> "Image | np.ndarray | Tensor":
        """The picture, `scale` times as large, of the same kind.

        image: a PIL image of any mode, or the path of an image file, which gives a PIL image; an array (H, W),
               (H, W, 2), (H, W, 3) or (H, W, 4), uint8, uint16, or floating point in [0, 1]; or a tensor (3, H, W),
               (1, H, W), (4, H, W) or a batch of them, uint8, uint16, or floating point in [0, 1], on any device.

        Whole numbers come back rounded and clamped, floating point clamped to [0, 1]. Grey goes through the network as
        a grey colour picture and comes back grey. Transparent pixels get the colours of their neighbours before the
        network sees them, so that edges stay clean; alpha is upscaled as `alpha` says. A PIL picture comes back
        upright, whatever its EXIF says of the camera, with its metadata in its `info`; palettes and inks become RGB,
        and transparency of any kind alpha. Raises ValueError for other types, shapes and ranges, for files that can't
        be read, and where the network's output isn't finite.
        """
        if isinstance(image, Tensor):
            return self._tensor(image)
        if isinstance(image, np.ndarray):
            return self._array(image)
        from PIL import Image as Pillow

        from upnet.imaging.reading import from_pillow, read_image

        if isinstance(image, (str, Path)):
            return self._pil(read_image(image))
        if isinstance(image, Pillow.Image):
            return self._pil(from_pillow(image))
        raise ValueError(
            f"upscale: an image must be a path, a PIL image, a NumPy array or a tensor; got {type(image).__name__}"
        )

    def _pil(self, picture: "File") -> "Image":
        from upnet.imaging.reading import to_pillow

        if picture.samples.dtype == np.uint16 and picture.samples.ndim == 3:
            raise ValueError(
                "upscale: PIL holds no 16-bit colour and no 16-bit transparency; give an array (H, W, C) of uint16, or "
                "take evaluate.py input=FILE"
            )
        return to_pillow(picture.with_samples(self._array(picture.samples)))

    def _array(self, image: np.ndarray) -> np.ndarray:
        check_array(image)
        pixels = np.asarray(image)  # of a subclass, such as a matrix, only the values
        largest = np.iinfo(image.dtype).max if image.dtype.kind == "u" else None
        planes = torch.from_numpy(np.array(pixels if pixels.ndim == 3 else pixels[..., None], dtype=np.float32))
        # In place where it can be: a picture of 12 megapixels has 600 MB when it is twice as large.
        larger = self._planes(planes.div_(largest or 1).movedim(-1, 0)).clamp_(0, 1)
        result = (larger.mul_(largest).round_() if largest else larger).movedim(0, -1).numpy().astype(image.dtype)
        return np.ascontiguousarray(result[..., 0] if image.ndim == 2 else result)

    def _tensor(self, image: Tensor) -> Tensor:
        check_tensor(image)
        if image.ndim == 4:
            return torch.stack([self._tensor(one) for one in image])
        if image.is_floating_point():
            return self._planes(image.to(torch.float32)).clamp(0, 1).to(image)
        largest = torch.iinfo(image.dtype).max
        return (self._planes(image.to(torch.float32) / largest).clamp(0, 1) * largest).round().to(image)

    @torch.no_grad()
    def _planes(self, planes: Tensor) -> Tensor:
        """(1 to 4, h, w) in [0, 1] -> the same, larger: grey, grey and alpha, RGB, RGB and alpha."""
        colours = 1 if planes.shape[0] < 3 else 3
        colour, alpha = planes[:colours], planes[colours:].clamp(0, 1)
        if not len(alpha):
            return self._finite(colour)
        larger = self._finite(fill_transparent(colour, alpha))
        if self.alpha == "network":
            return torch.cat((larger, upscale_alpha(alpha, self.scale, self._finite).to(larger)))
        return torch.cat((larger, imresize(alpha, self.scale).to(larger)))

    def _finite(self, planes: Tensor) -> Tensor:
        """(1 or 3, h, w) -> (1 or 3, s·h, s·w), on the device of the planes. Raises ValueError for NaN and infinity."""
        larger = self._colour(planes.expand(3, -1, -1)).to(planes.device)
        larger = larger.mean(0, keepdim=True) if planes.shape[0] == 1 else larger
        if not torch.isfinite(larger.sum()):
            raise ValueError("upscale: the network's output holds NaN or infinity; take another checkpoint")
        return larger

    def _colour(self, planes: Tensor) -> Tensor:
        """(3, h, w) -> (3, s·h, s·w)."""

        def once(picture: Tensor) -> Tensor:
            return upscale_tensor(self.net, picture, tile=self.tile)

        return self_ensemble(once, planes) if self.ensemble == "x8" else once(planes)


def load(
    path: str | Path,
    weights: Literal["ema", "raw"] = "ema",
    trust: Sequence[str] = (),
    device: str = "cpu",
    tile: Tile = "auto",
    ensemble: Ensemble = "none",
    alpha: Alpha = "bicubic",
) -> Upscaler:
    """The network of a checkpoint as an Upscaler; see `upnet.checkpoint.load_network` for what is refused."""
    limit_onednn_cache(TRAINING_KERNELS)
    loaded = load_network(path, weights, trust)
    return Upscaler(loaded.net, tile, ensemble, alpha).to(device)
