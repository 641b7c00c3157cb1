"""Picture files in, larger picture files out."""

import errno
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from omegaconf import DictConfig
from tqdm import tqdm

from upnet.cli.app import refuse_other_scale
from upnet.imaging.formats import FORMATS
from upnet.imaging.reading import read_image
from upnet.imaging.writing import write_image
from upnet.inference.output_names import Plan, plan, prepare, prepare_below, shown
from upnet.inference.upscaler import Upscaler, load
from upnet.utils.allocator import INFERENCE_KERNELS, limit_onednn_cache
from upnet.utils.device import pick_device
from upnet.utils.errors import InterruptedRunError
from upnet.utils.paths import as_list, expand_user

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO}
"""Faults that every further picture would meet as well."""


class UpscalingError(RuntimeError):
    """Some pictures could not be upscaled; the message lists them. The others are done."""


@dataclass(slots=True)
class Outcome:
    """What became of the pictures.

    written:   the larger pictures, in the order of the pictures.
    failed:    a sentence for each that couldn't be upscaled.
    remarks:   what wasn't kept -> the pictures it holds for.
    remaining: how many weren't reached.
    """

    written: list[Path] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    remarks: dict[str, list[Path]] = field(default_factory=dict)
    remaining: int = 0


def upscale(config: DictConfig) -> None:
    """evaluate.py with `input`: upscale by one checkpoint, and say where the pictures went.

    Raises ValueError for settings that don't fit, UpscalingError where some pictures failed, and InterruptedRunError
    where the user broke it off; what is done by then stays.
    """
    limit_onednn_cache(INFERENCE_KERNELS)
    checkpoints = as_list(config.checkpoint)
    if len(checkpoints) != 1:
        raise ValueError(f"input= is upscaled by one checkpoint; got {len(checkpoints)}")
    device, trust = pick_device(config.device), as_list(config.trust)
    upscaler = load(checkpoints[0], config.weights, trust, "cpu", config.tile, config.ensemble, config.alpha).to(device)
    refuse_other_scale(config, upscaler.scale, checkpoints[0])
    target = None if config.output is None else expand_user(config.output)
    outcome = Outcome()
    try:
        upscale_files(upscaler, expand_user(config.input), target, config.max_pixels, outcome)
    except KeyboardInterrupt:
        told = f"Interrupted with {outcome.remaining} pictures to go; those that are written are complete"
        raise InterruptedRunError(told, signal.SIGINT) from None
    finally:
        _tell(outcome, upscaler.scale)
    if outcome.failed:
        untried = f"\n{outcome.remaining} more were not tried" if outcome.remaining else ""
        raise UpscalingError(f"{len(outcome.failed)} could not be upscaled:\n" + "\n".join(outcome.failed) + untried)


def upscale_files(
    upscaler: Upscaler,
    source: Path,
    target: Path | None,
    max_pixels: int | None = None,
    outcome: Outcome | None = None,
) -> tuple[list[Path], list[str]]:
    """Upscale a picture, or every picture of a folder and its folders; the paths written, and what could not be done.

    source:     a picture or a folder.
    target:     a file for a picture, a folder for a folder; None puts NAME_x2.png, or a folder NAME_x2, beside the
                source. Pictures of a folder become PNG.
    max_pixels: larger pictures are refused; see `upnet.imaging.reading.read_rgb`.
    outcome:    is filled as the pictures get done.

    One picture is in memory at a time. One of a folder that can't be read or written is noted, and the others follow,
    unless the disk is full. Raises ValueError where there is nothing to upscale, where the target can't be written to,
    and where its kind isn't one that pictures can be written as; for a single picture also what `upscale_file` raises.
    """
    outcome = outcome or Outcome()
    planned = plan(source, target, upscaler.scale)
    outcome.remaining = len(planned.jobs)
    if not source.is_dir():
        _one(upscaler, planned, planned.jobs[0], max_pixels, outcome)
        return outcome.written, outcome.failed
    prepare(planned.folder)
    # Where nobody watches, a line now and then is enough.
    rarely = 0.1 if sys.stderr.isatty() else 30
    for job in tqdm(planned.jobs, "upscaling", unit="picture", mininterval=rarely):
        try:
            _one(upscaler, planned, job, max_pixels, outcome)
        except (OSError, ValueError, RuntimeError, MemoryError) as fault:
            outcome.remaining -= 1
            told = " ".join(str(fault).split()) or type(fault).__name__
            outcome.failed.append(shown(told if str(job[0]) in told else f"{job[0]}: {told}"))
            if isinstance(fault, OSError) and fault.errno in _FULL:
                break
    return outcome.written, outcome.failed


def upscale_file(
    upscaler: Upscaler, source: Path, target: Path, max_pixels: int | None = None, folder: Path | None = None
) -> Sequence[str]:
    """One picture, in the format that the target's name ends in. It gets its name once it is whole.

    folder: what the target may not leave, where a link leads elsewhere; None is the folder it is in.

    Bits, alpha, grey, colour profile and EXIF are kept as far as the format holds them; returned is what wasn't, each
    a part of a sentence about the picture. Raises ValueError where that would be transparency, where the picture can't
    be read, and OSError where the target can't be written.
    """
    form = FORMATS[target.suffix.lower()]
    picture = form.adapt(read_image(source, max_pixels), upscaler.scale, target)
    prepare_below(folder or target.parent, target)
    larger = picture.with_samples(form.reduce_depth(upscaler.upscale(picture.samples)))
    write_image(larger, target)
    return larger.remarks


def _one(upscaler: Upscaler, planned: Plan, job: tuple[Path, Path], max_pixels: int | None, outcome: Outcome) -> None:
    picture, larger = job
    remarks = upscale_file(upscaler, picture, larger, max_pixels, planned.folder)
    outcome.remaining -= 1
    outcome.written.append(larger)
    for remark in remarks:
        outcome.remarks.setdefault(remark, []).append(picture)


def _tell(outcome: Outcome, scale: int) -> None:
    """What was written, to stdout, and what wasn't kept, to stderr."""
    for remark, pictures in outcome.remarks.items():
        more = f" and {len(pictures) - 1} more, each" if len(pictures) > 1 else ""
        print(f"{shown(pictures[0])}{more} {remark}", file=sys.stderr)
    if outcome.written:
        count = len(outcome.written)
        print(f"{count} picture{'s' * (count > 1)}, ×{scale}: {shown(outcome.written[0])}{' …' * (count > 1)}")
