"""Speed of imresize beside Pillow's bicubic and torch's antialiased bicubic: `python benchmarks/imresize.py`.

Every row is one resizing of a uint8 RGB picture, 2040x1356 when it is reduced and 1020x678 when it is enlarged. The
three take turns, so that a disturbance hits them all; the time is the median over the rounds. Pillow works in 8-bit
fixed point and torch in float32 on planes; the last two columns count the values in which they differ from MATLAB's.
"""

import argparse
import platform
import statistics
import time
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import PIL
import torch
from PIL import Image

from upnet.imaging.imresize import imresize


def photograph(height: int, width: int) -> np.ndarray:
    """(H, W, 3) uint8 with the 1/f spectrum of photographs."""
    rng = np.random.default_rng(0)
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)) + 1 / width
    channels = [
        np.fft.irfft2(np.fft.rfft2(rng.normal(size=(height, width))) / frequency, (height, width)) for _ in "rgb"
    ]
    picture = np.stack(channels, axis=-1)
    return (128 + 50 * picture / picture.std()).clip(0, 255).astype(np.uint8)


def measure(candidates: list[Callable[[], object]], rounds: int) -> list[float]:
    """Median milliseconds of each candidate, taken in turns after one call to warm up."""
    times: list[list[float]] = [[] for _ in candidates]
    for candidate in candidates:
        candidate()
    for _ in range(rounds):
        for candidate, record in zip(candidates, times, strict=True):
            start = time.perf_counter()
            candidate()
            record.append(1000 * (time.perf_counter() - start))
    return [statistics.median(record) for record in times]


def compare(scale: Fraction, rounds: int) -> str:
    array = photograph(1356, 2040) if scale < 1 else photograph(678, 1020)
    picture = Image.fromarray(array)
    planes = torch.from_numpy(array).permute(2, 0, 1).contiguous()[None].float()
    height, width = imresize(array, scale).shape[:2]

    def ours() -> np.ndarray:
        return imresize(array, scale)

    def pillow() -> np.ndarray:
        return np.asarray(picture.resize((width, height), Image.Resampling.BICUBIC))

    def antialiased() -> torch.Tensor:
        return torch.nn.functional.interpolate(planes, size=[height, width], mode="bicubic", antialias=True)

    a, b, c = measure([ours, pillow, antialiased], rounds)
    exact = ours()
    bytes_of_torch = antialiased()[0].round().clamp(0, 255).byte().permute(1, 2, 0).numpy()
    differing = [f"{np.mean(exact != other):10.2%}" for other in (pillow(), bytes_of_torch)]
    return f"{scale!s:>6} {a:9.1f} {b:9.1f} {c:9.1f} {a / b:10.2f} {a / c:9.2f} {' '.join(differing)}"


def main() -> None:
    parser = argparse.ArgumentParser(description="Time imresize beside Pillow's and torch's bicubic.")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="torch's threads")
    parser.add_argument("--rounds", type=int, default=11, help="calls of each")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    print(
        f"{platform.machine()}, torch {torch.__version__} on {arguments.threads} threads, Pillow {PIL.__version__} on 1"
    )
    print(f"{'':6} {'ours':>9} {'Pillow':>9} {'torch':>9} {'ours to':>10} {'ours to':>9}  differing from ours")
    print(f"{'scale':>6} {'ms':>9} {'ms':>9} {'ms':>9} {'Pillow':>10} {'torch':>9} {'Pillow':>10} {'torch':>10}")
    for scale in (
        Fraction(1, 2),
        Fraction(1, 3),
        Fraction(1, 4),
        Fraction(2),
        Fraction(3),
        Fraction(4),
        Fraction(3, 2),
    ):
        print(compare(scale, arguments.rounds))


if __name__ == "__main__":
    main()
