"""Measurements of one image of a data set: size, hash, features, and how its LR images relate to it."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch

from upnet.audit.degradations import Fit, fit_imresize
from upnet.audit.features import Features, extract_features
from upnet.audit.image_ops import Size, cosine_similarity, to_grey, to_tensor
from upnet.audit.pairs import FolderContent
from upnet.audit.parallel import parallel_map
from upnet.audit.shift import Shift, measure_shift
from upnet.imaging.imresize import imresize
from upnet.imaging.reading import BrokenImageError, read_rgb


@dataclass(frozen=True, slots=True)
class LrMeasurement:
    """An LR image compared with its HR image.

    size:       (h, w) in pixels.
    fits:       result of fit_imresize; empty if the size is not that of HR / scale.
    shift:      against HR; None if it could not be measured.
    similarity: correlation with the HR image reduced by imresize, -1 to 1.
    """

    size: Size
    fits: Sequence[Fit] = ()
    shift: Shift | None = None
    similarity: float = 1.0


@dataclass(frozen=True, slots=True)
class HrMeasurement:
    """An HR image and its LR images.

    size:     (H, W) in pixels; None if the image is unreadable.
    digest:   SHA-256 of the pixels.
    features: features for near-duplicate search; None if the image is unreadable.
    lr:       scale -> measurement of the LR image.
    errors:   the reason for each of the image and its LR images that is unreadable.
    """

    size: Size | None = None
    digest: str = ""
    features: Features | None = None
    lr: Mapping[int, LrMeasurement] = field(default_factory=dict)
    errors: Sequence[str] = ()


def measure_images(content: FolderContent, lr: Mapping[int, Mapping[str, Path]]) -> dict[str, HrMeasurement]:
    """Measure all HR images of a folder and their LR images: name -> measurement.

    content: the images of the folder.
    lr:      scale -> HR name -> file of the LR image.
    """
    names = list(content.hr)

    def measure(index: int) -> HrMeasurement:
        name = names[index]
        with torch.no_grad():
            return _measure_hr(content.hr[name], {scale: files[name] for scale, files in lr.items() if name in files})

    return dict(zip(names, parallel_map(measure, len(names), f"Reading {content.name}"), strict=True))


def _measure_hr(path: Path, lr_files: Mapping[int, Path]) -> HrMeasurement:
    """Measure an HR image and its LR images. lr_files: scale -> file."""
    errors: list[str] = []
    lr: dict[int, LrMeasurement] = {}
    try:
        hr = read_rgb(path)
    except BrokenImageError as error:
        return HrMeasurement(errors=[str(error)])
    for scale, file in lr_files.items():
        try:
            lr[scale] = _measure_lr(hr, read_rgb(file), scale)
        except BrokenImageError as error:
            errors.append(str(error))
    digest = hashlib.sha256(repr(hr.shape).encode() + hr.tobytes()).hexdigest()
    return HrMeasurement((hr.shape[0], hr.shape[1]), digest, extract_features(hr), lr, errors)


def _measure_lr(hr: np.ndarray, lr: np.ndarray, scale: int) -> LrMeasurement:
    height, width = lr.shape[:2]
    if (height, width) != (hr.shape[0] // scale, hr.shape[1] // scale):
        return LrMeasurement((height, width))
    hr = hr[: scale * height, : scale * width]
    fits = fit_imresize(hr, lr, scale)
    if not fits[0].differing:
        return LrMeasurement((height, width), fits, Shift((0.0, 0.0, 0.0, 0.0), 0.0))
    reduced, grey = (to_tensor(to_grey(image)) for image in (imresize(hr, Fraction(1, scale)), lr))
    similarity = cosine_similarity(reduced - reduced.mean(), grey - grey.mean())
    return LrMeasurement((height, width), fits, measure_shift(hr, lr, scale), similarity)
