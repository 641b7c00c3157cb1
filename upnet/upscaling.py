"""Picture files in, larger picture files out."""

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from omegaconf import DictConfig
from PIL import Image, ImageOps
from tqdm import tqdm

from upnet.data import SUFFIXES
from upnet.evaluating import listed, pick_device
from upnet.upscaler import Upscaler, load


class UpscalingError(RuntimeError):
    """Some pictures could not be upscaled; the message lists them. The others are done."""


def upscale(config: DictConfig) -> None:
    """evaluate.py with `input`: upscale by one checkpoint, and say where the pictures went.

    Raises ValueError for settings that don't fit, UpscalingError where some pictures failed.
    """
    checkpoints = listed(config.checkpoint)
    if len(checkpoints) != 1:
        raise ValueError(f"input= is upscaled by one checkpoint; got {len(checkpoints)}")
    upscaler = load(checkpoints[0], config.weights, listed(config.trust)).to(pick_device(config.device))
    target = None if config.output is None else Path(config.output)
    written, failed = upscale_files(upscaler, Path(config.input), target)
    if written:
        print(
            f"{len(written)} picture{'s' * (len(written) > 1)}, ×{upscaler.scale}: {written[0]}"
            + (" …" * (len(written) > 1))
        )
    if failed:
        raise UpscalingError(f"{len(failed)} could not be upscaled:\n" + "\n".join(failed))


def upscale_files(upscaler: Upscaler, source: Path, target: Path | None) -> tuple[list[Path], list[str]]:
    """Upscale a picture, or every picture of a folder and its folders; the paths written, and what could not be read.

    source: a picture or a folder.
    target: a file for a picture, a folder for a folder; None puts NAME_x2.png, or a folder NAME_x2, beside the source.

    Raises ValueError where there is nothing to upscale, or the target's kind isn't one pictures can be written as.
    """
    pairs = list(_pairs(source, target, upscaler.scale))
    written, failed = [], []
    for picture, larger in tqdm(pairs, desc="upscaling", unit="picture", disable=len(pairs) == 1 or None):
        try:
            upscale_file(upscaler, picture, larger)
            written.append(larger)
        except (OSError, SyntaxError, ValueError, RuntimeError, Image.DecompressionBombError) as fault:
            failed.append(f"{picture}: {fault}")
    return written, failed


def upscale_file(upscaler: Upscaler, source: Path, target: Path) -> None:
    """One picture. It gets its name once it is whole."""
    with Image.open(source) as opened:
        larger = upscaler.upscale(ImageOps.exif_transpose(opened))
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.suffix.lower() in (".jpg", ".jpeg") and larger.mode in ("RGBA", "LA"):
        raise ValueError(f"output={target}: a JPEG has no transparency, and {source} has; write a .png")
    aside = target.with_name(f".{target.stem}.part{target.suffix}")
    quality = {"quality": 95} if target.suffix.lower() in (".jpg", ".jpeg", ".webp") else {}
    profile = {"icc_profile": larger.info["icc_profile"]} if larger.info.get("icc_profile") else {}
    try:
        larger.save(aside, **quality, **profile)
        os.replace(aside, target)
    finally:
        aside.unlink(missing_ok=True)


def _pairs(source: Path, target: Path | None, scale: int) -> Iterator[tuple[Path, Path]]:
    if not source.exists():
        raise ValueError(f"input={source} doesn't exist; give a picture or a folder of pictures")
    if source.is_file():
        target = target or source.with_name(f"{source.stem}_x{scale}.png")
        if target.is_dir():
            target = target / f"{source.stem}_x{scale}.png"
        if target.suffix.lower() not in SUFFIXES:
            raise ValueError(f"output={target} must end in one of {', '.join(sorted(SUFFIXES))}")
        yield source, target
        return
    target = target or source.with_name(f"{source.name}_x{scale}")
    if target.is_file():
        raise ValueError(f"output={target} is a file, and input={source} is a folder; give a folder")
    pictures = sorted(path for path in source.rglob("*") if path.suffix.lower() in SUFFIXES)
    pictures = [path for path in pictures if target.resolve() not in path.resolve().parents]
    if not pictures:
        raise ValueError(f"input={source} holds no picture; these are read: {', '.join(sorted(SUFFIXES))}")
    names = Counter(path.relative_to(source).with_suffix(".png") for path in pictures)
    for path in pictures:
        name = path.relative_to(source).with_suffix(".png")
        # a.jpg and a.png in one folder: each keeps its ending, and neither is written over the other.
        yield path, target / (name if names[name] == 1 else path.relative_to(source).with_suffix(path.suffix + ".png"))
