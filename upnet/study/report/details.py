"""Image details: the same crop from every arm, chosen where the arms differ most."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from upnet.data import Store
from upnet.evaluation.figures import CROP_SIZE, Crop, max_energy_window, to_uint8
from upnet.inference.tensor import upscale_tensor
from upnet.metrics import cap_psnr
from upnet.models import EncoderDecoder
from upnet.study.report.arms import ArmEntry
from upnet.study.report.images import data_uri

ERROR_GAIN = 4
"""Factor by which absolute differences from HR are multiplied."""

MAX_PER_SET, MAX_IMAGES = 2, 4
"""The largest number of images from one data set, and from all."""


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
    """Crops by the first seed of every arm, of the images on which the PSNR of the arms differs most."""
    views: list[DetailView] = []
    for dataset, store in stores.items():
        spreads = {index: _spread(entries, dataset, name) for index, name in enumerate(store.names)}
        indices = sorted(spreads, key=lambda index: -spreads[index])
        views += [_view(entries, networks, dataset, store, index, spreads[index]) for index in indices[:MAX_PER_SET]]
        if len(views) >= MAX_IMAGES:
            break
    return views[:MAX_IMAGES]


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
    bicubic_psnr = float(_score(entries[0], dataset, name)["baseline"]["psnr"])
    tiles = [
        Tile("HR", data_uri(crop.hr)),
        Tile(f"LR, downscaled by {scale}", data_uri(crop.lr)),
        Tile("bicubic, no network", data_uri(crop.bicubic), _difference(crop.bicubic, crop.hr), bicubic_psnr),
    ]
    for entry, output in zip(entries, outputs, strict=True):
        pixels = to_uint8(output)[top : top + side, left : left + side]
        psnr = float(_score(entry, dataset, name)["psnr"])
        tiles.append(Tile(entry.name, data_uri(pixels), _difference(pixels, crop.hr), psnr))
    seed = int(entries[0].arm.runs[0].results["seed"])
    return DetailView(dataset, name, seed, (left, top, side), spread, tiles)


def _crop_position(outputs: Sequence[torch.Tensor], scale: int) -> tuple[tuple[int, int], int]:
    """Top left corner, on the LR grid, and side of the window in which the outputs deviate most from their mean."""
    stacked = torch.stack([output.clamp(0, 1) for output in outputs])
    side = min(CROP_SIZE, *stacked.shape[-2:]) // scale * scale
    deviation = (stacked - stacked.mean(0)).square().mean(0).sqrt()
    # Protocols leave the border out.
    deviation[:, :scale], deviation[:, -scale:], deviation[..., :scale], deviation[..., -scale:] = 0, 0, 0, 0
    row, col = max_energy_window(deviation, side)
    return (row // scale * scale, col // scale * scale), side


def _difference(pixels: np.ndarray, hr: np.ndarray) -> str:
    difference = np.abs(pixels.astype(int) - hr.astype(int)) * ERROR_GAIN
    return data_uri(difference.clip(0, 255).astype(np.uint8))


def _spread(entries: Sequence[ArmEntry], dataset: str, name: str) -> float:
    scores = [cap_psnr(_score(entry, dataset, name)["psnr"]) for entry in entries]
    return max(scores) - min(scores)


def _score(entry: ArmEntry, dataset: str, name: str) -> Mapping[str, Any]:
    return entry.arm.runs[0].results["datasets"][dataset]["images"][name]
