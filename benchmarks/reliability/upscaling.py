"""Upscaling of a folder with images of many kinds: completeness, order and memory. For Linux.

    python benchmarks/reliability/upscaling.py [--count 200] [--side 500] [--json FILE]

Images of 32 kinds alternate: modes 1, L, LA, P with and without transparency, RGB, RGBA and CMYK; 8 and 16 bits; PNG,
JPEG, TIFF, WebP and BMP; all eight EXIF orientations; sides of 1 to `--side` pixels. `evaluate.py input=FOLDER`
upscales them in a separate process by a small network with random weights. Each output must have the name of its input,
twice the size, the orientation as displayed, and the same channels and bit depth; outputs must be written in the order
of the names. The resident memory must not grow with the number of images.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from PIL import Image
from scipy import stats

from upnet.checkpoint import describe
from upnet.config import build
from upnet.imaging.image import RasterImage
from upnet.imaging.reading import read_image
from upnet.imaging.writing import write_image
from upnet.training.ema import EMA

ROOT = Path(__file__).resolve().parent.parent.parent
SCALE = 2


@dataclass(frozen=True)
class Kind:
    """A kind of image file, and what its output must have.

    mode:           Pillow's mode; `16x3` for 3 channels of 16 bits, which Pillow can't write.
    channels, bits: of the output.
    orientation:    EXIF orientation, 1 to 8.
    """

    mode: str
    suffix: str
    channels: int
    bits: int = 8
    orientation: int = 1


KINDS = (
    *(Kind(mode, suffix, 1) for mode, suffix in (("1", "png"), ("L", "png"), ("L", "jpg"), ("L", "tif"), ("1", "tif"))),
    *(Kind("RGB", suffix, 3) for suffix in ("png", "jpg", "tif", "bmp", "webp")),
    *(Kind(mode, "png", channels) for mode, channels in (("LA", 2), ("P", 3), ("RGBA", 4))),
    *(Kind("RGBA", suffix, 4) for suffix in ("webp", "tif")),
    Kind("P transparent", "png", 4),
    Kind("CMYK", "jpg", 3),
    Kind("CMYK", "tif", 3),
    Kind("I;16", "png", 1, 16),
    *(Kind(f"16x{channels}", suffix, channels, 16) for channels in (2, 3, 4) for suffix in ("png", "tif")),
    *(Kind("RGB", "jpg", 3, orientation=orientation) for orientation in range(2, 9)),
)


def paint(folder: Path, count: int, side: int) -> dict[str, tuple[Kind, tuple[int, int]]]:
    """Write the images, and return their kinds and sizes (W, H) as displayed, by name."""
    rng, images = np.random.default_rng(0), {}
    folder.mkdir()
    small_sizes = [(1, 1), (1, 37), (53, 1), (2, 3), (5, 5)]
    for number in range(count):
        kind = KINDS[number % len(KINDS)]
        is_small = number < len(small_sizes)
        width, height = small_sizes[number] if is_small else (int(rng.integers(1, side)) for _ in "wh")
        name = f"{number:04}-{kind.mode.replace(' ', '-').replace(';', '')}.{kind.suffix}"
        _write(folder / name, kind, width, height, rng)
        images[name] = kind, (height, width) if kind.orientation > 4 else (width, height)
    return images


def _write(path: Path, kind: Kind, width: int, height: int, rng: np.random.Generator) -> None:
    if kind.mode.startswith("16x"):
        samples = rng.integers(0, 2**16, (height, width, kind.channels), dtype=np.uint16)
        write_image(RasterImage(samples[..., 0] if kind.channels == 1 else samples), path)
        return
    if kind.mode == "I;16":
        Image.fromarray(rng.integers(0, 2**16, (height, width), dtype=np.uint16)).save(path)
        return
    coarse = rng.integers(0, 256, (8, 8, 4), dtype=np.uint8)
    image = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
    mode, options = kind.mode.partition(" ")[0], {}
    image = image if mode in ("RGBA", "LA") else image.convert("RGB")
    if kind.mode == "P transparent":
        options["transparency"] = 0
    if kind.orientation > 1:
        exif = Image.Exif()
        exif[0x0112] = kind.orientation
        options["exif"] = exif
    image.convert(mode).save(path, **options)


def write_checkpoint(path: Path) -> None:
    """Write the checkpoint of a small network with random weights."""
    with initialize_config_dir(str(ROOT / "configs"), version_base="1.3"):
        config = compose("train", ["model=edsr", "model.encoder.width=16", "model.block.blocks=2", f"scale={SCALE}"])
    model = OmegaConf.to_container(config.model, resolve=True)
    assert isinstance(model, dict)
    torch.manual_seed(0)
    net = build(config.model)
    state = {f"net.{key}": value for key, value in net.state_dict().items()}
    state |= {f"ema.net.{key}": value for key, value in EMA(net, 0.9).net.state_dict().items()}
    metadata = describe({str(key): value for key, value in model.items()}, {}, SCALE, 1)
    torch.save({"upnet": metadata, "state_dict": state}, path)


def run(folder: Path, images: Path, out: Path) -> tuple[int, str, list[tuple[int, float]]]:
    """Run the command; its exit code, its output, and samples of (images written, resident memory in MiB)."""
    arguments = [
        f"checkpoint={folder / 'net.ckpt'}",
        f"input={images}",
        f"output={out}",
        f"hydra.run.dir={folder / 'run'}",
    ]
    samples: list[tuple[int, float]] = []
    with (folder / "output.txt").open("w+") as output:
        command = [sys.executable, str(ROOT / "evaluate.py"), *arguments]
        process = subprocess.Popen(command, stdout=output, stderr=output, cwd=folder)
        while process.poll() is None:
            written = sum(name.endswith(".png") for name in os.listdir(out)) if out.is_dir() else 0
            status = Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8")
            resident = [line.split()[1] for line in status.splitlines() if line.startswith("VmRSS")]
            if written and resident:
                samples.append((written, int(resident[0]) / 1024))
            time.sleep(0.05)
        output.seek(0)
        return process.returncode, output.read(), samples


def faults(out: Path, images: dict[str, tuple[Kind, tuple[int, int]]]) -> list[str]:
    """A sentence for every output that is missing or wrong, and on a wrong order or unexpected files.

    images: as `paint` returns them.
    """
    sentences: list[str] = []
    outputs = {name: out / f"{Path(name).stem}.png" for name in images}
    for name, path in outputs.items():
        kind, (width, height) = images[name]
        if not path.is_file():
            sentences.append(f"{name} has no output")
            continue
        image = read_image(path)
        channels = 1 if image.samples.ndim == 2 else image.samples.shape[2]
        actual = image.size, channels, 8 * image.samples.itemsize
        if actual != ((SCALE * width, SCALE * height), kind.channels, kind.bits):
            sentences.append(f"the output of {name} has size, channels and bits {actual}")
    times = [path.stat().st_mtime_ns for path in outputs.values() if path.is_file()]
    if times != sorted(times):
        sentences.append("the outputs were not written in the order of their names")
    if extra := {path.name for path in out.iterdir()} - {path.name for path in outputs.values()}:
        sentences.append(f"unexpected files: {sorted(extra)[:5]}")
    return sentences


def memory(samples: Sequence[tuple[int, float]], count: int) -> dict[str, Any]:
    """Resident memory in MiB, first, last and peak, and its slope per 100 images with the 95 % interval.

    The process keeps the memory of its largest image, and grows until that image was upscaled. Therefore the slope is
    that of the second half.
    """
    values: dict[str, Any] = {"first": samples[0][1], "last": samples[-1][1], "peak": max(mib for _, mib in samples)}
    second_half = dict(sample for sample in samples if sample[0] >= count / 2)  # the last sample of every image
    if len(second_half) > 2:
        line: Any = stats.linregress(list(second_half), list(second_half.values()))
        half_width = float(stats.t.ppf(0.975, len(second_half) - 2) * line.stderr)
        slope = float(line.slope)
        values["per_100_images"] = [100 * value for value in (slope, slope - half_width, slope + half_width)]
    return values


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=200, help="number of images")
    parser.add_argument("--side", type=int, default=500, help="largest side of an image in pixels")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the results to this file")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        images, out = paint(folder / "images", options.count, options.side), folder / "outputs"
        write_checkpoint(folder / "net.ckpt")
        start = time.perf_counter()
        exit_code, output, samples = run(folder, folder / "images", out)
        seconds = time.perf_counter() - start
        failures = faults(out, images) if out.is_dir() else ["nothing was written"]
    failures += [f"exit code {exit_code}: {output}"] if exit_code else []
    results = {"images": options.count, "kinds": len(KINDS), "seconds": seconds, "faults": failures}
    results["MiB"] = memory(samples, options.count) if samples else {}
    print(f"{options.count} images of {len(KINDS)} kinds in {seconds:.0f} s, {len(failures)} failures")
    print("\n".join(failures))
    print("MiB: " + ", ".join(f"{name} {value}" for name, value in results["MiB"].items()))
    if options.json:
        options.json.write_text(json.dumps({**results, "samples": samples}, indent=2) + "\n", encoding="utf-8")
    return 1 if failures else 0


if __name__ == "__main__":
    raise SystemExit(main())
