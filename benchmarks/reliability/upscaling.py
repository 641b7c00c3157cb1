"""A folder of every kind of picture through `evaluate.py input=FOLDER`: memory, order, and none lost.

    python benchmarks/reliability/upscaling.py [--count 200] [--side 500] [--json FILE]

Linux. Pictures of 32 kinds take turns: modes 1, L, LA, P with and without transparency, RGB, RGBA, CMYK; 8 and 16
bits; PNG, JPEG, TIFF, WebP and BMP; all eight EXIF orientations; sides from 1 pixel on, odd ones among them, up to
`--side`. A small network of fresh weights enlarges them by the real command, in a process of its own. Every picture has
to come out under its name, twice as large and upright, with grey, alpha and bits kept, in the order of the names; and
the resident memory has to depend on the sizes of the pictures, and not on how many came before.
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
    """How a picture is stored, and what its larger picture has to be: (H, W) or (H, W, channels), of so many bits.

    mode: Pillow's; `16x3` for what Pillow can't write: 3 channels of 16 bits.
    """

    mode: str
    suffix: str
    channels: int
    bits: int = 8
    turn: int = 1


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
    *(Kind("RGB", "jpg", 3, turn=turn) for turn in range(2, 9)),
)


def paint(folder: Path, count: int, side: int) -> dict[str, tuple[Kind, tuple[int, int]]]:
    """Write the pictures; name -> what it is, and its (W, H) as it is seen."""
    rng, made = np.random.default_rng(0), {}
    folder.mkdir()
    odd = [(1, 1), (1, 37), (53, 1), (2, 3), (5, 5)]
    for number in range(count):
        kind = KINDS[number % len(KINDS)]
        width, height = odd[number] if number < len(odd) else (int(rng.integers(1, side)) for _ in "wh")
        name = f"{number:04}-{kind.mode.replace(' ', '-').replace(';', '')}.{kind.suffix}"
        _write(folder / name, kind, width, height, rng)
        made[name] = kind, (height, width) if kind.turn > 4 else (width, height)
    return made


def _write(path: Path, kind: Kind, width: int, height: int, rng: np.random.Generator) -> None:
    if kind.mode.startswith("16x"):
        deep = rng.integers(0, 2**16, (height, width, kind.channels), dtype=np.uint16)
        write_image(RasterImage(deep[..., 0] if kind.channels == 1 else deep), path)
        return
    if kind.mode == "I;16":
        Image.fromarray(rng.integers(0, 2**16, (height, width), dtype=np.uint16)).save(path)
        return
    coarse = rng.integers(0, 256, (8, 8, 4), dtype=np.uint8)
    picture = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
    mode, options = kind.mode.partition(" ")[0], {}
    picture = picture if mode in ("RGBA", "LA") else picture.convert("RGB")
    if kind.mode == "P transparent":
        options["transparency"] = 0
    if kind.turn > 1:
        exif = Image.Exif()
        exif[0x0112] = kind.turn
        options["exif"] = exif
    picture.convert(mode).save(path, **options)


def write_checkpoint(path: Path) -> None:
    """A small network of fresh weights."""
    with initialize_config_dir(str(ROOT / "configs"), version_base="1.3"):
        config = compose("train", ["model=edsr", "model.encoder.width=16", "model.block.blocks=2", f"scale={SCALE}"])
    plain = OmegaConf.to_container(config.model, resolve=True)
    assert isinstance(plain, dict)
    torch.manual_seed(0)
    net = build(config.model)
    state = {f"net.{key}": value for key, value in net.state_dict().items()}
    state |= {f"ema.net.{key}": value for key, value in EMA(net, 0.9).net.state_dict().items()}
    told = describe({str(key): value for key, value in plain.items()}, {}, SCALE, 1)
    torch.save({"upnet": told, "state_dict": state}, path)


def run(folder: Path, pictures: Path, out: Path) -> tuple[int, str, list[tuple[int, float]]]:
    """The command: its exit code, its words, and (pictures written, resident MiB) over time."""
    words = [
        f"checkpoint={folder / 'net.ckpt'}",
        f"input={pictures}",
        f"output={out}",
        f"hydra.run.dir={folder / 'run'}",
    ]
    samples: list[tuple[int, float]] = []
    with (folder / "told.txt").open("w+") as told:
        command = [sys.executable, str(ROOT / "evaluate.py"), *words]
        process = subprocess.Popen(command, stdout=told, stderr=told, cwd=folder)
        while process.poll() is None:
            written = sum(name.endswith(".png") for name in os.listdir(out)) if out.is_dir() else 0
            status = Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8")
            resident = [line.split()[1] for line in status.splitlines() if line.startswith("VmRSS")]
            if written and resident:
                samples.append((written, int(resident[0]) / 1024))
            time.sleep(0.05)
        told.seek(0)
        return process.returncode, told.read(), samples


def faults(out: Path, made: dict[str, tuple[Kind, tuple[int, int]]]) -> list[str]:
    """A sentence for every picture that is missing, or isn't what it should be, or came out of order."""
    found: list[str] = []
    larger = {name: out / f"{Path(name).stem}.png" for name in made}
    for name, path in larger.items():
        kind, (width, height) = made[name]
        if not path.is_file():
            found.append(f"{name} is lost")
            continue
        picture = read_image(path)
        channels = 1 if picture.samples.ndim == 2 else picture.samples.shape[2]
        got = picture.size, channels, 8 * picture.samples.itemsize
        if got != ((SCALE * width, SCALE * height), kind.channels, kind.bits):
            found.append(f"{name} came out as {got}")
    times = [path.stat().st_mtime_ns for path in larger.values() if path.is_file()]
    if times != sorted(times):
        found.append("the pictures weren't written in the order of their names")
    if extra := {path.name for path in out.iterdir()} - {path.name for path in larger.values()}:
        found.append(f"beside them lie {sorted(extra)[:5]}")
    return found


