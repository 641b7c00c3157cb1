"""Time of PSNR and SSIM relative to the decoding of an image.

    python benchmarks/metrics.py [rounds=9] [scale=2]

Photographs of scikit-image are cropped to 481×321 pixels, the size of BSD100's images, downscaled, and written as PNG
to a temporary folder. The columns are milliseconds per image, as medians over the rounds, with 1 and 2 threads:

    decode     decoding of the HR and the LR file
    score      PSNR and SSIM of one output on luma under rgb8
    ratio      score / decode
    bicubic    bicubic upscaling in float64, the baseline of an evaluation, which is computed once per image
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from upnet.data import Photographs
from upnet.imaging.imresize import imresize
from upnet.imaging.reading import read_rgb
from upnet.metrics import BASELINES, EvaluationProtocol
from upnet.utils.allocator import retain_malloc_blocks

NAMES = ("astronaut", "coffee", "rocket")
WIDTH, HEIGHT = 481, 321


def write_images(folder: Path, scale: int) -> list[tuple[Path, Path]]:
    """Write HR and LR files of two crops, top left and bottom right, of every photograph; return their paths."""
    files = []
    for entry in Photographs(NAMES).images():
        photograph = entry.read()
        for name, cropped in (("first", photograph[:HEIGHT, :WIDTH]), ("last", photograph[-HEIGHT:, -WIDTH:])):
            hr = np.ascontiguousarray(cropped[: HEIGHT // scale * scale, : WIDTH // scale * scale])
            pair = folder / f"{entry.name}-{name}.png", folder / f"{entry.name}-{name}x{scale}.png"
            Image.fromarray(cropped).save(pair[0])
            Image.fromarray(imresize(hr, Fraction(1, scale))).save(pair[1])
            files.append(pair)
    return files


def planes(image: np.ndarray) -> Tensor:
    """(H, W, 3) -> (3, H, W)."""
    return torch.from_numpy(np.array(image.transpose(2, 0, 1), order="C"))


def milliseconds_per_image(functions: Sequence[Callable[[int], object]], count: int, rounds: int) -> list[list[float]]:
    """Milliseconds per image of every function in every round. In each round they alternate; one round is a warm-up.

    functions: called with the number of an image, below `count`.
    """
    times: list[list[float]] = [[] for _ in functions]
    for _ in range(rounds + 1):
        for function, milliseconds in zip(functions, times, strict=True):
            start = time.perf_counter()
            for number in range(count):
                function(number)
            milliseconds.append(1000 * (time.perf_counter() - start) / count)
    return [milliseconds[1:] for milliseconds in times]


def main(arguments: Sequence[str]) -> None:
    """Print one row for one thread, and one for two."""
    settings = {"rounds": 9, "scale": 2}
    settings |= {name: int(value) for name, _, value in (argument.partition("=") for argument in arguments)}
    rounds, scale, protocol = settings["rounds"], settings["scale"], EvaluationProtocol()
    retain_malloc_blocks()  # as evaluate.py and train.py do
    with tempfile.TemporaryDirectory() as folder:
        files = write_images(Path(folder), scale)
        targets = [planes(read_rgb(hr))[:, : HEIGHT // scale * scale, : WIDTH // scale * scale] for hr, _ in files]
        inputs = [planes(read_rgb(lr)) for _, lr in files]
        outputs = [BASELINES["bicubic"](lr, scale).to(torch.float32) for lr in inputs]
        print(f"{len(files)} images of {WIDTH}×{HEIGHT}, ×{scale}; milliseconds per image")
        print("threads  decode   score   ratio  bicubic")
        for threads in (1, 2):
            torch.set_num_threads(threads)
            functions = (
                lambda n: [planes(read_rgb(path)) for path in files[n]],
                lambda n: protocol.evaluate(outputs[n], targets[n], scale),
                lambda n: BASELINES["bicubic"](inputs[n], scale),
            )
            decode, score, bicubic = milliseconds_per_image(functions, len(files), rounds)
            ratio = statistics.median(s / d for s, d in zip(score, decode, strict=True))
            medians = [statistics.median(times) for times in (decode, score, bicubic)]
            print(f"{threads:7d} {medians[0]:7.2f} {medians[1]:7.2f} {ratio:7.2f} {medians[2]:8.2f}")


if __name__ == "__main__":
    main(sys.argv[1:])
