"""Comparison figures: crops of an image as LR, bicubic, network output and HR, side by side."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from upnet.data import Store
from upnet.evaluation.compatibility import protocol_label
from upnet.evaluation.figure_text import apply_fallback_fonts, no_math_text
from upnet.inference.tensor import upscale_tensor
from upnet.metrics import bicubic
from upnet.models import EncoderDecoder

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MAX_ROWS = 4
"""The largest number of images in a comparison figure."""

CROP_SIZE = 72
"""The largest side of a crop in HR pixels."""


def to_uint8(image: Tensor) -> np.ndarray:
    """Clip, scale and round an image: (3, H, W) in about [0, 1] -> (H, W, 3) uint8.

    >>> to_uint8(torch.tensor([[[0.5]], [[1.2]], [[-0.1]]])).tolist()
    [[[128, 255, 0]]]
    """
    return (image.clamp(0, 1) * 255).round().to(torch.uint8).movedim(0, -1).cpu().numpy()


def max_energy_window(difference: Tensor, side: int) -> tuple[int, int]:
    """Top left corner (row, column) of the window of `side` pixels with the largest energy of (C, H, W).

    Windows start at multiples of side // 8.

    >>> difference = torch.zeros(1, 16, 16)
    >>> difference[0, 12, 4] = 1
    >>> max_energy_window(difference, side=8)
    (5, 0)
    """
    stride = max(1, side // 8)
    energy = F.avg_pool2d(difference.square().mean(0)[None, None], side, stride=stride)[0, 0]
    row, col = divmod(int(energy.argmax()), energy.shape[1])
    return row * stride, col * stride


@dataclass(frozen=True)
class Crop:
    """A square crop of an image, and the versions of it that figures show.

    lr_image, hr_image: the whole images, (h, w, 3) and (H, W, 3) uint8.
    corner:             row and column of its top left corner in HR pixels, multiples of the scale.
    side:               in HR pixels, a multiple of the scale.
    """

    lr_image: np.ndarray
    hr_image: np.ndarray
    corner: tuple[int, int]
    side: int
    scale: int

    @classmethod
    def hardest_for_bicubic(cls, store: Store, index: int, scale: int) -> "Crop":
        """The crop of an image of a store in which bicubic interpolation differs most from HR."""
        lr, hr = np.array(store.lr(index)), np.array(store.hr(index))
        side = min(CROP_SIZE, *hr.shape[:2]) // scale * scale
        difference = bicubic(_to_planes(lr), scale).float() - _to_planes(hr) / 255
        row, col = max_energy_window(difference, side)
        return cls(lr, hr, (row // scale * scale, col // scale * scale), side, scale)

    @property
    def hr(self) -> np.ndarray:
        """(side, side, 3) uint8."""
        return self._crop(self.hr_image)

    @property
    def lr(self) -> np.ndarray:
        """(side / scale, side / scale, 3) uint8."""
        row, col, side = (value // self.scale for value in (*self.corner, self.side))
        return self.lr_image[row : row + side, col : col + side]

    @property
    def bicubic(self) -> np.ndarray:
        """(side, side, 3) uint8."""
        return self._crop(to_uint8(bicubic(_to_planes(self.lr_image), self.scale)))

    def output_of(self, network: EncoderDecoder) -> np.ndarray:
        """The crop of the network's output for the whole image, (side, side, 3) uint8."""
        return self._crop(to_uint8(upscale_tensor(network, _to_planes(self.lr_image) / 255)))

    def _crop(self, image: np.ndarray) -> np.ndarray:
        row, col = self.corner
        return image[row : row + self.side, col : col + self.side]


def draw_comparison(net: EncoderDecoder, sets: Mapping[str, Store], content: Mapping[str, Any], file: BinaryIO) -> None:
    """Write a PNG with up to four images: the whole image, and a crop as LR, bicubic, network output and HR.

    content: of results.json, for the PSNR of every image.
    """
    rows = [(name, store, index) for name, store in sets.items() for index in range(len(store))][:MAX_ROWS]
    with no_math_text():
        figure = _comparison_figure(net, rows, content)
    apply_fallback_fonts(figure)
    figure.savefig(file, dpi=130, format="png")


def mark_crop(axes: "Axes", corner: tuple[int, int], side: int) -> None:
    """Draw a yellow box around a square crop of the image in the axes.

    corner: row and column of its top left pixel.
    """
    from matplotlib.patches import Rectangle

    # imshow puts the centre of the first pixel at 0. Clipping would hide half of a line on the border of the image.
    top, left = corner
    box = Rectangle((left - 0.5, top - 0.5), side, side, fill=False, edgecolor="#ffd400", linewidth=1.6)
    box.set_clip_on(False)
    axes.add_patch(box)


def _comparison_figure(
    net: EncoderDecoder, rows: Sequence[tuple[str, Store, int]], content: Mapping[str, Any]
) -> "Figure":
    """rows: data set, its store, and index of the image in it."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12.8, 2.62 * len(rows) + 0.1), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(rows), 5, squeeze=False, width_ratios=(1.4, 1, 1, 1, 1))
    for row, (dataset, store, index) in zip(axes, rows, strict=True):
        score = content["datasets"][dataset]["images"][store.names[index]]
        crop = Crop.hardest_for_bicubic(store, index, net.scale)
        row[0].imshow(crop.hr_image)
        mark_crop(row[0], crop.corner, crop.side)
        row[0].set_title(f"{dataset}: {store.names[index]}", fontsize=9, loc="left")
        tiles = {
            f"LR, downscaled by {net.scale}": crop.lr,
            f"bicubic   {float(score['baseline']['psnr']):.2f} dB": crop.bicubic,
            f"network   {float(score['psnr']):.2f} dB": crop.output_of(net),
            "HR": crop.hr,
        }
        for axis, (title, tile) in zip(row[1:], tiles.items(), strict=True):
            axis.imshow(tile, interpolation="nearest")
            axis.set_title(title, fontsize=9)
        for axis in row:
            axis.set_axis_off()
    figure.supxlabel(f"PSNR: {protocol_label(content)}", fontsize=8, color="#555555")
    return figure


def _to_planes(image: np.ndarray) -> Tensor:
    """(H, W, 3) -> (3, H, W)."""
    return torch.from_numpy(image).movedim(-1, 0)