def memory(samples: Sequence[tuple[int, float]], count: int) -> dict[str, Any]:
    """MiB at first, at last and at most, and the slope per 100 pictures over the second half, with its 95 % interval.

    The process holds on to the memory that its largest picture took, so that it grows until that has come.
    """
    told: dict[str, Any] = {"first": samples[0][1], "last": samples[-1][1], "most": max(mib for _, mib in samples)}
    late = dict(sample for sample in samples if sample[0] >= count / 2)  # the last sample of every picture
    if len(late) > 2:
        line: Any = stats.linregress(list(late), list(late.values()))
        reach = float(stats.t.ppf(0.975, len(late) - 2) * line.stderr)
        slope = float(line.slope)
        told["per_100_pictures"] = [100 * value for value in (slope, slope - reach, slope + reach)]
    return told


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=200, help="of the pictures")
    parser.add_argument("--side", type=int, default=500, help="of the largest in pixels")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where the figures go")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        made = paint(folder / "pictures", given.count, given.side)
        write_checkpoint(folder / "net.ckpt")
        start = time.perf_counter()
        code, told, samples = run(folder, folder / "pictures", folder / "larger")
        seconds = time.perf_counter() - start
        found = faults(folder / "larger", made) if (folder / "larger").is_dir() else ["nothing was written"]
    found += [f"exit code {code}: {told}"] if code else []
    figures = {"pictures": given.count, "kinds": len(KINDS), "seconds": seconds, "faults": found}
    figures["MiB"] = memory(samples, given.count) if samples else {}
    print(f"{given.count} pictures of {len(KINDS)} kinds in {seconds:.0f} s, faults: {len(found)}")
    print("\n".join(found))
    print("MiB: " + ", ".join(f"{name} {value}" for name, value in figures["MiB"].items()))
    if given.json:
        given.json.write_text(json.dumps({**figures, "samples": samples}, indent=2) + "\n", encoding="utf-8")
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main())
