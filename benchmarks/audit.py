"""Detection rate and false alarms of the audit's search for copies: `python benchmarks/audit.py IMAGES`.

IMAGES is a folder with some of BSDS399/HR, T91/HR, Set5/HR and Set14/HR. Each manipulation is applied to some of the
photographs of BSDS399 and of scikit-image, and the result is searched among all of them. A copy is found if the search
returns the photograph that it was made from; any other match is a false alarm. Then the unchanged sets are compared
with each other, and the matches are printed for visual inspection.
"""

import argparse
import io
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from upnet.audit.candidates import FeatureIndex
from upnet.audit.features import Features, extract_features
from upnet.audit.near_duplicates import find_matches
from upnet.audit.verification import MATCH_THRESHOLD
from upnet.data.sources.files import find_images
from upnet.data.sources.photographs import Photographs
from upnet.imaging.reading import read_rgb

Change = Callable[[np.ndarray], np.ndarray]
PHOTOGRAPHS = ("astronaut", "camera", "chelsea", "coffee", "rocket", "coins", "moon", "motorcycle_left")
SETS = ("BSDS399", "T91", "Set5", "Set14")


def resized(factor: float, squeeze: float = 1.0) -> Change:
    def change(image: np.ndarray) -> np.ndarray:
        height, width = image.shape[:2]
        size = max(8, round(width * factor * squeeze)), max(8, round(height * factor))
        return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC))

    return change


def cropped(area: float, x: float = 0.5, y: float = 0.5) -> Change:
    """Crop to a fraction of the area. x, y: the position, from 0 (left, top) to 1 (right, bottom)."""

    def change(image: np.ndarray) -> np.ndarray:
        height, width = (round(side * area**0.5) for side in image.shape[:2])
        top, left = round((image.shape[0] - height) * y), round((image.shape[1] - width) * x)
        return image[top : top + height, left : left + width]

    return change


def jpeg(quality: int) -> Change:
    def change(image: np.ndarray) -> np.ndarray:
        file = io.BytesIO()
        Image.fromarray(image).save(file, "JPEG", quality=quality)
        return np.asarray(Image.open(file))

    return change


def mirrored(image: np.ndarray) -> np.ndarray:
    return image[:, ::-1]


def rotated(image: np.ndarray) -> np.ndarray:
    return np.rot90(image)


def grey(image: np.ndarray) -> np.ndarray:
    return np.asarray(Image.fromarray(image).convert("L").convert("RGB"))


def low_contrast(image: np.ndarray) -> np.ndarray:
    return (0.6 * image + 70).astype(np.uint8)


def noisy(image: np.ndarray) -> np.ndarray:
    noise = np.random.default_rng(0).normal(0, 10, image.shape)
    return (image + noise).clip(0, 255).astype(np.uint8)


CHANGES: dict[str, list[Change]] = {
    "none": [],
    "resized to 0.3": [resized(0.3)],
    "resized to 0.5": [resized(0.5)],
    "resized to 0.8": [resized(0.8)],
    "resized to 2": [resized(2)],
    "squeezed to 0.8 along one axis": [resized(1, 0.8)],
    "mirrored": [mirrored],
    "rotated by 90°": [rotated],
    "cropped to 90 % of its area": [cropped(0.9)],
    "cropped to 60 %": [cropped(0.6)],
    "cropped to 40 %": [cropped(0.4)],
    "cropped to 25 %": [cropped(0.25)],
    "cropped to 40 %, off-centre": [cropped(0.4, 0.1, 0.9)],
    "cropped to 25 %, off-centre": [cropped(0.25, 0.1, 0.9)],
    "JPEG, quality 90": [jpeg(90)],
    "JPEG, quality 50": [jpeg(50)],
    "JPEG, quality 20": [jpeg(20)],
    "grey": [grey],
    "contrast 0.6": [low_contrast],
    "noise, sigma 10": [noisy],
    "40 %, resized to 0.5": [cropped(0.4), resized(0.5)],
    "40 %, mirrored, JPEG 30": [cropped(0.4, 0.3, 0.6), mirrored, jpeg(30)],
    "resized to 0.3, rotated, JPEG 30": [resized(0.3), rotated, jpeg(30)],
    "60 %, resized to 2, grey, JPEG 50": [cropped(0.6), resized(2), grey, jpeg(50)],
    "25 %, rotated, to 0.7, JPEG 50": [cropped(0.25, 0.2, 0.8), rotated, resized(0.7), jpeg(50)],
}
"""Manipulations by name. A percentage is the fraction of the area that a crop keeps; "to" is a factor of the size."""


