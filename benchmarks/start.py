"""How long the commands take to start: `python benchmarks/start.py [--pictures Set14] [--json FILE]`.

Seconds of wall-clock time, the median of some runs on warm caches, of whole commands as a user gives them:

help        `train.py --help`
refusal     `evaluate.py` with a checkpoint that isn't there
first_step  `train.py`, the default, from the command to the bar that shows the first step
imports     what `evaluate.py` imports before it scores, in a Python of its own
evaluation  `evaluate.py`, the EDSR of 90 K parameters on the folder of --pictures, which are decoded already
work        evaluation less imports
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def seconds(words: Sequence[str], exit_code: int = 0, until: str | None = None) -> float:
    """How long a command takes, to its end or to the first time that it prints something.

    Raises RuntimeError where it ends otherwise than by that exit code, or never prints it.
    """
    start = time.perf_counter()
    found, told = None, ""
    with subprocess.Popen([sys.executable, *words], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as run:
        assert run.stdout is not None
        while piece := run.stdout.read1(4096):  # pyright: ignore[reportAttributeAccessIssue]
            told += piece.decode(errors="replace")
            if found is None and until is not None and until in told:
                found = time.perf_counter() - start
    passed = time.perf_counter() - start
    if run.returncode != exit_code or (until is not None and found is None):
        raise RuntimeError(f"{' '.join(words)} ended with {run.returncode}:\n{told}")
    return passed if found is None else found


def median(words: Sequence[str], runs: int, exit_code: int = 0, until: str | None = None) -> float:
    """The median of some runs, after one that fills the caches."""
    seconds(words, exit_code, until)
    return statistics.median(seconds(words, exit_code, until) for _ in range(runs))


def measure(pictures: Path | None, runs: int, folder: Path) -> dict[str, float]:
    """All of them, by name."""
    found = {
        "help": median(["train.py", "--help"], runs),
        "refusal": median(["evaluate.py", f"checkpoint={folder / 'nowhere.ckpt'}"], runs, exit_code=2),
    }
    train = ["train.py", f"hydra.run.dir={folder / 'run'}", f"data.cache_dir={folder / 'cache'}", "steps=4"]
    train += ["validations=1", "callbacks.progress.refresh_rate=1"]
    found["first_step"] = median(train, runs, until=" 1/4 steps")
    found["imports"] = median(["-c", "import upnet.cli.evaluate, upnet.inference.files"], runs)
    if pictures is not None:
        seconds([*train, "experiment=edsr_small", "data=builtin"])
        evaluate = ["evaluate.py", f"checkpoint={folder / 'run/checkpoints/last.ckpt'}", "data=folder"]
        evaluate += [f"data.root={pictures.resolve()}", f"data.cache_dir={folder / 'cache'}"]
        found["evaluation"] = median([*evaluate, f"hydra.run.dir={folder / 'evaluation'}"], runs)
        found["work"] = found["evaluation"] - found["imports"]
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=Path, metavar="FOLDER", help="a benchmark set to score")
    parser.add_argument("--runs", type=int, default=3, help="how many the median is over")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where the figures go")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        found = measure(given.pictures, given.runs, Path(folder))
    for name, value in found.items():
        print(f"{name:10} {value:6.2f} s")
    if given.json:
        given.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
