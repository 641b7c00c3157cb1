"""The errors that the command line prints as one line, and helpers for their messages."""

from collections.abc import Iterable
from difflib import get_close_matches
from enum import Enum
from pathlib import PurePath


class _NotGiven(Enum):  # an enum member stays itself when it is pickled
    NOT_GIVEN = "not given"


NOT_GIVEN = _NotGiven.NOT_GIVEN
"""Marks an error without a value, because None is a value."""


class UserError(ValueError):
    """An error in a setting, an argument or a file, which the user can correct.

    The command line prints it as one line without a traceback and exits with code 2. `RunError` is for failed runs.
    Any other exception is a bug, and its traceback is shown.

    problem: what is wrong, without a full stop at its end. With a setting it is a predicate: "must be an integer".
    setting: the dotted name of the setting or argument, or "" if the error is about none.
    value:   the given value; left out if there is none to show.
    allowed: the values that are allowed, or "" if `problem` names them.
    cure:    what to do, or "" if `allowed` is enough.

    >>> str(UserError("must be an integer", setting="scale", value=1.5, allowed="2, 3, 4, …", cure="Set scale=2"))
    'scale=1.5: must be an integer. Allowed: 2, 3, 4, …. Set scale=2'
    >>> str(UserError("photo.png has no pixels", cure="Remove the file"))
    'photo.png has no pixels. Remove the file'
    """

    def __init__(
        self, problem: str, *, setting: str = "", value: object = NOT_GIVEN, allowed: str = "", cure: str = ""
    ) -> None:
        self.problem, self.setting, self.value, self.allowed, self.cure = problem, setting, value, allowed, cure
        super().__init__(problem, setting, value, allowed, cure)

    def __str__(self) -> str:
        # One line: the parts are sentences, separated by full stops.
        value = "" if self.value is NOT_GIVEN else f"={format_value(self.value)}"
        subject = f"{self.setting}{value}: " if self.setting else ""
        allowed = f"Allowed: {self.allowed}" if self.allowed else ""
        return ". ".join(part.rstrip(".") for part in (f"{subject}{self.problem}", allowed, self.cure) if part)

    def __reduce__(self) -> tuple[object, ...]:
        # Worker processes send errors by pickle, which passes `args` by position; the arguments are keyword-only.
        return _rebuild, (type(self), self.problem, self.setting, self.value, self.allowed, self.cure)


def _rebuild(kind: type[UserError], problem: str, setting: str, value: object, allowed: str, cure: str) -> UserError:
    error = kind.__new__(kind)
    UserError.__init__(error, problem, setting=setting, value=value, allowed=allowed, cure=cure)
    return error


class RunError(Exception):
    """A run failed, although no setting is wrong: a full disk, for example. Exit code 1; only the message is printed.

    >>> str(RunError("runs/a/last.ckpt cannot be written: No space left on device"))
    'runs/a/last.ckpt cannot be written: No space left on device'
    """


class InterruptedRunError(Exception):
    """A signal ended a run. The message says what is saved and how to continue.

    signal: number of the signal. The exit code is 128 + signal: 130 for Ctrl-C, 143 for SIGTERM, 138 for SIGUSR1.

    >>> InterruptedRunError("interrupted at step 5", signal=2).signal
    2
    """

    def __init__(self, message: str, signal: int) -> None:
        super().__init__(message)
        self.signal = signal


def format_value(value: object, longest: int = 120) -> str:
    """A value on one line of at most `longest` characters, as in a yaml file: text, true, null, 3. Paths are not cut.

    >>> format_value(None), format_value("two words"), format_value("two\\nlines")
    ('null', 'two words', "'two\\\\nlines'")
    """
    if isinstance(value, PurePath):
        return str(value) if str(value).isprintable() else repr(str(value))
    if isinstance(value, bool):
        text = "true" if value else "false"
    elif isinstance(value, str) and value.isprintable() and value.strip() == value != "":
        text = value
    else:
        text = "null" if value is None else repr(value)
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def join_or(words: Iterable[str]) -> str:
    """Join words with commas and "or", without duplicates.

    >>> join_or(["a", "b", "c"])
    'a, b or c'
    """
    *most, last = dict.fromkeys(words)
    return f"{', '.join(most)} or {last}" if most else last


def did_you_mean(word: str, names: Iterable[str]) -> str:
    """`Did you mean NAME?` for the name most similar to the word, or "" if none is similar.

    >>> did_you_mean("nearset", ["nearest", "bilinear"])
    'Did you mean nearest?'
    """
    close = get_close_matches(word, list(names), n=1)
    return f"Did you mean {close[0]}?" if close else ""
