"""The same details from every arm, where the arms differ most."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from upnet.data import Store
from upnet.evaluation.figures import CROP_SIZE, Crop, max_energy_window, to_uint8
from upnet.inference.tensor import upscale_tensor
from upnet.metrics import cap_psnr
from upnet.models import EncoderDecoder
from upnet.study.report.arms import ArmEntry
from upnet.study.report.images import data_uri

GAIN = 4
"""What differences from HR are multiplied by."""

PER_SET, MOST = 2, 4
"""How many pictures of one data set, and of all."""


@dataclass(frozen=True)
class Tile:
    """One version of a detail: the picture and its difference from HR as data URIs; psnr in dB of the whole picture."""

    name: str
    picture: str
    difference: str | None = None
    psnr: float | None = None


@dataclass(frozen=True)
class DetailView:
    """A detail of one picture, and where it lies: x, y of its top left corner and its side, in HR pixels."""

    dataset: str
    picture: str
    seed: int
    place: tuple[int, int, int]
    spread: float
    tiles: Sequence[Tile]


def detail_views(
    entries: Sequence[ArmEntry], nets: Sequence[EncoderDecoder], stores: Mapping[str, Store]
) -> list[DetailView]:
    """Details by the first seed of every arm, of the pictures on which the arms' PSNR is farthest apart."""
    found: list[DetailView] = []
    for dataset, store in stores.items():
        spreads = {index: _spread(entries, dataset, name) for index, name in enumerate(store.names)}
        told = sorted((index for index, spread in spreads.items() if spread is not None), key=lambda i: -spreads[i])
        found += [_look(entries, nets, dataset, store, index, spreads[index]) for index in told[:PER_SET]]
        if len(found) >= MOST:
            break
    return found[:MOST]


def _look(
    entries: Sequence[ArmEntry],
    nets: Sequence[EncoderDecoder],
    dataset: str,
    store: Store,
    index: int,
    spread: float,
) -> DetailView:
    name, scale = store.names[index], nets[0].scale
    lr = torch.from_numpy(np.array(store.lr(index))).movedim(-1, 0) / 255
    outputs = [upscale_tensor(net, lr).cpu() for net in nets]
    corner, side = _corner(outputs, scale)
    detail = Crop(np.array(store.lr(index)), np.array(store.hr(index)), corner, side, scale)
    top, left = corner
    made = [to_uint8(output)[top : top + side, left : left + side] for output in outputs]
    baseline = _score(entries[0], dataset, name)["baseline"]
    tiles = [
        Tile("HR", data_uri(detail.hr)),
        Tile(f"LR, reduced by {scale}", data_uri(detail.lr)),
        Tile(
            "bicubic, no network",
            data_uri(detail.bicubic),
            _difference(detail.bicubic, detail.hr),
            float(baseline["psnr"]),
        ),
    ]
    for entry, cut in zip(entries, made, strict=True):
        psnr = float(_score(entry, dataset, name)["psnr"])
        tiles.append(Tile(entry.name, data_uri(cut), _difference(cut, detail.hr), psnr))
    return DetailView(dataset, name, int(entries[0].arm.runs[0].results["seed"]), (left, top, side), spread, tiles)


def _corner(outputs: Sequence[torch.Tensor], scale: int) -> tuple[tuple[int, int], int]:
    """Where the outputs differ most from their own mean, on the LR grid, and the side of the window."""
    stacked = torch.stack([output.clamp(0, 1) for output in outputs])
    side = min(CROP_SIZE, *stacked.shape[-2:]) // scale * scale
    deviation = (stacked - stacked.mean(0)).square().mean(0).sqrt()
    # The border, which no protocol scores.
    deviation[:, :scale], deviation[:, -scale:], deviation[..., :scale], deviation[..., -scale:] = 0, 0, 0, 0
    row, col = max_energy_window(deviation, side)
    return (row // scale * scale, col // scale * scale), side


def _difference(made: np.ndarray, hr: np.ndarray) -> str:
    apart = np.abs(made.astype(int) - hr.astype(int)) * GAIN
    return data_uri(apart.clip(0, 255).astype(np.uint8))


def _spread(entries: Sequence[ArmEntry], dataset: str, name: str) -> float:
    scores = [cap_psnr(_score(entry, dataset, name)["psnr"]) for entry in entries]
    return max(scores) - min(scores)


def _score(entry: ArmEntry, dataset: str, name: str) -> Mapping:
    return entry.arm.runs[0].results["datasets"][dataset]["images"][name]
