"""Upscale image files: one file, or all images of a folder."""

import errno
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tqdm import tqdm

from upnet.imaging.formats import FORMATS
from upnet.imaging.reading import read_image
from upnet.imaging.writing import write_image
from upnet.inference.output_names import Plan, make_output_folder, make_subfolder, plan_outputs
from upnet.inference.upscaler import Upscaler
from upnet.utils.errors import RunError, UserError
from upnet.utils.printable import escape_unprintable

_DISK_UNUSABLE = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO}
"""Errors that would occur again for every further image."""


@dataclass(slots=True)
class Outcome:
    """Which images are upscaled, and which are not.

    written:    the written files, in the order of the input images.
    failed:     an error message for each image that could not be upscaled.
    run_failed: whether an image failed for a reason that isn't in the image or a setting, such as a full disk.
    remarks:    what is changed or not kept, see `upnet.imaging.image.RasterImage` -> the input images concerned.
    remaining:  the number of images that were not processed.
    """

    written: list[Path] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    run_failed: bool = False
    remarks: dict[str, list[Path]] = field(default_factory=dict)
    remaining: int = 0


def upscale_files(
    upscaler: Upscaler,
    source: Path,
    target: Path | None,
    max_pixels: int | None = None,
    outcome: Outcome | None = None,
) -> Outcome:
    """Upscale an image file, or each image in a folder and its subfolders.

    source:     an image file or a folder.
    target:     a file for a file, a folder for a folder; None writes NAME_x2.png, or a folder NAME_x2, in the folder of
                the source. Images of a folder are written as PNG.
    max_pixels: larger images are rejected; None is the default of `upnet.imaging.reading.read_image`.
    outcome:    updated after each image and returned, so that it is known after an interruption; None for a new one.

    In a folder, an image that cannot be read or written is recorded and the next ones are processed, unless the disk is
    full. Raises UserError if there is no image, if the target cannot be written to, and if its suffix is not supported;
    for a single file also what `upscale_file` raises.

    >>> import tempfile
    >>> from functools import partial
    >>> from PIL import Image
    >>> from upnet.encoders import ConvStack
    >>> from upnet.models import EncoderDecoder
    >>> net = EncoderDecoder(2, 3, partial(ConvStack, layers=[8, 8]), block=None, upsampler=None)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     photo = Path(folder, "photo.png")
    ...     Image.new("RGB", (4, 3)).save(photo)
    ...     outcome = upscale_files(Upscaler(net), photo, target=None)
    >>> [path.name for path in outcome.written]
    ['photo_x2.png']
    """
    outcome = outcome or Outcome()
    plan = plan_outputs(source, target, upscaler.scale)
    outcome.remaining = len(plan.jobs)
    if not source.is_dir():
        _upscale_job(upscaler, plan, plan.jobs[0], max_pixels, outcome)
        return outcome
    make_output_folder(plan.folder)
    interval = 0.1 if sys.stderr.isatty() else 30  # seconds; few lines in a log file
    for job in tqdm(plan.jobs, "upscaling", unit="image", mininterval=interval):
        try:
            _upscale_job(upscaler, plan, job, max_pixels, outcome)
        except (UserError, RunError, MemoryError) as error:
            outcome.remaining -= 1
            outcome.run_failed |= not isinstance(error, UserError)
            message = " ".join(str(error).split()) or type(error).__name__
            outcome.failed.append(escape_unprintable(message if str(job[0]) in message else f"{job[0]}: {message}"))
            if isinstance(error.__cause__, OSError) and error.__cause__.errno in _DISK_UNUSABLE:
                break
    return outcome


def upscale_file(
    upscaler: Upscaler, source: Path, target: Path, max_pixels: int | None = None, folder: Path | None = None
) -> Sequence[str]:
    """Upscale one image file, and write it in the format of the target's suffix. The file appears when it is complete.

    folder: the folder that must contain the target after links are resolved; None for the target's folder.

    Bit depth, alpha, grey and metadata (colour profile, EXIF, XMP, resolution, texts) are kept if the format supports
    them. Returns a remark on each change and loss, see `upnet.imaging.image.RasterImage`.

    Raises UserError if the image cannot be read, if the format doesn't support its transparency or the upscaled size,
    and if the target's folder cannot be written to; RunError if writing the target fails.

    >>> import tempfile
    >>> from functools import partial
    >>> from PIL import Image
    >>> from upnet.encoders import ConvStack
    >>> from upnet.models import EncoderDecoder
    >>> net = EncoderDecoder(2, 3, partial(ConvStack, layers=[8, 8]), block=None, upsampler=None)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     Image.new("CMYK", (4, 3)).save(f"{folder}/photo.jpg")
    ...     upscale_file(Upscaler(net), Path(folder, "photo.jpg"), Path(folder, "large.png"))
    ('was converted from CMYK to sRGB',)
    """
    image_format = FORMATS[target.suffix.lower()]
    image = image_format.adapt(read_image(source, max_pixels), upscaler.scale, target)
    make_subfolder(folder or target.parent, target)
    upscaled = image.with_samples(image_format.reduce_depth(upscaler.upscale(image.samples)))
    try:
        write_image(upscaled, target)
    except OSError as error:
        raise RunError(f"{target} cannot be written: {error.strerror or error}") from error
    return upscaled.remarks


def _upscale_job(
    upscaler: Upscaler, plan: Plan, job: tuple[Path, Path], max_pixels: int | None, outcome: Outcome
) -> None:
    source, target = job
    remarks = upscale_file(upscaler, source, target, max_pixels, plan.folder)
    outcome.remaining -= 1
    outcome.written.append(target)
    for remark in remarks:
        outcome.remarks.setdefault(remark, []).append(source)
