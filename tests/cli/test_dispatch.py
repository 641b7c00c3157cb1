"""Selection of the use of `upnet evaluate`, and the packages that commands import."""

import subprocess
import sys
from pathlib import Path

import pytest
from support import ROOT

from upnet.cli.dispatch import requested_use
from upnet.utils.errors import UserError
from upnet.utils.paths import as_list

USES = ("checkpoint", "study", "results", "baseline")
SLOW = ("torch", "torchvision", "torchmetrics", "pytorch_lightning", "scipy", "matplotlib", "PIL")
"""Packages whose import takes long."""


@pytest.mark.parametrize(
    ("given", "setting", "problem"),
    [
        ({}, "", "got none of them"),
        ({"study": "a", "baseline": "bicubic"}, "", "got study and baseline"),
        ({"baseline": "bicubic", "input": "a.png"}, "input", "only a checkpoint upscales images"),
        ({"baseline": "bicubic", "export": "a.safetensors"}, "export", "only a checkpoint is exported"),
        ({"checkpoint": ["nowhere.ckpt"]}, "", "no checkpoint at nowhere.ckpt"),
    ],
)
def test_exactly_one_use_with_existing_files_is_required(given: dict[str, object], setting: str, problem: str) -> None:
    with pytest.raises(UserError, match=problem) as caught:
        requested_use({**dict.fromkeys((*USES, "input", "export")), **given}, USES)
    assert caught.value.setting == setting
    assert caught.value.value == given.get(setting, caught.value.value)


def test_a_single_name_becomes_a_list() -> None:
    assert (as_list("a"), as_list(["a", "b"]), as_list(None)) == (["a"], ["a", "b"], [])


def imported_by(code: str, *words: str) -> set[str]:
    """The packages of SLOW that a new Python process has imported when the code has ended."""
    code = f"import atexit, sys; atexit.register(lambda: print('|'.join(sys.modules), file=sys.stderr)); {code}"
    done = subprocess.run([sys.executable, "-c", code, *words], cwd=ROOT, capture_output=True, text=True, check=False)
    return set(done.stderr.strip().splitlines()[-1].split("|")) & set(SLOW)


def test_help_and_a_missing_checkpoint_import_no_slow_package(tmp_path: Path) -> None:
    missing = ["evaluate", "checkpoint=nowhere.ckpt", f"hydra.run.dir={tmp_path}"]
    code = f"from upnet.cli.main import main; main(['train', '--help']); sys.exit(main({missing!r}) != 2)"
    assert imported_by(code) == set()


def test_evaluation_and_upscaling_do_not_import_packages_of_training_and_figures() -> None:
    code = "import upnet.checkpoint, upnet.data.sr_data, upnet.cli.evaluate, upnet.inference.files"
    assert imported_by(code) <= {"torch", "PIL"}
