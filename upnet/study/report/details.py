"""Image details: the same crop of an image from every arm, for the page and as the figure comparison.png."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from upnet.data import Store
from upnet.evaluation.compatibility import protocol_label
from upnet.evaluation.figure_text import apply_fallback_fonts, no_math_text
from upnet.evaluation.figures import CROP_SIZE, Crop, max_energy_window, to_uint8
from upnet.inference.tensor import upscale_tensor
from upnet.metrics import cap_psnr
from upnet.models import EncoderDecoder
from upnet.study.finished_runs import Arm
from upnet.study.report.arms import ArmEntry
from upnet.study.report.images import data_uri
from upnet.utils.atomic_io import atomic_write

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ERROR_GAIN = 4
"""Factor by which absolute differences from HR are multiplied."""

MAX_PER_SET, MAX_IMAGES = 2, 4
"""The largest number of images from one data set, and from all."""

COLUMNS = 4
"""Columns of the figure."""


@dataclass(frozen=True)
class Tile:
    """One version of a crop.

    image, difference: the crop and its difference from HR, as data URIs.
    psnr:              of the whole image, in dB.
    """

    name: str
    image: str
    difference: str | None = None
    psnr: float | None = None


@dataclass(frozen=True)
class DetailView:
    """A crop of one image from every arm.

    position: x and y of the crop's top left corner and its side, in HR pixels.
    spread:   the largest difference in PSNR between two arms on this image, in dB.
    """

    dataset: str
    image: str
    seed: int
    position: tuple[int, int, int]
    spread: float
    tiles: Sequence[Tile]


def detail_views(
    entries: Sequence[ArmEntry], networks: Sequence[EncoderDecoder], stores: Mapping[str, Store]
) -> list[DetailView]:
    """Crops by the first seed of every arm, of the images on which the PSNR of the arms differs most.

    networks: of the arms. Each crop is the window in which their outputs differ most.
    stores:   the evaluated images by data set.
    """
    arms = [entry.arm for entry in entries]
    views: list[DetailView] = []
    for dataset, store in stores.items():
        spreads = {index: _psnr_spread(arms, dataset, name) for index, name in enumerate(store.names)}
        indices = sorted(spreads, key=lambda index: -spreads[index])
        views += [_view(entries, networks, dataset, store, index, spreads[index]) for index in indices[:MAX_PER_SET]]
        if len(views) >= MAX_IMAGES:
            break
    return views[:MAX_IMAGES]


def draw_details(arms: Sequence[Arm], stores: Mapping[str, Store], path: Path) -> None:
    """Write a PNG with one crop as HR, bicubic and every arm's first seed, each with the PSNR of the whole image.

    The image is the one of the first data set on which the PSNR of the arms differs most; the crop is the window in
    which bicubic interpolation differs most from HR.
    """
    dataset, store = next(iter(stores.items()))
    index = max(range(len(store)), key=lambda index: _psnr_spread(arms, dataset, store.names[index]))
    name = store.names[index]
    crop = Crop.hardest_for_bicubic(store, index, arms[0].network.scale)
    bicubic_psnr = float(_scores(arms[0], dataset, name)["baseline"]["psnr"])
    tiles = [("HR", crop.hr), (f"bicubic  {bicubic_psnr:.2f} dB", crop.bicubic)]
    for arm in arms:
        psnr = float(_scores(arm, dataset, name)["psnr"])
        with torch.no_grad():
            tiles.append((f"{arm.name}  {psnr:.2f} dB", crop.output_of(arm.network)))
    with no_math_text():
        figure = _figure(f"{dataset}: {name}   ({protocol_label(arms[0].runs[0].results)})", tiles)
    apply_fallback_fonts(figure)
    png = io.BytesIO()
    figure.savefig(png, format="png", dpi=130)
    atomic_write(png.getvalue(), path)


def _view(
    entries: Sequence[ArmEntry],
    networks: Sequence[EncoderDecoder],
    dataset: str,
    store: Store,
    index: int,
    spread: float,
) -> DetailView:
    name, scale = store.names[index], networks[0].scale
    lr = torch.from_numpy(np.array(store.lr(index))).movedim(-1, 0) / 255
    outputs = [upscale_tensor(network, lr).cpu() for network in networks]
    corner, side = _crop_position(outputs, scale)
    crop = Crop(np.array(store.lr(index)), np.array(store.hr(index)), corner, side, scale)
    top, left = corner
    bicubic_psnr = float(_scores(entries[0].arm, dataset, name)["baseline"]["psnr"])
    tiles = [
        Tile("HR", data_uri(crop.hr)),
        Tile(f"LR, downscaled by {scale}", data_uri(crop.lr)),
        Tile("bicubic, no network", data_uri(crop.bicubic), _difference(crop.bicubic, crop.hr), bicubic_psnr),
    ]
    for entry, output in zip(entries, outputs, strict=True):
        pixels = to_uint8(output)[top : top + side, left : left + side]
        psnr = float(_scores(entry.arm, dataset, name)["psnr"])
        tiles.append(Tile(entry.name, data_uri(pixels), _difference(pixels, crop.hr), psnr))
    seed = entries[0].arm.runs[0].seed
    return DetailView(dataset, name, seed, (left, top, side), spread, tiles)


def _crop_position(outputs: Sequence[torch.Tensor], scale: int) -> tuple[tuple[int, int], int]:
    """Top left corner, on the LR grid, and side of the window in which the outputs deviate most from their mean."""
    stacked = torch.stack([output.clamp(0, 1) for output in outputs])
    side = min(CROP_SIZE, *stacked.shape[-2:]) // scale * scale
    deviation = (stacked - stacked.mean(0)).square().mean(0).sqrt()
    # Evaluation protocols leave the border out.
    deviation[:, :scale], deviation[:, -scale:], deviation[..., :scale], deviation[..., -scale:] = 0, 0, 0, 0
    row, col = max_energy_window(deviation, side)
    return (row // scale * scale, col // scale * scale), side


def _difference(pixels: np.ndarray, hr: np.ndarray) -> str:
    difference = np.abs(pixels.astype(int) - hr.astype(int)) * ERROR_GAIN
    return data_uri(difference.clip(0, 255).astype(np.uint8))


def _figure(title: str, tiles: Sequence[tuple[str, np.ndarray]]) -> "Figure":
    """Images, (H, W, 3) uint8, in rows of `COLUMNS`, each with its title."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = -(-len(tiles) // COLUMNS)
    figure = Figure(figsize=(3.1 * COLUMNS, 3.3 * rows + 0.3), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    figure.suptitle(title, fontsize=11)
    axes = figure.subplots(rows, COLUMNS, squeeze=False).ravel()
    for axis in axes:
        axis.set_axis_off()
    for axis, (tile_title, image) in zip(axes, tiles, strict=False):
        axis.imshow(image, interpolation="nearest")
        axis.set_title(tile_title, fontsize=9)
    return figure


def _psnr_spread(arms: Sequence[Arm], dataset: str, image: str) -> float:
    """The largest difference in PSNR, in dB, between the first seeds of two arms on an image."""
    psnrs = [cap_psnr(_scores(arm, dataset, image)["psnr"]) for arm in arms]
    return max(psnrs) - min(psnrs)


def _scores(arm: Arm, dataset: str, image: str) -> Mapping[str, Any]:
    """The scores of the arm's first seed on an image."""
    return arm.runs[0].results["datasets"][dataset]["images"][image]
