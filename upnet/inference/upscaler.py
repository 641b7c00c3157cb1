"""Upscale images in memory with a trained network."""

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
from upnet.inference.tiling import Tiling
from upnet.models import EncoderDecoder
from upnet.utils.errors import UserError, join_or

if TYPE_CHECKING:
    from PIL.Image import Image

    from upnet.imaging.image import RasterImage

AnyImage = TypeVar("AnyImage", "Image", np.ndarray, Tensor)
Ensemble = Literal["none", "x8"]
Alpha = Literal["bicubic", "network"]


class Upscaler:
    """Upscale images with a network.

    net:      the network; it is set to evaluation mode.
    tile:     side of the tiles in LR pixels; "auto": tiles only if the whole image doesn't fit into memory; "none": no
              tiles.
    ensemble: "x8" averages the outputs for the eight rotations and reflections of an image, in eight times the time;
              see `upnet.inference.tensor.self_ensemble`.
    alpha:    how an alpha channel is upscaled: by "bicubic" interpolation, or as a grey image by the "network".

    Raises UserError for another ensemble or alpha.

    >>> from functools import partial
    >>> from upnet.encoders import ConvStack
    >>> net = EncoderDecoder(2, 3, partial(ConvStack, layers=[8, 8]), block=None, upsampler=None)
    >>> Upscaler(net).upscale(np.zeros((9, 8, 3), np.uint8)).shape
    (18, 16, 3)
    """

    def __init__(
        self, net: EncoderDecoder, tile: Tiling = "auto", ensemble: Ensemble = "none", alpha: Alpha = "bicubic"
    ) -> None:
        for setting, value, allowed in (("ensemble", ensemble, Ensemble), ("alpha", alpha, Alpha)):
            if value not in get_args(allowed):
                raise UserError("is unknown", setting=setting, value=value, allowed=join_or(get_args(allowed)))
        self.net = net.eval()
        self.tile: Tiling = tile
        self.ensemble: Ensemble = ensemble
        self.alpha: Alpha = alpha

    @property
    def scale(self) -> int:
        """The scale factor of the network."""
        return self.net.scale

    def to(self, device: str | torch.device) -> "Upscaler":
        """Move the network to a device, and return this upscaler."""
        self.net.to(device)
        return self

    @overload
    def upscale(self, image: str | Path) -> "Image": ...
    @overload
    def upscale(self, image: AnyImage) -> AnyImage: ...
    def upscale(self, image: "str | Path | Image | np.ndarray | Tensor") -> "Image | np.ndarray | Tensor":
        """Upscale an image by `scale`; the result has the type of the input.

        image: a PIL image of any mode; the path of an image file, which gives a PIL image; an array (H, W), (H, W, 2),
               (H, W, 3) or (H, W, 4), uint8, uint16, or floating point in [0, 1]; or a tensor (3, H, W), (1, H, W),
               (4, H, W) or a batch of them, uint8, uint16, or floating point in [0, 1], on any device.

        Integers are rounded and clamped, floating point is clamped to [0, 1]. A grey image is passed to the network as
        RGB, and the mean of the output channels is returned. The colours of transparent pixels are replaced by those of
        the nearest visible pixels before the network, to avoid fringes at edges; alpha is upscaled according to
        `alpha`. A PIL image is rotated upright by its EXIF orientation and keeps its metadata in `info`; palettes and
        CMYK become RGB, and transparency becomes alpha.

        Raises UserError for other types, shapes and ranges, for files that cannot be read, and if the output of the
        network contains NaN or infinity.
        """
        if isinstance(image, Tensor):
            return self._upscale_tensor(image)
        if isinstance(image, np.ndarray):
            return self._upscale_array(image)
        from PIL import Image as Pillow

        from upnet.imaging.pillow import from_pillow
        from upnet.imaging.reading import read_image

        if isinstance(image, (str, Path)):
            return self._upscale_pillow(read_image(image))
        if isinstance(image, Pillow.Image):
            return self._upscale_pillow(from_pillow(image))
        raise UserError(
            "is not a type of images",
            setting="type(image)",
            value=type(image).__name__,
            allowed="a path, a PIL image, a NumPy array, a tensor",
        )

    def _upscale_pillow(self, image: "RasterImage") -> "Image":
        from upnet.imaging.pillow import to_pillow

        if image.samples.dtype == np.uint16 and image.samples.ndim == 3:
            raise UserError(
                "Pillow supports neither 16-bit colour nor 16-bit transparency",
                cure="Pass an array (H, W, C) of uint16, or run upnet evaluate checkpoint=PATH input=FILE",
            )
        return to_pillow(image.with_samples(self._upscale_array(image.samples)))

    def _upscale_array(self, image: np.ndarray) -> np.ndarray:
        check_array(image)
        pixels = np.asarray(image)  # the values of a subclass, such as a matrix
        largest = np.iinfo(image.dtype).max if image.dtype.kind == "u" else None
        channels = torch.from_numpy(np.array(pixels if pixels.ndim == 3 else pixels[..., None], dtype=np.float32))
        # In place, since large images take gigabytes in float32.
        upscaled = self._upscale_channels(channels.div_(largest or 1).movedim(-1, 0)).clamp_(0, 1)
        upscaled = upscaled.mul_(largest).round_() if largest else upscaled
        result = upscaled.movedim(0, -1).numpy().astype(image.dtype)
        return np.ascontiguousarray(result[..., 0] if image.ndim == 2 else result)

    def _upscale_tensor(self, image: Tensor) -> Tensor:
        check_tensor(image)
        if image.ndim == 4:
            return torch.stack([self._upscale_tensor(item) for item in image])
        if image.is_floating_point():
            return self._upscale_channels(image.to(torch.float32)).clamp(0, 1).to(image)
        largest = torch.iinfo(image.dtype).max
        upscaled = self._upscale_channels(image.to(torch.float32) / largest).clamp(0, 1)
        return (upscaled * largest).round().to(image)

    @torch.no_grad()
    def _upscale_channels(self, image: Tensor) -> Tensor:
        """(C, h, w) in [0, 1] -> (C, s·h, s·w), for C = 1 to 4: grey, grey and alpha, RGB, RGB and alpha."""
        colours = 1 if image.shape[0] < 3 else 3
        colour, alpha = image[:colours], image[colours:].clamp(0, 1)
        if not len(alpha):
            return self._upscale_colour(colour)
        upscaled = self._upscale_colour(fill_transparent(colour, alpha))
        if self.alpha == "network":
            return torch.cat((upscaled, upscale_alpha(alpha, self.scale, self._upscale_colour).to(upscaled)))
        return torch.cat((upscaled, imresize(alpha, self.scale).to(upscaled)))

    def _upscale_colour(self, image: Tensor) -> Tensor:
        """(1 or 3, h, w) -> (1 or 3, s·h, s·w), on the device of the image. Raises UserError for NaN and infinity."""
        rgb = image.expand(3, -1, -1)
        upscaled = self_ensemble(self._upscale_rgb, rgb) if self.ensemble == "x8" else self._upscale_rgb(rgb)
        upscaled = upscaled.to(image.device)
        upscaled = upscaled.mean(0, keepdim=True) if image.shape[0] == 1 else upscaled
        if not torch.isfinite(upscaled.sum()):
            raise UserError("the output of the network contains NaN or infinity", cure="Use another checkpoint")
        return upscaled

    def _upscale_rgb(self, image: Tensor) -> Tensor:
        """(3, h, w) -> (3, s·h, s·w)."""
        return upscale_tensor(self.net, image, tile=self.tile)


def load(
    path: str | Path,
    weights: Literal["ema", "raw"] = "ema",
    trust: Sequence[str] = (),
    device: str = "cpu",
    tile: Tiling = "auto",
    ensemble: Ensemble = "none",
    alpha: Alpha = "bicubic",
) -> Upscaler:
    """Load the network of a checkpoint as an `Upscaler`.

    path, weights, trust:  see `upnet.checkpoint.load_network`.
    device:                of the network, such as "cpu" or "cuda".
    tile, ensemble, alpha: see `Upscaler`.

    The call changes neither environment variables nor global settings of torch. On a CPU, torch caches kernels per
    image size; `upnet.utils.allocator.limit_onednn_cache(64)`, called before upscaling many images of different sizes,
    limits that memory.

    Raises UserError if the checkpoint cannot be loaded or trusted, and as `Upscaler` does.

    >>> load("runs/first/checkpoints/last.ckpt").upscale("photo.png").save("large.png")  # doctest: +SKIP
    >>> load("no-such-file.ckpt")
    Traceback (most recent call last):
    upnet.utils.errors.UserError: there is no checkpoint at no-such-file.ckpt...
    """
    loaded = load_network(path, weights, trust)
    return Upscaler(loaded.net, tile, ensemble, alpha).to(device)
