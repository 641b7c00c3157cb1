"""What a picture's PSNR and SSIM cost beside decoding it: python benchmarks/metrics.py

Photographs of scikit-image, cropped to 481×321 as the pictures of BSD100 are, with their ×2 LR, written as PNG into a
temporary folder. Milliseconds per picture, medians over rounds that take all of them in turn:

    decode     the HR and the LR file
    score      PSNR and SSIM on luma under rgb8, of one output
    ratio      score / decode: below 1, a benchmark costs less in metrics than in decoding
    bicubic    the baseline's enlargement in float64, which stands beside every network and is done once

    python benchmarks/metrics.py rounds=9 scale=2
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


def write_pictures(folder: Path, scale: int) -> list[tuple[Path, Path]]:
    """HR and LR files of two opposite corners of every photograph that is large enough."""
    files = []
    for entry in Photographs(NAMES).images():
        whole = entry.read()
        for name, cropped in (("first", whole[:HEIGHT, :WIDTH]), ("last", whole[-HEIGHT:, -WIDTH:])):
            hr = np.ascontiguousarray(cropped[: HEIGHT // scale * scale, : WIDTH // scale * scale])
            pair = folder / f"{entry.name}-{name}.png", folder / f"{entry.name}-{name}x{scale}.png"
            Image.fromarray(cropped).save(pair[0])
            Image.fromarray(imresize(hr, Fraction(1, scale))).save(pair[1])
            files.append(pair)
    return files


def planes(picture: np.ndarray) -> Tensor:
    """(H, W, 3) -> (3, H, W)."""
    return torch.from_numpy(np.array(picture.transpose(2, 0, 1), order="C"))


def per_picture(calls: Sequence[Callable[[int], object]], pictures: int, rounds: int) -> list[list[float]]:
    """Milliseconds per picture of every call in every round. The calls take turns, and a first round warms up."""
    times: list[list[float]] = [[] for _ in calls]
    for _ in range(rounds + 1):
        for call, own in zip(calls, times, strict=True):
            started = time.perf_counter()
            for number in range(pictures):
                call(number)
            own.append(1000 * (time.perf_counter() - started) / pictures)
    return [own[1:] for own in times]


def main(words: Sequence[str]) -> None:
    """Print one row for one thread, and one for two."""
    settings = {"rounds": 9, "scale": 2} | {name: int(value) for name, _, value in (w.partition("=") for w in words)}
    rounds, scale, protocol = settings["rounds"], settings["scale"], EvaluationProtocol()
    retain_malloc_blocks()  # as evaluate.py and train.py do
    with tempfile.TemporaryDirectory() as folder:
        files = write_pictures(Path(folder), scale)
        targets = [planes(read_rgb(hr))[:, : HEIGHT // scale * scale, : WIDTH // scale * scale] for hr, _ in files]
        smalls = [planes(read_rgb(lr)) for _, lr in files]
        outputs = [BASELINES["bicubic"](small, scale).to(torch.float32) for small in smalls]
        print(f"{len(files)} pictures of {WIDTH}×{HEIGHT}, ×{scale}; milliseconds per picture")
        print("threads  decode   score   ratio  bicubic")
        for threads in (1, 2):
            torch.set_num_threads(threads)
            calls = (
                lambda n: [planes(read_rgb(path)) for path in files[n]],
                lambda n: protocol.evaluate(outputs[n], targets[n], scale),
                lambda n: BASELINES["bicubic"](smalls[n], scale),
            )
            decode, score, bicubic = per_picture(calls, len(files), rounds)
            ratio = statistics.median(s / d for s, d in zip(score, decode, strict=True))
            told = [statistics.median(times) for times in (decode, score)]
            print(f"{threads:7d} {told[0]:7.2f} {told[1]:7.2f} {ratio:7.2f} {statistics.median(bicubic):8.2f}")


if __name__ == "__main__":
    main(sys.argv[1:])
