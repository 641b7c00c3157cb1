"""Ctrl-C at any moment, and a reader that closes the pipe."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from refusals.conftest import EVALUATE, TRAIN, shown
from support import ROOT

from upnet.cli.startup import INTERRUPTED_MESSAGE, ctrl_c_exits, ctrl_c_raises, is_interrupt

HOOK = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # what runs in the background has Ctrl-C switched off

def hear(event, arguments, left=[1]):
    if event == {event!r} and str(arguments[0]).endswith({name!r}) and left:
        left.clear()
        os.kill(os.getpid(), signal.SIGINT)

sys.addaudithook(hear)
"""
"""Ctrl-C as soon as a module is imported, or a file is opened, by that name."""

SCRIPTS = {
    "train": [str(ROOT / "train.py"), *TRAIN, "hydra.run.dir=out"],
    "evaluate": [str(ROOT / "evaluate.py"), *EVALUATE, "hydra.run.dir=out"],
    "data": ["-m", "upnet.data", "audit"],
    "study": ["-m", "upnet.study", "oracle"],
    "upsample": ["-m", "upnet.upsample"],
}


@pytest.fixture
def place(pristine: Path, tmp_path: Path) -> Path:
    copied = tmp_path / "place"
    shutil.copytree(pristine, copied)
    (copied / "study").mkdir()
    (copied / "study/plan.json").write_text("{}")
    return copied


@pytest.mark.parametrize(
    ("script", "words", "event", "name"),
    [
        ("train", "", "import", "hydra"),
        ("train", "", "import", "upnet.training.runner"),
        ("train", "", "open", "train/a.png"),
        ("evaluate", "baseline=bicubic", "open", "val/c.png"),
        ("evaluate", "checkpoint=good.ckpt input=val", "open", "val/c.png"),
        ("evaluate", "study=study", "open", "study/plan.json"),
        ("data", "val", "import", "torch"),
        ("data", "val", "open", "val/c.png"),
        ("study", "--train val --test val", "open", "val/c.png"),
        ("upsample", "", "import", "torch"),
        ("upsample", "--figure x.png", "import", "matplotlib"),
    ],
)
def test_ctrl_c_ends_with_one_line(place: Path, tmp_path: Path, script: str, words: str, event: str, name: str) -> None:
    (tmp_path / "sitecustomize.py").write_text(HOOK.format(event=event, name=name))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])}
    before = set(place.rglob("*"))
    done = subprocess.run(
        [sys.executable, *SCRIPTS[script], *words.split()],
        capture_output=True, text=True, cwd=place, timeout=300, env=environment,
    )  # fmt: skip
    assert done.returncode == 130, done.stderr
    (line,) = [line for line in shown(done.stderr).splitlines() if "image/s]" not in line]  # a bar of tqdm
    assert line.startswith(("Interrupted", "Broken off")), done.stderr
    left = {path.relative_to(place).parts[0] for path in set(place.rglob("*")) - before if ".upnet" not in path.parts}
    assert left <= {"val_x2"}, "nothing but the folder of the larger pictures"


def test_ctrl_c_is_for_the_program_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    present = signal.getsignal(signal.SIGINT)
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        with ctrl_c_exits():
            ctrl_c_raises()
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
        ctrl_c_raises()
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler, "a library leaves it alone"
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        with ctrl_c_exits():
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN, "a background job goes on"
    finally:
        signal.signal(signal.SIGINT, present)


def test_what_lightning_makes_of_a_ctrl_c_is_known() -> None:
    def end(said: bool) -> None:
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            if said:
                raise SystemExit(130) from None
            sys.exit(1)

    present = signal.getsignal(signal.SIGINT)
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        with ctrl_c_exits():
            ctrl_c_raises()
            assert not is_interrupt(ValueError())
            with pytest.raises(SystemExit) as ended:
                end(said=False)
            assert is_interrupt(ended.value)
            with pytest.raises(SystemExit) as ended:
                end(said=True)
            assert not is_interrupt(ended.value)
    finally:
        signal.signal(signal.SIGINT, present)


@pytest.mark.parametrize(
    "words", [[*SCRIPTS["evaluate"], "--help"], [*SCRIPTS["evaluate"], "baseline=bicubic"], SCRIPTS["upsample"]]
)
def test_a_pipe_that_is_closed_early_is_no_error(place: Path, words: list[str]) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, *words], stdout=writer, stderr=subprocess.PIPE, cwd=place, timeout=300, env=environment
    )
    os.close(writer)
    assert done.returncode == 0, done.stderr
    assert b"Broken" not in done.stderr
    assert b"Errno" not in done.stderr
    assert (place / "out/results.json").is_file() == ("baseline=bicubic" in words), "the work is done to its end"


@pytest.mark.parametrize(
    "words", [["train.py"], ["evaluate.py"], *(["-m", f"upnet.{name}"] for name in ("data", "study", "upsample"))]
)
def test_the_version_is_that_of_upnet(words: list[str]) -> None:
    done = subprocess.run([sys.executable, *words, "--version"], capture_output=True, text=True, cwd=ROOT, timeout=120)
    assert (done.returncode, done.stdout.split()[0]) == (0, "upnet"), done
    assert INTERRUPTED_MESSAGE not in done.stderr
