"""A trained network in anyone's hands: pictures in, larger pictures out."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar, cast, get_args

import numpy as np
import torch
from torch import Tensor

from upnet.checkpoint import load_network
from upnet.ensemble import x8
from upnet.imresize import imresize
from upnet.memory import OF_TRAINING, keep_few_kernels
from upnet.models import EncoderDecoder
from upnet.models.enlarge import enlarge

if TYPE_CHECKING:
    from PIL.Image import Image

Picture = TypeVar("Picture", "Image", np.ndarray, Tensor)
Tile = Literal["auto", "none"] | int
Ensemble = Literal["none", "x8"]


class Upscaler:
    """Enlarges pictures by a network.

    tile:     as in `upnet.models.enlarge.enlarge`: the side in LR pixels of the tiles that a picture is cut into;
              "auto" cuts where memory asks for it, "none" never.
    ensemble: "x8" takes the mean over the eight turns and mirror images of a picture, in eight times the time; see
              `upnet.ensemble.x8`.

    Raises ValueError for another ensemble.

    >>> import upnet
    >>> model = upnet.load("runs/first/checkpoints/last.ckpt")  # doctest: +SKIP
    >>> model.upscale(Image.open("photo.png")).save("photo_x2.png")  # doctest: +SKIP
    """

    def __init__(self, net: EncoderDecoder, tile: Tile = "auto", ensemble: Ensemble = "none") -> None:
        if ensemble not in get_args(Ensemble):
            raise ValueError(f"ensemble must be one of {', '.join(get_args(Ensemble))}; got {ensemble!r}")
        self.net = net.eval()
        self.tile: Tile = tile
        self.ensemble: Ensemble = ensemble

    @property
    def scale(self) -> int:
        """How many times as large the output is."""
        return self.net.scale

    def to(self, device: str | torch.device) -> "Upscaler":
        """The same, computing on another device."""
        self.net.to(device)
        return self

    def upscale(self, image: Picture) -> Picture:
        """The picture, `scale` times as large, of the same kind.

        image: a PIL picture of any mode; an array (H, W), (H, W, 2), (H, W, 3) or (H, W, 4), uint8, uint16, or floating
               point in [0, 1]; or a tensor (3, H, W), (1, H, W), (4, H, W) or a batch of them, uint8 or floating point,
               on any device.

        Whole numbers come back rounded and clamped, floating point clamped to [0, 1]. Grey goes through the network as
        a grey colour picture and comes back grey; alpha is enlarged by bicubic interpolation. A PIL picture comes back
        upright, whatever its EXIF says of the camera, with EXIF and colour profile in its `info`; palettes and inks
        become RGB, and transparency of any kind alpha. Raises ValueError for other shapes and types, and where the
        network's output isn't finite.
        """
        if isinstance(image, Tensor):
            return cast(Picture, self._tensor(image))
        if isinstance(image, np.ndarray):
            return cast(Picture, self._array(image))
        return cast(Picture, self._pil(image))

    def _pil(self, image: "Image") -> "Image":
        from PIL import Image as Pillow

        from upnet.pictures.picture import of_pillow

        picture = of_pillow(image)
        if picture.samples.dtype == np.uint16 and picture.samples.ndim == 3:
            raise ValueError(
                "upscale: PIL holds no 16-bit grey with transparency; give an array (H, W, 2), or take evaluate.py"
            )
        larger = picture.enlarged(self._array(picture.samples))
        result = Pillow.fromarray(larger.samples)
        if larger.icc:
            result.info["icc_profile"] = larger.icc
        if larger.exif:
            result.info["exif"] = b"Exif\0\0" + larger.exif
        return result

    def _array(self, image: np.ndarray) -> np.ndarray:
        if image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] not in (1, 2, 3, 4)):
            raise ValueError(f"upscale: an array must be (H, W), (H, W, 3) or (H, W, 4); got {image.shape}")
        if image.dtype not in (np.uint8, np.uint16) and image.dtype.kind != "f":
            raise ValueError(f"upscale: an array is uint8, uint16, or floating point in [0, 1]; got {image.dtype}")
        largest = np.iinfo(image.dtype).max if image.dtype.kind == "u" else None
        planes = torch.from_numpy(np.array(image if image.ndim == 3 else image[..., None], dtype=np.float32))
        # In place where it can be: a picture of 12 megapixels has 600 MB when it is twice as large.
        larger = self._planes(planes.div_(largest or 1).movedim(-1, 0)).clamp_(0, 1)
        pixels = (larger.mul_(largest).round_() if largest else larger).movedim(0, -1).numpy().astype(image.dtype)
        return np.ascontiguousarray(pixels[..., 0] if image.ndim == 2 else pixels)

    def _tensor(self, image: Tensor) -> Tensor:
        if image.ndim == 4:
            return torch.stack([self._tensor(one) for one in image])
        if image.ndim != 3 or image.shape[0] not in (1, 3, 4):
            raise ValueError(f"upscale: a tensor must be (3, H, W) or (N, 3, H, W); got {tuple(image.shape)}")
        if image.dtype == torch.uint8:
            return (self._planes(image / 255).clamp(0, 1) * 255).round().to(image)
        if not image.is_floating_point():
            raise ValueError(f"upscale: a tensor is uint8, or floating point in [0, 1]; got {image.dtype}")
        return self._planes(image.to(torch.float32)).clamp(0, 1).to(image)

    def _planes(self, planes: Tensor) -> Tensor:
        """(1 to 4, h, w) in [0, 1] -> the same, larger: grey, grey and alpha, RGB, RGB and alpha."""
        if min(planes.shape[1:]) < 1:
            raise ValueError(f"upscale: a picture has at least one pixel; got {planes.shape[2]}×{planes.shape[1]}")
        grey = planes.shape[0] < 3
        colour = planes[:1].expand(3, -1, -1) if grey else planes[:3]
        alpha = planes[1:] if grey else planes[3:]
        larger = self._colour(colour).to(planes.device)
        larger = larger.mean(0, keepdim=True) if grey else larger
        if not torch.isfinite(larger.sum()):
            raise ValueError("upscale: the network's output holds NaN or infinity; take another checkpoint")
        return torch.cat((larger, cast(Tensor, imresize(alpha, self.scale)).to(larger))) if len(alpha) else larger

    def _colour(self, planes: Tensor) -> Tensor:
        """(3, h, w) -> (3, s·h, s·w)."""

        def once(picture: Tensor) -> Tensor:
            return enlarge(self.net, picture, tile=self.tile)

        return x8(once, planes) if self.ensemble == "x8" else once(planes)


def load(
    path: str | Path,
    weights: Literal["ema", "raw"] = "ema",
    trust: Sequence[str] = (),
    device: str = "cpu",
    tile: Tile = "auto",
    ensemble: Ensemble = "none",
) -> Upscaler:
    """The network of a checkpoint as an Upscaler; see `upnet.checkpoint.load_network` for what is refused."""
    keep_few_kernels(OF_TRAINING)
    loaded = load_network(path, weights, trust)
    return Upscaler(loaded.net, tile, ensemble).to(device)
