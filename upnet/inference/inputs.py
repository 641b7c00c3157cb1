"""What `Upscaler.upscale` accepts: types, shapes and ranges of arrays and tensors."""

import numpy as np
import torch
from torch import Tensor

_DUST = 1e-3
"""How far floats may lie outside [0, 1]: a rounding error in half precision."""


def check_array(image: np.ndarray) -> None:
    """Raise ValueError for arrays that are no image, with the cure."""
    if isinstance(image, np.ma.MaskedArray) and np.ma.is_masked(image):
        raise ValueError("upscale: a masked array has pixels without a value; fill them first: image.filled(0)")
    if image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] not in (1, 2, 3, 4)):
        raise ValueError(
            f"upscale: an array must be (H, W), (H, W, 1), (H, W, 2), (H, W, 3) or (H, W, 4); got {image.shape}"
            f"{_array_cure(image.shape)}"
        )
    if 0 in image.shape:
        raise ValueError(f"upscale: an image has at least one pixel; got {image.shape}")
    if image.dtype.newbyteorder("=") in (np.uint8, np.uint16):
        return
    if image.dtype.kind != "f":
        raise ValueError(
            f"upscale: an array must be uint8, uint16, or floating point in [0, 1]; got {image.dtype}; for values in "
            "0 ... 255 convert it by image.astype(np.uint8)"
        )
    check_range(float(image.min()), float(image.max()))


def check_tensor(image: Tensor) -> None:
    """Raise ValueError for tensors that are no image and no batch of images, with the cure."""
    shape = tuple(image.shape)
    if image.ndim not in (3, 4) or shape[-3] not in (1, 3, 4):
        last = image.ndim in (3, 4) and shape[-1] in (1, 3, 4)
        cure = "; move the channels to the front by image.movedim(-1, -3)" if last else ""
        cure = "; add the channel by image[None]" if image.ndim == 2 else cure
        raise ValueError(
            f"upscale: a tensor must be (1, H, W), (3, H, W), (4, H, W) or a batch of them; got {shape}{cure}"
        )
    if 0 in shape:
        raise ValueError(f"upscale: an image has at least one pixel, and a batch one image; got {shape}")
    if image.dtype in (torch.uint8, torch.uint16):
        return
    if not image.is_floating_point():
        raise ValueError(
            f"upscale: a tensor must be uint8, uint16, or floating point in [0, 1]; got {image.dtype}; for values in "
            "0 ... 255 convert it by image.to(torch.uint8)"
        )
    low, high = image.detach().to(torch.float32).aminmax()
    check_range(float(low), float(high))


def check_range(low: float, high: float) -> None:
    """Raise ValueError where the extremes of floating-point pixels aren't in [0, 1], or are NaN."""
    if not (np.isfinite(low) and np.isfinite(high)):
        raise ValueError(
            "upscale: the image holds NaN or infinity; replace them first, as np.nan_to_num and torch.nan_to_num do"
        )
    if low >= -_DUST and high <= 1 + _DUST:
        return
    if low < -_DUST:
        cure = "shift and scale them: (image + 1) / 2 for values in [-1, 1]" if low >= -1 and high <= 1 else ""
    else:
        largest = next((most for most in (255, 65535) if 2 < high <= most), None)
        cure = f"divide them by {largest}" if largest else ""
    cure = cure or "scale them to [0, 1], or clip what lies outside: image.clip(0, 1)"
    raise ValueError(f"upscale: floating-point pixels must be in [0, 1]; got {low:g} ... {high:g}; {cure}")


def _array_cure(shape: tuple[int, ...]) -> str:
    if len(shape) == 3 and shape[0] in (1, 3, 4):
        return "; move the channels to the end by np.moveaxis(image, 0, -1)"
    if len(shape) == 4:
        return "; give the images of a batch one by one"
    return ""
