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
POSIX_SIGNALS = ("SIGUSR1", "SIGUSR2", "SIGHUP", "SIGALRM", "SIGPIPE", "alarm")
hidden = {name: vars(signal).pop(name) for name in POSIX_SIGNALS if hasattr(signal, name)}
"""
"""The same for signals."""

IMPORT_ALL = """
import importlib, pkgutil
import upnet

names = [module.name for module in pkgutil.walk_packages(upnet.__path__, "upnet.")]
for name in names:
    if not name.endswith("__main__"):
        importlib.import_module(name)
assert len(names) > 100, names
"""

CHECK_HIDDEN = """
for attempt in ("import resource", "signal.SIGUSR1", "os.sched_getaffinity(0)"):
    try:
        exec(attempt)
    except (ModuleNotFoundError, AttributeError):
        pass
    else:
        raise AssertionError(attempt + " works")
"""

TRAIN = """
import multiprocessing, sys
# Lightning needs SIGUSR1 on any system but Windows, and asks for the system.
vars(signal).update(hidden)
multiprocessing.set_start_method("spawn", force=True)
from upnet.cli.main import main
sys.exit(main(["train", *sys.argv[1:]]))
"""


def test_every_module_is_imported_without_posix_and_trains_with_spawned_workers(tmp_path: Path, pictures: Path) -> None:
    """In one process: every module is imported without POSIX-only names, and the default is trained after that."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])}
    settings = f"steps=3 validations=1 data.patch=16 data.train.count=2 data.train.size=64 data.val_root={pictures} "
    settings += "model.encoder.width=4 data.workers=1 hydra.run.dir=run trainer=cpu"
    code = HIDE_POSIX + HIDE_SIGNALS + CHECK_HIDDEN + IMPORT_ALL + TRAIN
    command = [sys.executable, "-c", code, *settings.split()]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    assert {"results.json", "history.jsonl", "comparison.png"} <= {path.name for path in (tmp_path / "run").iterdir()}
