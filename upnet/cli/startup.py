"""How a command starts and ends: exit codes, Ctrl-C, and output pipes that close early.

This module imports the standard library only, so that the Ctrl-C handler is installed before anything slow is imported.
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

OK, FAILED, USER_ERROR = 0, 1, 2
"""Exit codes: success; a run failed; a setting or a file of the user is wrong."""
SIGNALLED = 128
"""The exit code of a command that a signal ended is this plus the number of the signal."""
INTERRUPTED = SIGNALLED + signal.SIGINT

INTERRUPTED_MESSAGE = "Interrupted before the end. Run the same command again to complete it"

_interrupted = False
_cleanups: list[Callable[[], object]] = []


def run_command(run: Callable[[], int]) -> int:
    """Call `run` and return its exit code, or 130 with one line on stderr after Ctrl-C."""
    with ctrl_c_exits():
        try:
            return run()
        except BaseException as error:
            if not is_interrupt(error):
                raise
            print(f"\n{INTERRUPTED_MESSAGE}", file=sys.stderr, flush=True)
            return INTERRUPTED


@contextmanager
def ctrl_c_exits() -> Iterator[None]:
    """Ctrl-C ends the process at once with one line, until ctrl_c_raises() is called.

    Imports and the composition of a config leave nothing incomplete, so they need no exception to clean up. A process
    that ignores SIGINT, such as a background job of a shell, still ignores it.
    """
    global _interrupted
    previous_handler = signal.getsignal(signal.SIGINT)
    _interrupted = False
    _keep_running_without_reader()
    _replace_handler(signal.default_int_handler, _exit_now)
    try:
        yield
    finally:
        _cleanups.clear()
        _replace_handler(signal.getsignal(signal.SIGINT), previous_handler)


def ctrl_c_raises() -> None:
    """From now on Ctrl-C raises KeyboardInterrupt, so that unfinished work is completed or removed."""
    _replace_handler(_exit_now, _raise_interrupt)


def at_early_exit(cleanup: Callable[[], object]) -> None:
    """Register what is called when Ctrl-C ends the process before ctrl_c_raises()."""
    _cleanups.append(cleanup)


def is_interrupt(error: BaseException) -> bool:
    """Whether an exception is the consequence of a Ctrl-C.

    Lightning turns KeyboardInterrupt into SystemExit, and C extensions wrap it in errors of their own.
    """
    if isinstance(error, SystemExit):
        return _interrupted and isinstance(error.__context__, KeyboardInterrupt) and not error.__suppress_context__
    return isinstance(error, KeyboardInterrupt) or _interrupted


def _replace_handler(current: object, handler: Any) -> None:
    """Replace the SIGINT handler `current`; any other handler stays, and so does one not installed by Python (None)."""
    in_main = threading.current_thread() is threading.main_thread()
    if in_main and handler is not None and signal.getsignal(signal.SIGINT) == current:
        signal.signal(signal.SIGINT, handler)


def _exit_now(number: int, frame: FrameType | None) -> None:
    try:
        for cleanup in _cleanups:
            cleanup()
        os.write(2, f"\n{INTERRUPTED_MESSAGE}\n".encode())
    finally:
        os._exit(INTERRUPTED)


def _raise_interrupt(number: int, frame: FrameType | None) -> None:
    global _interrupted
    _interrupted = True
    raise KeyboardInterrupt


class _Pipe(io.FileIO):
    """The writing end of a pipe; output is discarded once the reader has closed its end."""

    def write(self, data: object) -> int | None:
        try:
            return super().write(data)  # pyright: ignore[reportArgumentType]
        except BrokenPipeError:
            devnull = os.open(os.devnull, os.O_WRONLY)
            os.dup2(devnull, self.fileno())
            os.close(devnull)
            return super().write(data)  # pyright: ignore[reportArgumentType]


def _keep_running_without_reader() -> None:
    """Let a run continue when the reader of its output ends, as in `upnet train | head`: discard the output."""
    sys.stdout, sys.stderr = _discarding(sys.stdout), _discarding(sys.stderr)


def _discarding(stream: TextIO) -> TextIO:
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


def _is_pipe(descriptor: int) -> bool:
    mode = os.fstat(descriptor).st_mode
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)
