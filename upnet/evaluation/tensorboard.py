"""Output images of an evaluation, and its scores and images in the TensorBoard log of the run."""

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
from upnet.utils.paths import resolve_inside

OutputImage = tuple[str, str, np.ndarray]
"""Data set, image name, and output, (H, W, 3) uint8."""


class OutputImages:
    """Output hook of an evaluation: saves every output image, and keeps the first ones for TensorBoard.

    folder:   images are saved as FOLDER/DATASET/NAME.png; None saves none.
    capacity: the number of images to keep in `first`.

    An image that cannot be saved is a warning. Raises UserError for a name that leads out of the folder.

    >>> import torch
    >>> images = OutputImages(None)
    >>> images("Set5", "baby", torch.zeros(1, 4, 6))
    >>> [(dataset, name, pixels.shape) for dataset, name, pixels in images.first]
    [('Set5', 'baby', (4, 6, 3))]
    """

    def __init__(self, folder: Path | None, capacity: int = 8) -> None:
        self.folder = folder
        self.capacity = capacity
        self.first: list[OutputImage] = []

    def __call__(self, dataset: str, name: str, output: Tensor) -> None:
        """Take one output, (3 or 1, H, W) in about [0, 1]."""
        pixels = to_uint8(output.expand(3, -1, -1))
        if len(self.first) < self.capacity:
            self.first.append((dataset, name, pixels))
        if self.folder is not None:
            path = resolve_inside(self.folder, f"{dataset}/{name}.png")
            with optional_output(f"the output image {path}"):
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels).save(path)


def log_to_run(checkpoint: Path, content: Mapping[str, Any], images: Sequence[OutputImage], folder: Path) -> None:
    """Log scores and images to TensorBoard, in the run of the checkpoint.

    content: of results.json.
    folder:  where the log goes if the checkpoint is in no run folder, or the run's log is not writable.
    """
    from torch.utils.tensorboard import SummaryWriter

    run, step = checkpoint.parent.parent, int(content["step"])
    writable = checkpoint.parent.name == "checkpoints" and os.access(run / "tensorboard", os.W_OK)
    # A run may come from an untrusted source, whose links may lead anywhere.
    writable = writable and (run / "tensorboard/evaluation").resolve() == run.resolve() / "tensorboard/evaluation"
    with SummaryWriter(str((run if writable else folder) / "tensorboard" / "evaluation")) as writer:
        for dataset, scores in content["datasets"].items():
            for metric in ("psnr", "ssim", *content["measures"]):
                writer.add_scalar(f"evaluation/{dataset}/{metric}", float(scores[metric]), step)
                writer.add_scalar(f"evaluation/{dataset}/{metric}_bicubic", float(scores["baseline"][metric]), step)
            depends_on = f"{protocol_label(content)}; {footnote_with_remark(content, dataset)}"
            writer.add_text(f"evaluation/{dataset}/protocol", depends_on, step)
        for dataset, name, pixels in images:
            with optional_output(f"TensorBoard's image of {name}"):
                writer.add_image(f"evaluation/{dataset}/{name}", pixels, step, dataformats="HWC")
