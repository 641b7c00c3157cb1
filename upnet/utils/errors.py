"""Errors of users and of runs, and the phrases that messages are made of."""

from collections.abc import Iterable
from difflib import get_close_matches
from enum import Enum
from pathlib import PurePath


class _NotGiven(Enum):  # an enum member stays itself when it is pickled
    NOT_GIVEN = "not given"


NOT_GIVEN = _NotGiven.NOT_GIVEN
"""The value of an error that is not about a value."""


class UserError(ValueError):
    """A setting, an argument or a file that the user can correct.

    The command line prints it as one line without a traceback and exits with code 2. Any other exception is a bug or
    a failed run: it shows its traceback and exits with code 1.

    problem: what is wrong: a clause or a sentence without a full stop at its end.
    setting: the dotted name of the setting or argument, or "" where the error is about none.
    value:   the value that was given; left out where there is none to show.
    allowed: the values that are allowed, or "" where `problem` says so.
    cure:    what to do, or "" where `allowed` says so.

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
        # A message may contain more than one sentence: parts are separated by full stops, one line in all.
        given = "" if self.value is NOT_GIVEN else f"={format_value(self.value)}"
        subject = f"{self.setting}{given}: " if self.setting else ""
        allowed = f"Allowed: {self.allowed}" if self.allowed else ""
        return ". ".join(part.rstrip(".") for part in (f"{subject}{self.problem}", allowed, self.cure) if part)

    def __reduce__(self) -> tuple[object, ...]:
        # Keyword arguments are not in `args` order for pickle, which worker processes use to send errors back.
        return _rebuild, (type(self), self.problem, self.setting, self.value, self.allowed, self.cure)


def _rebuild(kind: type[UserError], problem: str, setting: str, value: object, allowed: str, cure: str) -> UserError:
    error = kind.__new__(kind)
    UserError.__init__(error, problem, setting=setting, value=value, allowed=allowed, cure=cure)
    return error


class RunError(Exception):
    """A run failed for a reason that its message explains; the command line prints it and exits with code 1."""


class InterruptedRunError(Exception):
    """A signal ended a run, which saved its state; the message says how to continue.

    signal: its number, which the exit code tells: 130 after Ctrl-C, 143 after SIGTERM, 138 after SIGUSR1.
    """

    def __init__(self, message: str, signal: int) -> None:
        super().__init__(message)
        self.signal = signal


def format_value(value: object, longest: int = 120) -> str:
    """A value on one line of at most `longest` characters, as a yaml file writes it: text, true, null, 3.

    A path is never cut.

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
    """The words as an enumeration, each once.

    >>> join_or(["a", "b", "c"])
    'a, b or c'
    """
    *most, last = dict.fromkeys(words)
    return f"{', '.join(most)} or {last}" if most else last


def did_you_mean(word: str, names: Iterable[str]) -> str:
    """`Did you mean NAME?` for the name that is nearest to the word, or "" where none is near.

    >>> did_you_mean("nearset", ["nearest", "bilinear"])
    'Did you mean nearest?'
    """
    close = get_close_matches(word, list(names), n=1)
    return f"Did you mean {close[0]}?" if close else ""
