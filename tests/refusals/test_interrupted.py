"""Ctrl-C at any moment, and a reader that closes the pipe."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from refusals.conftest import EVALUATE, TRAIN, shown
from support import ROOT, code, command

from upnet.cli.startup import INTERRUPTED_MESSAGE, ctrl_c_exits, ctrl_c_raises, is_interrupt

HOOK = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a background process ignores SIGINT

def interrupt(event, arguments, left=[1]):
    if event == {event!r} and str(arguments[0]).endswith({name!r}) and left:
        left.clear()
        os.kill(os.getpid(), signal.SIGINT)

sys.addaudithook(interrupt)
"""
"""Python code that sends Ctrl-C as soon as a module of that name is imported, or a file of that name is opened."""

SCRIPTS = {
    "train": ("train.py", [*TRAIN, "hydra.run.dir=out"]),
    "evaluate": ("evaluate.py", [*EVALUATE, "hydra.run.dir=out"]),
    "audit": ("upnet/data/__main__.py", ["audit"]),
    "oracle": ("upnet/study/__main__.py", ["oracle"]),
    "operators": ("upnet/upsample/__main__.py", []),
}
"""Command -> its script, and its arguments."""


def check_interrupted(exit_code: int | None, stderr: str, created: set[Path]) -> None:
    assert exit_code == 130, stderr
    (line,) = [line for line in shown(stderr).splitlines() if "image/s]" not in line]  # a bar of tqdm
    assert line.startswith("Interrupted"), stderr
    left = {path.parts[0] for path in created if ".upnet" not in path.parts}
    assert left <= {"val_x2"}, "only the folder of the upscaled images may remain"


@pytest.mark.parametrize(
    ("name", "arguments", "module"),
    [
        ("train", "", "hydra"),
        pytest.param("train", "", "upnet.training.runner", marks=pytest.mark.full),
        pytest.param("operators", "--figure x.png", "matplotlib", marks=pytest.mark.full),
    ],
)
def test_ctrl_c_during_an_import_ends_with_one_line(
    copied_workspace: Path, tmp_path: Path, name: str, arguments: str, module: str
) -> None:
    (tmp_path / "sitecustomize.py").write_text(HOOK.format(event="import", name=module))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])}
    script, small = SCRIPTS[name]
    before = set(copied_workspace.rglob("*"))
    done = subprocess.run(
        [sys.executable, str(ROOT / script), *small, *arguments.split()],
        capture_output=True, text=True, cwd=copied_workspace, timeout=300, env=environment,
    )  # fmt: skip
    created = {path.relative_to(copied_workspace) for path in set(copied_workspace.rglob("*")) - before}
    check_interrupted(done.returncode, done.stderr, created)


@pytest.mark.parametrize(
    ("name", "arguments", "file"),
    [
        ("train", "", "train/a.png"),
        ("evaluate", "checkpoint=good.ckpt input=val", "val/c.png"),
        pytest.param("evaluate", "baseline=bicubic", "val/c.png", marks=pytest.mark.full),
        pytest.param("evaluate", "study=study", "study/plan.json", marks=pytest.mark.full),
        pytest.param("audit", "val", "val/c.png", marks=pytest.mark.full),
        pytest.param("oracle", "--train val --test val", "val/c.png", marks=pytest.mark.full),
    ],
)
def test_ctrl_c_while_a_file_is_read_ends_with_one_line(
    copied_workspace: Path, name: str, arguments: str, file: str
) -> None:
    (copied_workspace / "study").mkdir()
    (copied_workspace / "study/plan.json").write_text("{}")
    printed = copied_workspace / "printed.txt"
    script, small = SCRIPTS[name]
    before = {*copied_workspace.rglob("*"), printed}
    process = command(
        [*small, *arguments.split()], printed, lambda: exec(HOOK.format(event="open", name=file), {}), script
    )
    exit_code = code(process)
    created = {path.relative_to(copied_workspace) for path in set(copied_workspace.rglob("*")) - before}
    lines = printed.read_text().splitlines()
    stderr = "\n".join(line for line in lines if INTERRUPTED_MESSAGE[:11] in line) if lines else ""
    check_interrupted(exit_code, stderr, created)
    assert "Traceback" not in printed.read_text()


def test_only_the_default_sigint_handler_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_a_system_exit_after_ctrl_c_counts_as_an_interrupt() -> None:
    def end(reported: bool) -> None:
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            if reported:
                raise SystemExit(130) from None
            sys.exit(1)

    present = signal.getsignal(signal.SIGINT)
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        with ctrl_c_exits():
            ctrl_c_raises()
            assert not is_interrupt(ValueError())
            with pytest.raises(SystemExit) as ended:
                end(reported=False)
            assert is_interrupt(ended.value)
            with pytest.raises(SystemExit) as ended:
                end(reported=True)
            assert not is_interrupt(ended.value)
    finally:
        signal.signal(signal.SIGINT, present)


@pytest.mark.parametrize(
    ("name", "arguments"), [("evaluate", ["--help"]), pytest.param("operators", [], marks=pytest.mark.full)]
)
def test_a_closed_pipe_is_no_error(name: str, arguments: list[str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, str(ROOT / SCRIPTS[name][0]), *arguments],
        stdout=writer, stderr=subprocess.PIPE, timeout=300, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    os.close(writer)
    assert done.returncode == 0, done.stderr
    assert b"Broken" not in done.stderr
    assert b"Errno" not in done.stderr


def test_a_command_whose_pipe_is_closed_completes_its_work(copied_workspace: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    printed = copied_workspace / "printed.txt"
    small = SCRIPTS["evaluate"][1]
    process = command([*small, "baseline=bicubic"], printed, lambda: os.dup2(writer, 1), "evaluate.py")
    os.close(writer)
    assert code(process) == 0, printed.read_text()
    assert "Broken" not in printed.read_text()
    assert "Errno" not in printed.read_text()
    assert (copied_workspace / "out/results.json").is_file()


@pytest.mark.parametrize(
    "words", [["train.py"], ["evaluate.py"], *(["-m", f"upnet.{name}"] for name in ("data", "study", "upsample"))]
)
def test_the_version_is_printed(words: list[str]) -> None:
    done = subprocess.run([sys.executable, *words, "--version"], capture_output=True, text=True, cwd=ROOT, timeout=120)
    assert (done.returncode, done.stdout.split()[0]) == (0, "upnet"), done
    assert INTERRUPTED_MESSAGE not in done.stderr
