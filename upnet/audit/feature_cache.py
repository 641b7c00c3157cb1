"""Files of the features of an image set, which the next search reads."""

import logging
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch

from upnet.audit.features import Features
from upnet.utils.atomic_io import open_atomic

log = logging.getLogger(__name__)

# The keys are part of the file format.
_SIZES, _COUNTS, _THUMBNAILS, _KEYPOINTS, _DESCRIPTORS, _GLOBAL = (
    "sizes",
    "counts",
    "thumbs",
    "points",
    "patches",
    "wholes",
)
_KEYS = (_SIZES, _COUNTS, _THUMBNAILS, _KEYPOINTS, _DESCRIPTORS, _GLOBAL)


def load_features(file: Path, count: int) -> list[Features] | None:
    """Load the features of `count` images; None if the file is missing or damaged."""
    if not file.is_file():
        return None
    try:
        with np.load(file, allow_pickle=False) as archive:
            return _unpack({key: archive[key] for key in _KEYS}, count)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        log.info("%s cannot be read and is computed again: %s", file, error)
        return None


def save_features(file: Path, features: Sequence[Features]) -> None:
    """Save features. If the file cannot be written, this is logged, and the next search computes them again."""
    try_write(file, lambda stream: _save_arrays(stream, _pack(features)))


def try_write(file: Path, write: Callable[[BinaryIO], object]) -> None:
    """Write a file atomically by `write(stream)`. An OSError is only logged, because the folder may be read-only."""
    try:
        with open_atomic(file) as stream:
            write(stream)
    except OSError as error:
        log.info("%s cannot be written: %s", file, error.strerror or error)


def _save_arrays(stream: BinaryIO, arrays: dict[str, np.ndarray]) -> None:
    with zipfile.ZipFile(stream, "w") as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                np.lib.format.write_array(file, array, allow_pickle=False)


def _pack(features: Sequence[Features]) -> dict[str, np.ndarray]:
    return {
        _SIZES: np.array([image.size for image in features], dtype=np.int64).reshape(-1, 2),
        _COUNTS: np.array([len(image.keypoints) for image in features], dtype=np.int64),
        _THUMBNAILS: np.concatenate([image.thumbnail.reshape(-1) for image in features]),
        _KEYPOINTS: torch.cat([image.keypoints for image in features]).numpy(),
        _DESCRIPTORS: torch.cat([image.descriptors for image in features]).numpy().astype(np.float16),
        _GLOBAL: torch.stack([image.global_descriptor for image in features]).numpy(),
    }


def _unpack(arrays: dict[str, np.ndarray], count: int) -> list[Features]:
    """Raises ValueError if the arrays do not fit each other."""
    sizes, counts = arrays[_SIZES], arrays[_COUNTS]
    if len(sizes) != count or len(counts) != count or sizes.prod(1).sum() != len(arrays[_THUMBNAILS]):
        raise ValueError("it belongs to other images")
    keypoints, descriptors = (np.split(arrays[key], np.cumsum(counts)[:-1]) for key in (_KEYPOINTS, _DESCRIPTORS))
    thumbnails = np.split(arrays[_THUMBNAILS], np.cumsum(sizes.prod(1))[:-1])
    return [
        Features(
            thumbnail.reshape(size),
            torch.from_numpy(points),
            torch.from_numpy(patches.astype(np.float32)),
            torch.from_numpy(global_descriptor),
        )
        for thumbnail, size, points, patches, global_descriptor in zip(
            thumbnails, sizes.tolist(), keypoints, descriptors, arrays[_GLOBAL], strict=True
        )
    ]
