"""Pictures side by side."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
    from matplotlib.figure import Figure

ROWS = 4
CROP_SIZE = 72


def to_uint8(picture: Tensor) -> np.ndarray:
    """(3, H, W) about [0, 1] -> (H, W, 3) uint8."""
    return (picture.clamp(0, 1) * 255).round().to(torch.uint8).movedim(0, -1).cpu().numpy()


def max_energy_window(difference: Tensor, side: int) -> tuple[int, int]:
    """The top left corner of the window of `side` pixels with the largest squared difference, (C, H, W)."""
    stride = max(1, side // 8)
    energy = F.avg_pool2d(difference.square().mean(0)[None, None], side, stride=stride)[0, 0]
    row, col = divmod(int(energy.argmax()), energy.shape[1])
    return row * stride, col * stride


@dataclass(frozen=True)
class Crop:
    """A square of a picture of a store, where bicubic is farthest from HR.

    lr, whole: the whole LR and HR pictures, (h, w, 3) uint8.
    corner:    of the square in HR pixels, rows first; side: its length, a multiple of the scale.
    """

    lr_image: np.ndarray
    hr_image: np.ndarray
    corner: tuple[int, int]
    side: int
    scale: int

    @classmethod
    def hardest_for_bicubic(cls, store: Store, index: int, scale: int) -> "Crop":
        """The detail of one picture."""
        lr, whole = np.array(store.lr(index)), np.array(store.hr(index))
        side = min(CROP_SIZE, *whole.shape[:2]) // scale * scale
        difference = bicubic(_planes(lr), scale).float() - _planes(whole) / 255
        row, col = max_energy_window(difference, side)
        return cls(lr, whole, (row // scale * scale, col // scale * scale), side, scale)

    @property
    def hr(self) -> np.ndarray:
        """(side, side, 3) uint8."""
        return self._cut(self.hr_image)

    @property
    def lr(self) -> np.ndarray:
        """(side / scale, side / scale, 3) uint8."""
        row, col, side = (value // self.scale for value in (*self.corner, self.side))
        return self.lr_image[row : row + side, col : col + side]

    @property
    def bicubic(self) -> np.ndarray:
        """(side, side, 3) uint8."""
        return self._cut(to_uint8(bicubic(_planes(self.lr_image), self.scale)))

    def output_of(self, net: EncoderDecoder) -> np.ndarray:
        """What a network makes of it, given the whole picture: (side, side, 3) uint8."""
        return self._cut(to_uint8(upscale_tensor(net, _planes(self.lr_image) / 255)))

    def _cut(self, picture: np.ndarray) -> np.ndarray:
        row, col = self.corner
        return picture[row : row + self.side, col : col + self.side]


def draw_comparison(net: EncoderDecoder, sets: Mapping[str, Store], content: Mapping[str, Any], path: Path) -> None:
    """A PNG of up to four pictures: each whole, and a detail of it as LR, bicubic, network and HR."""
    picked = [(name, store, index) for name, store in sets.items() for index in range(len(store))][:ROWS]
    with no_math_text():
        figure = _side_by_side(net, picked, content)
    apply_fallback_fonts(figure)
    figure.savefig(path, dpi=130)


def _side_by_side(
    net: EncoderDecoder, picked: Sequence[tuple[str, Store, int]], content: Mapping[str, Any]
) -> "Figure":
    """A row per picture: data set, its store, and the index in it."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

    figure = Figure(figsize=(12.8, 2.62 * len(picked) + 0.1), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(picked), 5, squeeze=False, width_ratios=(1.4, 1, 1, 1, 1))
    for row, (dataset, store, index) in zip(axes, picked, strict=True):
        score = content["datasets"][dataset]["images"][store.names[index]]
        detail = Crop.hardest_for_bicubic(store, index, net.scale)
        top, left = detail.corner
        row[0].imshow(detail.hr_image)
        row[0].add_patch(
            Rectangle((left, top), detail.side, detail.side, fill=False, edgecolor="#ffd400", linewidth=1.6)
        )
        row[0].set_title(f"{dataset}: {store.names[index]}", fontsize=9, loc="left")
        tiles = {
            f"LR, reduced by {net.scale}": detail.lr,
            f"bicubic   {float(score['baseline']['psnr']):.2f} dB": detail.bicubic,
            f"network   {float(score['psnr']):.2f} dB": detail.output_of(net),
            "HR": detail.hr,
        }
        for axis, (title, tile) in zip(row[1:], tiles.items(), strict=True):
            axis.imshow(tile, interpolation="nearest")
            axis.set_title(title, fontsize=9)
        for axis in row:
            axis.set_axis_off()
    figure.supxlabel(f"PSNR: {protocol_label(content)}", fontsize=8, color="#555555")
    return figure


def _planes(picture: np.ndarray) -> Tensor:
    """(H, W, 3) -> (3, H, W)."""
    return torch.from_numpy(picture).movedim(-1, 0)
