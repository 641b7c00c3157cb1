"""How well the audit finds copies, and how often it cries wolf: `python benchmarks/audit.py IMAGES`.

IMAGES holds BSDS399/HR, T91/HR, Set5/HR and Set14/HR, as far as there are any. Every manipulation is done to some of
the photographs of BSDS399 and of scikit-image, and each result is sought among all of them. A copy counts as found if
the photograph it was made from is named; whatever else is named is a false alarm. Then all sets are compared with each
other as they are: the pairs named there are printed, to be looked at by a human.
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
    def change(picture: np.ndarray) -> np.ndarray:
        height, width = picture.shape[:2]
        size = max(8, round(width * factor * squeeze)), max(8, round(height * factor))
        return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BICUBIC))

    return change


def cropped(area: float, x: float = 0.5, y: float = 0.5) -> Change:
    """The part of an area, x and y saying where between the left and the right, the top and the bottom."""

    def change(picture: np.ndarray) -> np.ndarray:
        height, width = (round(side * area**0.5) for side in picture.shape[:2])
        top, left = round((picture.shape[0] - height) * y), round((picture.shape[1] - width) * x)
        return picture[top : top + height, left : left + width]

    return change


def pressed(quality: int) -> Change:
    def change(picture: np.ndarray) -> np.ndarray:
        file = io.BytesIO()
        Image.fromarray(picture).save(file, "JPEG", quality=quality)
        return np.asarray(Image.open(file))

    return change


def mirrored(picture: np.ndarray) -> np.ndarray:
    return picture[:, ::-1]


def turned(picture: np.ndarray) -> np.ndarray:
    return np.rot90(picture)


def grey(picture: np.ndarray) -> np.ndarray:
    return np.asarray(Image.fromarray(picture).convert("L").convert("RGB"))


def faded(picture: np.ndarray) -> np.ndarray:
    return (0.6 * picture + 70).astype(np.uint8)


def noisy(picture: np.ndarray) -> np.ndarray:
    noise = np.random.default_rng(0).normal(0, 10, picture.shape)
    return (picture + noise).clip(0, 255).astype(np.uint8)


CHANGES: dict[str, list[Change]] = {
    "none": [],
    "resized to 0.3": [resized(0.3)],
    "resized to 0.5": [resized(0.5)],
    "resized to 0.8": [resized(0.8)],
    "resized to 2": [resized(2)],
    "squeezed to 0.8 along one axis": [resized(1, 0.8)],
    "mirrored": [mirrored],
    "turned by 90°": [turned],
    "cropped to 90 % of its area": [cropped(0.9)],
    "cropped to 60 %": [cropped(0.6)],
    "cropped to 40 %": [cropped(0.4)],
    "cropped to 25 %": [cropped(0.25)],
    "cropped to 40 %, off-centre": [cropped(0.4, 0.1, 0.9)],
    "cropped to 25 %, off-centre": [cropped(0.25, 0.1, 0.9)],
    "JPEG, quality 90": [pressed(90)],
    "JPEG, quality 50": [pressed(50)],
    "JPEG, quality 20": [pressed(20)],
    "grey": [grey],
    "faded (contrast 0.6)": [faded],
    "noise of sigma 10": [noisy],
    "40 %, resized to 0.5": [cropped(0.4), resized(0.5)],
    "40 %, mirrored, JPEG 30": [cropped(0.4, 0.3, 0.6), mirrored, pressed(30)],
    "resized to 0.3, turned, JPEG 30": [resized(0.3), turned, pressed(30)],
    "60 %, resized to 2, grey, JPEG 50": [cropped(0.6), resized(2), grey, pressed(50)],
    "25 %, turned, to 0.7, JPEG 50": [cropped(0.25, 0.2, 0.8), turned, resized(0.7), pressed(50)],
}


def manipulated(picture: np.ndarray, changes: list[Change]) -> np.ndarray:
    for change in changes:
        picture = np.ascontiguousarray(change(picture))
    return picture


def detection(pictures: list[np.ndarray], index: FeatureIndex, step: int) -> None:
    """One line per manipulation: found, correlation of the copy, false alarms."""
    print(f"{'manipulation':36} {'found':>9} {'least':>6} {'median':>7} {'false alarms':>13} {'highest other':>14}")
    for name, changes in CHANGES.items():
        scores: list[float] = []
        others: list[float] = []
        for number in range(0, len(pictures), step):
            found = find_matches(extract_features(manipulated(pictures[number], changes)), index)
            scores.append(found[number].correlation if number in found else 0.0)
            others += [one.correlation for other, one in found.items() if other != number]
        hits, alarms = (sum(score >= MATCH_THRESHOLD for score in values) for values in (scores, others))
        print(
            f"{name:36} {hits:4}/{len(scores):<4} {min(scores):6.2f} {np.median(scores):7.2f} {alarms:13} "
            f"{max(others, default=0.0):14.2f}",
            flush=True,
        )


def cross(title: str, sought: dict[str, Features], among: dict[str, Features] | None) -> None:
    """All pairs as they are: those that are named, and the highest correlation of those that are not."""
    named: list[str] = []
    highest, pairs = 0.0, 0
    index = FeatureIndex(list((among or sought).values()))
    names = list(among or sought)
    for number, (name, features) in enumerate(sought.items()):
        start = number + 1 if among is None else 0
        pairs += len(names) - start
        if start == len(names):
            continue
        for other, one in find_matches(features, index, start).items():
            if one.correlation >= MATCH_THRESHOLD:
                named.append(f"{name} and {names[other]} ({one.describe()}, {one.correlation:.2f})")
            else:
                highest = max(highest, one.correlation)
    print(f"{title:22} {pairs:6} pairs; highest correlation of those not named {highest:.2f}; named: {named or 'none'}")


def main() -> None:
    parser = argparse.ArgumentParser(description="Calibrate the audit's search for copies.")
    parser.add_argument("images", type=Path, help="the folder of BSDS399, T91, Set5 and Set14")
    parser.add_argument(
        "--step", type=int, default=8, help="every how many photographs one is manipulated (default: 8)"
    )
    parser.add_argument("--skip-within", action="store_true", help="leave out the comparison of each set with itself")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    sets: dict[str, dict[str, np.ndarray]] = {
        name: {stem: read_rgb(path) for stem, path in find_images(arguments.images / name / "HR").items()}
        for name in SETS
        if (arguments.images / name / "HR").is_dir()
    }
    sets["scikit-image"] = {entry.name: entry.read() for entry in Photographs(PHOTOGRAPHS).images()}
    start = time.process_time()
    features = {
        name: {stem: extract_features(picture) for stem, picture in pictures.items()} for name, pictures in sets.items()
    }
    count = sum(map(len, features.values()))
    print(
        f"features: {1000 * (time.process_time() - start) / count:.1f} ms of one core per image; "
        f"threshold {MATCH_THRESHOLD}\n"
    )
    pictures = {**sets.get("BSDS399", {}), **sets["scikit-image"]}
    index = FeatureIndex([*features.get("BSDS399", {}).values(), *features["scikit-image"].values()])
    start = time.process_time()
    detection(list(pictures.values()), index, arguments.step)
    sought = len(CHANGES) * len(range(0, len(pictures), arguments.step))
    print(
        f"\n{1000 * (time.process_time() - start) / sought:.0f} ms of one core per picture sought, making it included\n"
    )
    names = list(features)
    for number, name in enumerate(names):
        if not arguments.skip_within:
            cross(f"within {name}", features[name], None)
        for other in names[:number]:
            cross(f"{name} in {other}", features[name], features[other])


if __name__ == "__main__":
    main()
