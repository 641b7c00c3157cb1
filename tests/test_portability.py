"""Portability: upnet works without the modules, functions and signals that only POSIX systems have."""

import os
import subprocess
import sys
from pathlib import Path

from support import ROOT

HIDE_POSIX = """
import asyncio, builtins, os, signal
import filelock, hydra, matplotlib, PIL.Image, pytorch_lightning, scipy, skimage, tensorboard, torch, torchvision

POSIX_MODULES = {"fcntl", "resource", "pwd", "grp", "termios", "tty", "pty", "syslog", "readline", "curses"}
original_import = builtins.__import__

def import_without_posix(name, globals=None, locals=None, fromlist=(), level=0):
    importer = (globals or {}).get("__name__", "")
    if name in POSIX_MODULES and (importer.startswith("upnet") or importer == "__main__"):
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)
    return original_import(name, globals, locals, fromlist, level)

builtins.__import__ = import_without_posix
for name in ("sched_getaffinity", "sysconf", "getuid", "geteuid", "statvfs", "register_at_fork"):
    if hasattr(os, name):
        delattr(os, name)
"""
"""Code that hides from upnet what only POSIX systems have; libraries, which have their own fallbacks, keep it."""

HIDE_SIGNALS = """
for name in ("SIGUSR1", "SIGUSR2", "SIGHUP", "SIGALRM", "SIGPIPE", "alarm"):
    if hasattr(signal, name):
        delattr(signal, name)
"""
"""The same for signals. Lightning asks for the system and needs SIGUSR1 on any but Windows."""

IMPORT_ALL = """
import importlib, pkgutil, sys
import upnet

names = [module.name for module in pkgutil.walk_packages(upnet.__path__, "upnet.")]
for name in names:
    if not name.endswith("__main__"):
        importlib.import_module(name)
print(len(names))
"""


def run_without_posix(code: str, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run code in a new process that lacks what only POSIX systems have."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])}
    command = [sys.executable, "-c", HIDE_POSIX + code, *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment, timeout=300)


def test_every_module_is_imported_without_posix(tmp_path: Path) -> None:
    done = run_without_posix(HIDE_SIGNALS + IMPORT_ALL, tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    assert int(done.stdout) > 100


def test_the_hidden_names_are_missing(tmp_path: Path) -> None:
    attempts = """
for attempt in ("import resource", "signal.SIGUSR1", "os.sched_getaffinity(0)"):
    try:
        exec(attempt)
    except (ModuleNotFoundError, AttributeError):
        print("missing")
"""
    assert run_without_posix(HIDE_SIGNALS + attempts, tmp_path).stdout.split() == ["missing"] * 3


TRAIN = """
import multiprocessing, sys
multiprocessing.set_start_method("spawn", force=True)
from upnet.cli.main import main
sys.exit(main(["train", *sys.argv[1:]]))
"""


def test_the_default_trains_without_posix_and_with_spawned_workers(tmp_path: Path) -> None:
    small = "steps=3 validations=1 data.patch=16 data.train.count=2 data.train.size=64 model.encoder.width=4"
    done = run_without_posix(TRAIN, tmp_path, *small.split(), "data.workers=1", "hydra.run.dir=run", "trainer=cpu")
    assert done.returncode == 0, done.stderr[-2000:]
    assert {"results.json", "history.jsonl", "comparison.png"} <= {path.name for path in (tmp_path / "run").iterdir()}
