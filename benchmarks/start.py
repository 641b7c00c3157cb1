"""Duration of commands, above all of their start: `python benchmarks/start.py [--images Set14] [--json FILE]`.

Wall-clock time in seconds, as the median of some runs with warm caches:

help        `train.py --help`
refusal     `evaluate.py` with a checkpoint that does not exist
first_step  `train.py` with default settings, until the progress bar shows the first step
imports     the imports of `evaluate.py`, in a new Python process
evaluation  `evaluate.py` of an EDSR with 90 K parameters on the folder --images, which is in the cache
work        evaluation minus imports
"""

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def duration(arguments: Sequence[str], exit_code: int = 0, until: str | None = None) -> float:
    """Seconds until a Python command ends, or until it prints the text `until`.

    Raises RuntimeError if it ends with another exit code, or does not print the text.
    """
    start = time.perf_counter()
    seconds_until_text, output = None, ""
    command = [sys.executable, *arguments]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        assert process.stdout is not None
        while piece := process.stdout.read1(4096):  # pyright: ignore[reportAttributeAccessIssue]
            output += piece.decode(errors="replace")
            if seconds_until_text is None and until is not None and until in output:
                seconds_until_text = time.perf_counter() - start
    elapsed = time.perf_counter() - start
    if process.returncode != exit_code or (until is not None and seconds_until_text is None):
        raise RuntimeError(f"{' '.join(arguments)} ended with exit code {process.returncode}:\n{output}")
    return elapsed if seconds_until_text is None else seconds_until_text


def median(
    arguments: Sequence[str], runs: int, exit_code: int = 0, until: str | None = None, run_dir: Path | None = None
) -> float:
    """The median of some runs, after one that fills the caches. run_dir: a folder that is removed before every run."""
    seconds = []
    for _ in range(runs + 1):
        if run_dir is not None:
            shutil.rmtree(run_dir, ignore_errors=True)
        seconds.append(duration(arguments, exit_code, until))
    return statistics.median(seconds[1:])


def measure(images: Path | None, runs: int, folder: Path) -> dict[str, float]:
    """The duration of every command in seconds, by name. Without images there is no evaluation."""
    results = {
        "help": median(["train.py", "--help"], runs),
        "refusal": median(["evaluate.py", f"checkpoint={folder / 'nowhere.ckpt'}"], runs, exit_code=2),
    }
    train = ["train.py", f"hydra.run.dir={folder / 'run'}", f"data.cache_dir={folder / 'cache'}", "steps=4"]
    train += ["validations=1", "callbacks.progress.refresh_rate=1"]
    results["first_step"] = median(train, runs, until=" 1/4 steps", run_dir=folder / "run")
    results["imports"] = median(["-c", "import upnet.cli.evaluate, upnet.inference.files"], runs)
    if images is not None:
        shutil.rmtree(folder / "run")
        duration([*train, "experiment=edsr_small", "data=builtin"])
        evaluate = ["evaluate.py", f"checkpoint={folder / 'run/checkpoints/last.ckpt'}", "data=folder"]
        evaluate += [f"data.root={images.resolve()}", f"data.cache_dir={folder / 'cache'}"]
        results["evaluation"] = median([*evaluate, f"hydra.run.dir={folder / 'evaluation'}"], runs)
        results["work"] = results["evaluation"] - results["imports"]
    return results


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, metavar="FOLDER", help="a test set to evaluate")
    parser.add_argument("--runs", type=int, default=3, help="number of runs of which the median is taken")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the results to this file")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        results = measure(options.images, options.runs, Path(folder))
    for name, value in results.items():
        print(f"{name:10} {value:6.2f} s")
    if options.json:
        options.json.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
