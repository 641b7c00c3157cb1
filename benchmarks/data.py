"""Speed of the data pipeline: `python benchmarks/data.py IMAGES [--validation FOLDER …] [--json FILE]`.

patches_per_second  crops of 48×48 LR and 96×96 HR pixels, rotated and mirrored, in batches of 16, on one core
conversion_ms       conversion of such a batch from uint8 to float32 in [0, 1], on all cores
decoding_s          first start: all images are read, downscaled, checked and written to the store, on all cores
comparing_s         first start: search for copies of the --validation images among the training images
second_start_s      later start in a new process: the files are hashed, the store is opened, the data sets are compared,
                    and the first batch is cropped

All files are read once before the measurement, so that the speed of the disk has no influence. Imports are not counted.
"""

import argparse
import json
import logging
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

STEPS = 200


def start_times(images: Path, validation: Sequence[Path], cache: Path) -> tuple[float, float]:
    """Seconds until the training store is open, and until the sets are also compared."""
    from upnet.audit.leakage import warn_of_leakage
    from upnet.data import Folder, SRData

    train, val_root = Folder(str(images)), [str(path) for path in validation] or None
    data = SRData(2, 16, 48, seed=0, train=train, val_root=val_root, cache_dir=str(cache))
    start = time.perf_counter()
    data.train_store()
    opened = time.perf_counter() - start
    data.prepare()
    warn_of_leakage(data.train_store(), data.val_sets(), data.copy_check)
    return opened, time.perf_counter() - start


def crop_speed(images: Path, cache: Path) -> tuple[float, float]:
    """Patches per second on one core, and milliseconds to convert a batch to float32."""
    import torch

    from upnet.data import CropSampler, Folder, build_store

    sampler = CropSampler(build_store(Folder(str(images)), 2, cache), 48, 16, 0, 2)
    batches = [sampler.batch(step) for step in range(20)]
    seconds, conversions = [], []
    for step in range(STEPS):
        start = time.perf_counter()
        sampler.batch(step)
        seconds.append(time.perf_counter() - start)
    for batch in batches:
        start = time.perf_counter()
        for crops in batch.values():
            crops.to(torch.float32).div_(255)
        conversions.append(time.perf_counter() - start)
    return 16 * STEPS / sum(seconds), 1000 * statistics.median(conversions)


def in_new_process(function, *arguments):
    """Call a function in a new process, and return its result."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(function, arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", type=Path, help="folder of training images")
    parser.add_argument(
        "--validation", type=Path, nargs="*", default=[], metavar="FOLDER",
        help="folders of validation images; default: photographs of scikit-image",
    )  # fmt: skip
    parser.add_argument("--runs", type=int, default=3, help="number of later starts of which the median is taken")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the results to this file")
    options = parser.parse_args(arguments)
    logging.getLogger("upnet").setLevel(logging.ERROR)
    for path in options.images.rglob("*"):
        if path.is_file():
            path.read_bytes()
    with tempfile.TemporaryDirectory() as folder:
        cache = Path(folder)
        sets = options.images, options.validation, cache
        opened, prepared = in_new_process(start_times, *sets)
        results = {"decoding_s": opened, "comparing_s": prepared - opened}
        later = [in_new_process(start_times, *sets)[1] for _ in range(options.runs)]
        results["second_start_s"] = statistics.median(later)
        results["patches_per_second"], results["conversion_ms"] = in_new_process(crop_speed, options.images, cache)
    print(f"{os.cpu_count()} cores, {' '.join(sys.argv)}")
    for name, value in results.items():
        print(f"{name:20} {value:10.3f}")
    if options.json:
        options.json.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