def manipulated(image: np.ndarray, changes: list[Change]) -> np.ndarray:
    for change in changes:
        image = np.ascontiguousarray(change(image))
    return image


def print_detection(images: list[np.ndarray], index: FeatureIndex, step: int) -> None:
    """Print one line per manipulation: copies found, correlation of the copies, and false alarms."""
    print(f"{'manipulation':36} {'found':>9} {'lowest':>6} {'median':>7} {'false alarms':>13} {'highest other':>14}")
    for name, changes in CHANGES.items():
        correlations: list[float] = []
        other_correlations: list[float] = []
        for number in range(0, len(images), step):
            matches = find_matches(extract_features(manipulated(images[number], changes)), index)
            correlations.append(matches[number].correlation if number in matches else 0.0)
            other_correlations += [match.correlation for other, match in matches.items() if other != number]
        hits, false_alarms = (
            sum(correlation >= MATCH_THRESHOLD for correlation in values)
            for values in (correlations, other_correlations)
        )
        print(
            f"{name:36} {hits:4}/{len(correlations):<4} {min(correlations):6.2f} {np.median(correlations):7.2f} "
            f"{false_alarms:13} {max(other_correlations, default=0.0):14.2f}",
            flush=True,
        )


def print_matches(title: str, queries: dict[str, Features], searched: dict[str, Features] | None) -> None:
    """Print the matches among all pairs of two unchanged sets, and the highest correlation of all other pairs.

    searched: the second set; None compares the images of the first set with each other.
    """
    matches: list[str] = []
    highest, pairs = 0.0, 0
    index = FeatureIndex(list((searched or queries).values()))
    names = list(searched or queries)
    for number, (name, features) in enumerate(queries.items()):
        start = number + 1 if searched is None else 0
        pairs += len(names) - start
        if start == len(names):
            continue
        for other, match in find_matches(features, index, start).items():
            if match.correlation >= MATCH_THRESHOLD:
                matches.append(f"{name} and {names[other]} ({match.describe()}, {match.correlation:.2f})")
            else:
                highest = max(highest, match.correlation)
    print(f"{title:22} {pairs:6} pairs; matches: {matches or 'none'}; highest correlation of other pairs {highest:.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", type=Path, help="folder of the sets BSDS399, T91, Set5 and Set14")
    parser.add_argument("--step", type=int, default=8, help="manipulate every n-th photograph (default: 8)")
    parser.add_argument("--skip-within", action="store_true", help="don't compare each set with itself")
    options = parser.parse_args()
    torch.set_num_threads(1)
    sets: dict[str, dict[str, np.ndarray]] = {
        name: {stem: read_rgb(path) for stem, path in find_images(options.images / name / "HR").items()}
        for name in SETS
        if (options.images / name / "HR").is_dir()
    }
    sets["scikit-image"] = {entry.name: entry.read() for entry in Photographs(PHOTOGRAPHS).images()}
    start = time.process_time()
    features = {
        name: {stem: extract_features(image) for stem, image in images.items()} for name, images in sets.items()
    }
    count = sum(map(len, features.values()))
    print(
        f"features: {1000 * (time.process_time() - start) / count:.1f} ms of CPU time per image; "
        f"threshold of the correlation: {MATCH_THRESHOLD}\n"
    )
    images = {**sets.get("BSDS399", {}), **sets["scikit-image"]}
    index = FeatureIndex([*features.get("BSDS399", {}).values(), *features["scikit-image"].values()])
    start = time.process_time()
    print_detection(list(images.values()), index, options.step)
    searches = len(CHANGES) * len(range(0, len(images), options.step))
    milliseconds = 1000 * (time.process_time() - start) / searches
    print(f"\n{milliseconds:.0f} ms of CPU time per search, including the manipulation\n")
    names = list(features)
    for number, name in enumerate(names):
        if not options.skip_within:
            print_matches(f"within {name}", features[name], None)
        for other in names[:number]:
            print_matches(f"{name} in {other}", features[name], features[other])


if __name__ == "__main__":
    main()
