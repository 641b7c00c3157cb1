"""Speed of imresize relative to Pillow's bicubic and torch's antialiased bicubic: `python benchmarks/imresize.py`.

Each row is one scale for a uint8 RGB image: 2040x1356 pixels for downscaling, 1020x678 for upscaling. Times are medians
in ms over the rounds; in each round the three functions alternate, so that other load slows all of them equally.
The columns "upnet /" are ratios of times: below 1, upnet is faster. Pillow computes in 8-bit fixed point, and torch in
float32 on planes. The last two columns are the fraction of values in which their output differs from upnet's, which
equals MATLAB's.
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
    image = np.stack(channels, axis=-1)
    return (128 + 50 * image / image.std()).clip(0, 255).astype(np.uint8)


def measure(functions: list[Callable[[], object]], rounds: int) -> list[float]:
    """Median milliseconds of each function. In each round they alternate; one call of each is a warm-up."""
    times: list[list[float]] = [[] for _ in functions]
    for function in functions:
        function()
    for _ in range(rounds):
        for function, milliseconds in zip(functions, times, strict=True):
            start = time.perf_counter()
            function()
            milliseconds.append(1000 * (time.perf_counter() - start))
    return [statistics.median(milliseconds) for milliseconds in times]


def compare(scale: Fraction, rounds: int) -> str:
    """The row of a scale."""
    array = photograph(1356, 2040) if scale < 1 else photograph(678, 1020)
    image = Image.fromarray(array)
    planes = torch.from_numpy(array).permute(2, 0, 1).contiguous()[None].float()
    height, width = imresize(array, scale).shape[:2]

    def upnet() -> np.ndarray:
        return imresize(array, scale)

    def pillow() -> np.ndarray:
        return np.asarray(image.resize((width, height), Image.Resampling.BICUBIC))

    def antialiased() -> torch.Tensor:
        return torch.nn.functional.interpolate(planes, size=[height, width], mode="bicubic", antialias=True)

    upnet_ms, pillow_ms, torch_ms = measure([upnet, pillow, antialiased], rounds)
    exact = upnet()
    torch_pixels = antialiased()[0].round().clamp(0, 255).byte().permute(1, 2, 0).numpy()
    differing = [f"{np.mean(exact != other):10.2%}" for other in (pillow(), torch_pixels)]
    times = f"{upnet_ms:9.1f} {pillow_ms:9.1f} {torch_ms:9.1f}"
    return f"{scale!s:>6} {times} {upnet_ms / pillow_ms:10.2f} {upnet_ms / torch_ms:9.2f} {' '.join(differing)}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="number of torch's threads")
    parser.add_argument("--rounds", type=int, default=11, help="number of calls of each function")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(
        f"{platform.machine()}, torch {torch.__version__} on {options.threads} threads, Pillow {PIL.__version__} on 1"
    )
    print(f"{'':6} {'upnet':>9} {'Pillow':>9} {'torch':>9} {'upnet /':>10} {'upnet /':>9}  differing from upnet")
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
        print(compare(scale, options.rounds))


if __name__ == "__main__":
    main()
