"""How fast pictures come: `python benchmarks/data.py PICTURES [--validation FOLDER …] [--json FILE]`.

patches_per_second  crops of 48×48 LR with their 96×96 HR, turned and mirrored, in batches of 16, on one core
conversion_ms       such a batch as float32 in [0, 1], as a training step makes it of bytes, on all cores
decoding_s          the first start: all pictures read, reduced, checked and written to the store, by all cores
comparing_s         what the first start looks for besides: copies of the --validation pictures among the others
second_start_s      all work on data of any later start, in a process that has decoded nothing: the files hashed, the
                    store opened, the sets held apart, the first batch cut

Pictures are read once beforehand, so that the disk isn't what is measured. Imports are none of it.
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


def timed(pictures: Path, validation: Sequence[Path], cache: Path) -> tuple[float, float]:
    """Seconds until the stores are there, and until they are also checked and a first batch is cut."""
    from upnet.audit.leakage import warn_of_leakage
    from upnet.data import Folder, SRData

    train, scored = Folder(str(pictures)), [str(path) for path in validation] or None
    data = SRData(2, 16, 48, seed=0, train=train, val_root=scored, cache_dir=str(cache))
    start = time.perf_counter()
    data.train_store()
    opened = time.perf_counter() - start
    data.prepare()
    warn_of_leakage(data.train_store(), data.val_sets(), data.copy_check)
    return opened, time.perf_counter() - start


def cut(pictures: Path, cache: Path) -> tuple[float, float]:
    """Patches per second on one core, and milliseconds to turn a batch into floats."""
    import torch

    from upnet.data import CropSampler, Folder, build_store

    sampler = CropSampler(build_store(Folder(str(pictures)), 2, cache), 48, 16, 0, 2)
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


def apart(function, *given):
    """What a function gives in a fresh process."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(function, given)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pictures", type=Path, help="a folder to train on")
    parser.add_argument("--validation", type=Path, nargs="*", default=[], help="folders to score; else photographs")
    parser.add_argument("--runs", type=int, default=3, help="how many second starts the median is over")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where the figures go")
    given = parser.parse_args(arguments)
    logging.getLogger("upnet").setLevel(logging.ERROR)
    for path in given.pictures.rglob("*"):
        if path.is_file():
            path.read_bytes()
    with tempfile.TemporaryDirectory() as folder:
        cache = Path(folder)
        opened, prepared = apart(timed, given.pictures, given.validation, cache)
        found = {"decoding_s": opened, "comparing_s": prepared - opened}
        later = [apart(timed, given.pictures, given.validation, cache)[1] for _ in range(given.runs)]
        found["second_start_s"] = statistics.median(later)
        found["patches_per_second"], found["conversion_ms"] = apart(cut, given.pictures, cache)
    print(f"{os.cpu_count()} cores, {' '.join(sys.argv)}")
    for name, value in found.items():
        print(f"{name:20} {value:10.3f}")
    if given.json:
        given.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
