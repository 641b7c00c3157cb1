"""What becomes of the pictures and numbers of an evaluation: files, and TensorBoard beside the run they belong to."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor

from upnet.evaluation.compatibility import footnote_with_remark, protocol_label
from upnet.evaluation.figures import to_uint8
from upnet.evaluation.optional_output import optional_output
from upnet.evaluation.scoring import OutputHook
from upnet.utils.paths import resolve_inside

SHOWN = 8
"""How many output pictures of an evaluation go to TensorBoard."""

Kept = tuple[str, str, np.ndarray]
"""Data set, picture, and its output, (H, W, 3) uint8."""


def keep_pictures(folder: Path | None, kept: list[Kept]) -> OutputHook:
    """Save every output picture below the folder, if there is one; keep the first ones for TensorBoard.

    A picture that can't be saved is a warning, not an error. Raises ValueError where a name leads out of the folder.
    """

    def keep(dataset: str, name: str, output: Tensor) -> None:
        picture = to_uint8(output.expand(3, -1, -1))
        if len(kept) < SHOWN:
            kept.append((dataset, name, picture))
        if folder is not None:
            path = resolve_inside(folder, f"{dataset}/{name}.png")
            with optional_output(f"the output image {path}"):
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(picture).save(path)

    return keep


def log_to_run(checkpoint: Path, content: Mapping[str, Any], kept: Sequence[Kept], folder: Path) -> None:
    """Numbers and pictures into TensorBoard beside the run they belong to; in `folder` where there is no such run."""
    from torch.utils.tensorboard import SummaryWriter

    run, step = checkpoint.parent.parent, int(content["step"])
    writable = checkpoint.parent.name == "checkpoints" and os.access(run / "tensorboard", os.W_OK)
    # A run may come from a stranger, whose links lead elsewhere.
    writable = writable and (run / "tensorboard/evaluation").resolve() == run.resolve() / "tensorboard/evaluation"
    with SummaryWriter(str((run if writable else folder) / "tensorboard" / "evaluation")) as writer:
        for name, told in content["datasets"].items():
            for what in ("psnr", "ssim", *content["measures"]):
                writer.add_scalar(f"evaluation/{name}/{what}", float(told[what]), step)
                writer.add_scalar(f"evaluation/{name}/{what}_bicubic", float(told["baseline"][what]), step)
            depends_on = f"{protocol_label(content)}; {footnote_with_remark(content, name)}"
            writer.add_text(f"evaluation/{name}/protocol", depends_on, step)
        for dataset, name, picture in kept:
            with optional_output(f"TensorBoard's image of {name}"):
                writer.add_image(f"evaluation/{dataset}/{name}", picture, step, dataformats="HWC")
