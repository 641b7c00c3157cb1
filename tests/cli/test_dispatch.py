"""What evaluate.py is asked for, and what that costs before anything is computed."""

import subprocess
import sys
from pathlib import Path

import pytest
from support import ROOT

from upnet.cli.dispatch import requested_use
from upnet.utils.paths import as_list

USES = ("checkpoint", "study", "results", "baseline")
SLOW = ("torch", "torchvision", "torchmetrics", "pytorch_lightning", "scipy", "matplotlib", "PIL")


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({}, "got none of them"),
        ({"study": "a", "baseline": "bicubic"}, "got study and baseline"),
        ({"baseline": "bicubic", "input": "a.png"}, "only a checkpoint upscales images"),
        ({"baseline": "bicubic", "export": "a.safetensors"}, "only a checkpoint is exported"),
        ({"checkpoint": ["nowhere.ckpt"]}, "no checkpoint at nowhere.ckpt"),
    ],
)
def test_what_is_asked_for_is_one_thing_and_is_there(given: dict[str, object], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        requested_use({**dict.fromkeys((*USES, "input", "export")), **given}, USES)


def test_one_name_is_a_list_of_one() -> None:
    assert (as_list("a"), as_list(["a", "b"]), as_list(None)) == (["a"], ["a", "b"], [])


def imported_by(code: str, *words: str) -> set[str]:
    """Those of the slow packages that a Python has imported once the code is done, or has left."""
    code = f"import atexit, sys; atexit.register(lambda: print('|'.join(sys.modules), file=sys.stderr)); {code}"
    done = subprocess.run([sys.executable, "-c", code, *words], cwd=ROOT, capture_output=True, text=True, check=False)
    return set(done.stderr.strip().splitlines()[-1].split("|")) & set(SLOW)


@pytest.mark.parametrize("words", [["train.py", "--help"], ["evaluate.py", "checkpoint=nowhere.ckpt"]])
def test_help_and_a_missing_file_wait_for_no_large_package(words: list[str], tmp_path: Path) -> None:
    code = "import runpy; sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"
    assert imported_by(code, *words, f"hydra.run.dir={tmp_path}") == set()


def test_scoring_and_upscaling_import_nothing_that_only_training_or_drawing_needs() -> None:
    code = "import upnet.checkpoint, upnet.data.sr_data, upnet.cli.evaluate, upnet.inference.files"
    assert imported_by(code) <= {"torch", "PIL"}
