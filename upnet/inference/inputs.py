"""Check the arrays and tensors that `Upscaler.upscale` accepts: dtype, shape and range."""

import numpy as np
import torch
from torch import Tensor

from upnet.utils.errors import UserError

_TOLERANCE = 1e-3
"""Floats may be outside [0, 1] by the rounding error of half precision."""


def check_array(image: np.ndarray) -> None:
    """Raise UserError for an array that is not an image (H, W) or (H, W, C) with C = 1 to 4.

    >>> check_array(np.zeros((4, 5, 3), np.uint8))
    """
    if isinstance(image, np.ma.MaskedArray) and np.ma.is_masked(image):
        raise UserError("the masked array has pixels without a value", cure="Fill them first: image.filled(0)")
    if image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] not in (1, 2, 3, 4)):
        allowed = "(H, W), (H, W, 1), (H, W, 2), (H, W, 3), (H, W, 4)"
        raise UserError(
            "is not the shape of an image",
            setting="image.shape",
            value=image.shape,
            allowed=allowed,
            cure=_array_cure(image.shape),
        )
    if 0 in image.shape:
        raise UserError("has no pixels", setting="image.shape", value=image.shape)
    if image.dtype.newbyteorder("=") in (np.uint8, np.uint16):
        return
    if image.dtype.kind != "f":
        raise UserError(
            "is not a dtype of images",
            setting="image.dtype",
            value=str(image.dtype),
            allowed="uint8, uint16, floating point in [0, 1]",
            cure="Convert values in 0 … 255 by image.astype(np.uint8)",
        )
    check_range(float(image.min()), float(image.max()))


def check_tensor(image: Tensor) -> None:
    """Raise UserError for a tensor that is not an image (C, H, W) or a batch (N, C, H, W) with C = 1, 3 or 4.

    >>> check_tensor(torch.zeros(1, 3, 4, 5))
    """
    shape = tuple(image.shape)
    if image.ndim not in (3, 4) or shape[-3] not in (1, 3, 4):
        channels_last = image.ndim in (3, 4) and shape[-1] in (1, 3, 4)
        cure = "Move the channels to the front by image.movedim(-1, -3)" if channels_last else ""
        cure = "Add the channel by image[None]" if image.ndim == 2 else cure
        allowed = "(1, H, W), (3, H, W), (4, H, W), or a batch of them"
        raise UserError("is not the shape of an image", setting="image.shape", value=shape, allowed=allowed, cure=cure)
    if 0 in shape:
        raise UserError("has no pixels", setting="image.shape", value=shape)
    if image.dtype in (torch.uint8, torch.uint16):
        return
    if not image.is_floating_point():
        raise UserError(
            "is not a dtype of images",
            setting="image.dtype",
            value=str(image.dtype),
            allowed="uint8, uint16, floating point in [0, 1]",
            cure="Convert values in 0 … 255 by image.to(torch.uint8)",
        )
    low, high = image.detach().to(torch.float32).aminmax()
    check_range(float(low), float(high))


def check_range(low: float, high: float) -> None:
    """Raise UserError if floating-point pixels from `low` to `high` are outside [0, 1], NaN or infinite.

    >>> check_range(0.0, 1.0)
    """
    if not (np.isfinite(low) and np.isfinite(high)):
        raise UserError(
            "the image contains NaN or infinity",
            cure="Replace them first: np.nan_to_num(image), or torch.nan_to_num(image)",
        )
    if low >= -_TOLERANCE and high <= 1 + _TOLERANCE:
        return
    if low < -_TOLERANCE:
        cure = "Shift and scale values in [-1, 1] by (image + 1) / 2" if low >= -1 and high <= 1 else ""
    else:
        largest = next((maximum for maximum in (255, 65535) if 2 < high <= maximum), None)
        cure = f"Divide them by {largest}" if largest else ""
    raise UserError(
        f"floating-point pixels must be in [0, 1], and these are in [{low:g}, {high:g}]",
        cure=cure or "Scale them to [0, 1], or clip the values outside: image.clip(0, 1)",
    )


def _array_cure(shape: tuple[int, ...]) -> str:
    if len(shape) == 3 and shape[0] in (1, 3, 4):
        return "Move the channels to the end by np.moveaxis(image, 0, -1)"
    if len(shape) == 4:
        return "Pass the images of a batch one by one"
    return ""
