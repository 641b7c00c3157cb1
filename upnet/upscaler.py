"""A trained network in anyone's hands: pictures in, larger pictures out."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar, cast

import numpy as np
import torch
from torch import Tensor

from upnet.checkpoint import load_network
from upnet.imresize import imresize
from upnet.models import EncoderDecoder
from upnet.models.enlarge import enlarge

if TYPE_CHECKING:
    from PIL.Image import Image

Picture = TypeVar("Picture", "Image", np.ndarray, Tensor)


class Upscaler:
    """Enlarges pictures by a network.

    >>> import upnet
    >>> model = upnet.load("runs/first/checkpoints/last.ckpt")  # doctest: +SKIP
    >>> model.upscale(Image.open("photo.png")).save("photo_x2.png")  # doctest: +SKIP
    """

    def __init__(self, net: EncoderDecoder) -> None:
        self.net = net.eval()

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

        image: a PIL picture of any mode; an array (H, W), (H, W, 3) or (H, W, 4), uint8, uint16, or floating point in
               [0, 1]; or a tensor (3, H, W), (1, H, W) or (N, 3, H, W), uint8 or floating point, on any device.

        Whole numbers come back rounded and clamped, floating point clamped to [0, 1]. Grey goes through the network as
        a grey colour picture and comes back grey; alpha is enlarged by bicubic interpolation. Raises ValueError for
        other shapes and types.
        """
        if isinstance(image, Tensor):
            return cast(Picture, self._tensor(image))
        if isinstance(image, np.ndarray):
            return cast(Picture, self._array(image))
        return cast(Picture, self._pil(image))

    def _pil(self, image: "Image") -> "Image":
        from PIL import Image as Pillow

        if image.mode in ("I;16", "I;16B", "I;16L", "I"):
            return Pillow.fromarray(self._array(np.asarray(image).clip(0, 65535).astype(np.uint16)))
        transparent = image.mode in ("LA", "PA", "RGBA", "La", "RGBa") or "transparency" in image.info
        grey = image.mode in ("1", "L", "LA", "La")
        mode = ("LA" if transparent else "L") if grey else ("RGBA" if transparent else "RGB")
        larger = Pillow.fromarray(self._array(np.asarray(image.convert(mode))))
        larger.info.update({key: image.info[key] for key in ("icc_profile",) if key in image.info})
        return larger

    def _array(self, image: np.ndarray) -> np.ndarray:
        if image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] not in (1, 2, 3, 4)):
            raise ValueError(f"upscale: an array must be (H, W), (H, W, 3) or (H, W, 4); got {image.shape}")
        planes = torch.from_numpy(np.array(image, dtype=_widened(image.dtype)))
        planes = planes[None] if image.ndim == 2 else planes.movedim(-1, 0)
        largest = np.iinfo(image.dtype).max if image.dtype.kind == "u" else None
        larger = self._planes(planes.to(torch.float32) / (largest or 1)).clamp(0, 1).movedim(0, -1).numpy()
        larger = larger[..., 0] if image.ndim == 2 else larger
        return np.round(larger * largest).astype(image.dtype) if largest else larger.astype(image.dtype)

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
        larger = enlarge(self.net, colour).to(planes.device)
        larger = larger.mean(0, keepdim=True) if grey else larger
        return torch.cat((larger, imresize(alpha, self.scale).to(larger))) if len(alpha) else larger


def load(
    path: str | Path, weights: Literal["ema", "raw"] = "ema", trust: Sequence[str] = (), device: str = "cpu"
) -> Upscaler:
    """The network of a checkpoint as an Upscaler; see `upnet.checkpoint.load_network` for what is refused."""
    loaded = load_network(path, weights, trust)
    return Upscaler(loaded.net).to(device)


def _widened(dtype: np.dtype) -> np.dtype:
    """The type that torch reads the array as. Raises ValueError for types that aren't pictures."""
    if dtype == np.uint16:
        return np.dtype(np.int32)
    if dtype == np.uint8 or dtype.kind == "f":
        return dtype
    raise ValueError(f"upscale: an array is uint8, uint16, or floating point in [0, 1]; got {dtype}")
