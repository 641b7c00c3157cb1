"""The same detail from every arm of a study."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from upnet.data import Store
from upnet.evaluation.compatibility import protocol_label
from upnet.evaluation.figure_text import apply_fallback_fonts, no_math_text
from upnet.evaluation.figures import Crop
from upnet.metrics import cap_psnr
from upnet.study.run_table import Arm
from upnet.utils.atomic_io import atomic_write

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLUMNS = 4


def draw_study(arms: Sequence[Arm], sets: Mapping[str, Store], path: Path) -> None:
    """A PNG: one detail of a photograph as HR, bicubic and every arm's first seed, each with that picture's PSNR.

    Shown is the picture of the first set in which the arms differ most.
    """
    dataset, store = next(iter(sets.items()))
    index = _telling(arms, dataset, store)
    name = store.names[index]
    detail = Crop.hardest_for_bicubic(store, index, arms[0].network.scale)
    told = arms[0].runs[0].results["datasets"][dataset]["images"][name]["baseline"]
    tiles = [("HR", detail.hr), (f"interpolated by bicubic  {float(told['psnr']):.2f} dB", detail.bicubic)]
    for arm in arms:
        psnr = float(arm.runs[0].results["datasets"][dataset]["images"][name]["psnr"])
        with torch.no_grad():
            tiles.append((f"{arm.name}  {psnr:.2f} dB", detail.output_of(arm.network)))

    with no_math_text():
        figure = _board(f"{dataset}: {name}   ({protocol_label(arms[0].runs[0].results)})", tiles)
    apply_fallback_fonts(figure)
    png = io.BytesIO()
    figure.savefig(png, format="png", dpi=130)
    atomic_write(png.getvalue(), path)


def _board(heading: str, tiles: Sequence[tuple[str, np.ndarray]]) -> "Figure":
    """Pictures under their titles."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = -(-len(tiles) // COLUMNS)
    figure = Figure(figsize=(3.1 * COLUMNS, 3.3 * rows + 0.3), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    figure.suptitle(heading, fontsize=11)
    axes = figure.subplots(rows, COLUMNS, squeeze=False).ravel()
    for axis in axes:
        axis.set_axis_off()
    for axis, (title, picture) in zip(axes, tiles, strict=False):
        axis.imshow(picture, interpolation="nearest")
        axis.set_title(title, fontsize=9)
    return figure


def _telling(arms: Sequence[Arm], dataset: str, store: Store) -> int:
    def spread(name: str) -> float:
        scores = [cap_psnr(arm.runs[0].results["datasets"][dataset]["images"][name]["psnr"]) for arm in arms]
        return max(scores) - min(scores)

    return max(range(len(store)), key=lambda index: spread(store.names[index]))
