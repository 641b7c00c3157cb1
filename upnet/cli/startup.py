"""How a program starts: Ctrl-C ends it with one line and exit code 130, and a reader that leaves is no error.

This module imports nothing that takes time, so that a Ctrl-C finds it at work from the first moment on.
"""

import io
import os
import signal
import stat
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, TextIO

INTERRUPTED = 128 + signal.SIGINT
BROKEN_OFF = "Interrupted before the end; the same command starts again"

_heard = False
_leftovers: list[Callable[[], object]] = []


def starts_module() -> bool:
    """Whether Python is importing the packages around a module of upnet, to run it: `python -m upnet.data`."""
    _, _, after = "\0".join(["", *sys.orig_argv]).partition("\0-m\0")
    return sys.argv[:1] == ["-m"] and after.startswith("upnet.")


def leave_at_once() -> None:
    """From here on, until at_work(), Ctrl-C ends the process at once, with one line."""
    _replace(signal.default_int_handler, _leave)


def run_program(main: Callable[[], int]) -> int:
    """The exit code of a program; that of a Ctrl-C, which is then said in one line.

    The program calls at_work() where it begins what may be left half done.
    """
    with starting():
        try:
            return main()
        except BaseException as fault:
            if not broke_off(fault):
                raise
            print(f"\n{BROKEN_OFF}", file=sys.stderr, flush=True)
            return INTERRUPTED


@contextmanager
def starting() -> Iterator[None]:
    """Until at_work() is called, Ctrl-C ends the process at once.

    Imports and the composition of a config leave nothing half done, and an exception in the middle of an import comes
    out as any other. Programs that ignore Ctrl-C, as in the background of a shell, go on ignoring it.
    """
    global _heard
    before = signal.getsignal(signal.SIGINT)
    _heard = False
    _survive_closed_pipes()
    leave_at_once()
    try:
        yield
    finally:
        _leftovers.clear()
        _replace(signal.getsignal(signal.SIGINT), before)


def clear_away_by(call: Callable[[], object]) -> None:
    """What to do where Ctrl-C ends the process before at_work()."""
    _leftovers.append(call)


def at_work() -> None:
    """From here on, Ctrl-C raises KeyboardInterrupt, so that what is half done can be finished or removed."""
    _replace(_leave, _interrupt)


def broke_off(fault: BaseException) -> bool:
    """Whether an exception is what a Ctrl-C came to: Lightning ends the program by it, and libraries in C wrap it."""
    if isinstance(fault, SystemExit):
        return _heard and isinstance(fault.__context__, KeyboardInterrupt) and not fault.__suppress_context__
    return isinstance(fault, KeyboardInterrupt) or _heard


def _replace(present: object, handler: Any) -> None:
    """Set the handler of SIGINT where another one is set; a handler that wasn't set by Python stays."""
    in_main = threading.current_thread() is threading.main_thread()
    if in_main and handler is not None and signal.getsignal(signal.SIGINT) == present:
        signal.signal(signal.SIGINT, handler)


def _leave(number: int, frame: FrameType | None) -> None:
    try:
        for clear_away in _leftovers:
            clear_away()
        os.write(2, f"\n{BROKEN_OFF}\n".encode())
    finally:
        os._exit(INTERRUPTED)


def _interrupt(number: int, frame: FrameType | None) -> None:
    global _heard
    _heard = True
    raise KeyboardInterrupt


class _Pipe(io.FileIO):
    """The writing end of a pipe. Once its reader has gone, what is written to it goes nowhere."""

    def write(self, data: object) -> int | None:
        try:
            return super().write(data)  # pyright: ignore[reportArgumentType]
        except BrokenPipeError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.fileno())
            os.close(nowhere)
            return super().write(data)  # pyright: ignore[reportArgumentType]


def _survive_closed_pipes() -> None:
    """`train.py | head` is no reason to end a training: its output is dropped, and it goes on."""
    sys.stdout, sys.stderr = _surviving(sys.stdout), _surviving(sys.stderr)


def _surviving(stream: TextIO) -> TextIO:
    if not isinstance(stream, io.TextIOWrapper):
        return stream
    unbuffered = isinstance(stream.buffer, io.FileIO)
    raw = stream.buffer if unbuffered else getattr(stream.buffer, "raw", None)
    if type(raw) is not io.FileIO or not _is_pipe(raw.fileno()):
        return stream
    stream.flush()
    pipe = _Pipe(raw.fileno(), "w", closefd=False)
    return io.TextIOWrapper(
        pipe if unbuffered else io.BufferedWriter(pipe),
        encoding=stream.encoding,
        errors=stream.errors,
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )


def _is_pipe(number: int) -> bool:
    mode = os.fstat(number).st_mode
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)
