"""Hydra overrides: quoting file names on the command line, and printing commands that can be pasted into a shell.

Hydra parses `NAME=VALUE` by its own grammar. It rejects `café.png`, `R&B.png` and `it's.png`, and reads `2024` as a
number. quote_path_overrides() quotes the values of the settings in PATH_SETTINGS before Hydra parses them;
format_override() and quote_for_shell() print an override for Hydra and for the shell.
"""

import os
import re
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

_ONE = (
    "ckpt run_dir hydra.run.dir hydra.sweep.dir hydra.sweep.subdir study input output export data.cache_dir "
    "data.train.root data.train.hr data.train.lr data.test.root logger.save_dir callbacks.checkpoints.folder "
    "trainer.default_root_dir"
)
_SEVERAL = "checkpoint results data.root data.val_root"

PATH_SETTINGS: dict[str, bool] = {**dict.fromkeys(_ONE.split(), False), **dict.fromkeys(_SEVERAL.split(), True)}
"""Every setting that is a path -> whether it may also be a list of paths."""

_WORD = re.compile(r"(\+{0,2}([\w.]+)=)(.+)", re.DOTALL)
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"|' r"'(?:[^'\\]|\\.)*'", re.DOTALL)
_QUOTED_ITEM = re.compile(rf"(?:{_QUOTED.pattern})(?=\s*(?:[,\])]|\Z))", re.DOTALL)
_TOKEN = re.compile(r"\$\{[^}]*\}|.", re.DOTALL)
_FUNCTION = re.compile(r"(choice|range|interval|glob|tag|sort|shuffle|extend_list|str|int|float|bool|json_str)\(.*\)")
_PLAIN = re.compile(r"[A-Za-z0-9_./-]+")
_KEYWORD = re.compile(r"null|true|false", re.IGNORECASE)


def upnet_command(name: str) -> str:
    """The shell command that runs `upnet NAME`, spelled in the way this process was started.

    `python evaluate.py` from a checkout, with the path as seen from the current folder; `python -m upnet evaluate` and
    `upnet evaluate` where these were used or where there is no checkout.
    """
    program = Path(sys.argv[0])
    script = Path(__file__).resolve().parents[2] / f"{name}.py"
    if program.name == "__main__.py" and program.parent.name == "upnet":
        return f"python -m upnet {name}"
    if program.stem == "upnet" or not script.is_file():
        return f"upnet {name}"
    return f"python {quote_for_shell(script.relative_to(Path.cwd()) if script.is_relative_to(Path.cwd()) else script)}"


def quote_path_overrides(words: Sequence[str], multirun: bool = False) -> list[str]:
    """The words of a command line, with the value of every setting in PATH_SETTINGS quoted for Hydra and `~` expanded.

    `null`, quoted values, `${…}` and functions such as `glob(…)` keep their meaning; so do `[A,B]` where a list is
    allowed and, in a multirun, commas between the values of a sweep. Anything else is a file name, character by
    character. Words that are quoted already come back unchanged, apart from the kind of quotes.
    """
    return [_quoted_word(word, multirun) for word in words]


def format_override(name: str, value: object) -> str:
    """`NAME=VALUE` as a word for the shell: it sets the value, whatever characters it has.

    value: None, a bool, a number, text, a path, or a sequence of these.
    """
    return quote_for_shell(f"{name}={_literal(_not_home(value) if name in PATH_SETTINGS else value)}")


def quote_for_shell(text: str | Path) -> str:
    """A text as one word of a shell. What a terminal can't show becomes an escape in $'…', as bash and zsh read it."""
    text = str(text)
    if text.isprintable() and _can_be_shown(text):
        return shlex.quote(text)
    escaped = "".join(
        chr(byte) if 32 <= byte < 127 and chr(byte) not in "'\\" else f"\\{byte:03o}" for byte in os.fsencode(text)
    )
    return f"$'{escaped}'"


def _can_be_shown(text: str) -> bool:
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _quoted_word(word: str, multirun: bool) -> str:
    match = _WORD.fullmatch(word)
    if match is None or match[2] not in PATH_SETTINGS:
        return word
    several = PATH_SETTINGS[match[2]]
    if not multirun:
        return match[1] + _quoted_value(match[3], several)
    return match[1] + ",".join(_quoted_value(part.strip(), several) for part in _split(match[3], nested=True))


def _quoted_value(text: str, several: bool) -> str:
    """A path, or a list of paths where there may be several, as Hydra reads it."""
    if _FUNCTION.fullmatch(text):
        return text
    if several and text.startswith("[") and text.endswith("]"):
        return "[" + ",".join(_quoted_path(item.strip()) for item in _split(text[1:-1], nested=False)) + "]"
    return _quoted_path(text)


def _quoted_path(text: str) -> str:
    if not text or text.lower() == "null":
        return text
    return _quote(os.path.expanduser(_unquoted(text) if _QUOTED.fullmatch(text) else text))


def _split(text: str, nested: bool) -> list[str]:
    """The parts between commas, except those inside quotes, ${…} and, where brackets are `nested`, [] and ()."""
    parts, depth, at = [""], 0, 0
    while at < len(text):
        opens = not parts[-1].strip() or parts[-1].rstrip()[-1] in "[(,"
        match = (_QUOTED_ITEM.match(text, at) if opens else None) or _TOKEN.match(text, at)
        assert match is not None, "a token is any character"
        token, at = match[0], match.end()
        depth = max(0, depth + nested * ((token in "[(") - (token in "])")))
        if token == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += token
    return parts


def _not_home(value: object) -> object:
    """A path that begins with `~` is that of a file of that name, and not in the home folder."""
    if isinstance(value, str | Path):
        return f"./{value}" if str(value).startswith("~") else value
    return [_not_home(one) for one in value] if isinstance(value, Sequence) else value


def _literal(value: object) -> str:
    """A value by Hydra's grammar; `${` in a text stands for itself."""
    if value is None or isinstance(value, bool | int | float):
        return "null" if value is None else str(value).lower()
    if isinstance(value, str | Path):
        return _quote(re.sub(r"(\\*)\$\{", lambda match: rf"{match[1] * 2}\${{", str(value)))
    if isinstance(value, Sequence):
        return "[" + ",".join(map(_literal, value)) + "]"
    raise TypeError(f"a setting is null, true, false, a number, text or a list of these; got {value!r}")


def _quote(text: str) -> str:
    """A text as Hydra reads it, in quotes where it has to be."""
    if _PLAIN.fullmatch(text) and not _KEYWORD.fullmatch(text) and not _reads_as_number(text):
        return text
    escaped = re.sub(r'(\\*)("|\Z)', lambda match: match[1] * 2 + (r"\"" if match[2] else ""), text)
    return f'"{escaped}"'


def _unquoted(text: str) -> str:
    """The content of a quoted value: backslashes are halved before a quote and at the end, and only there."""
    quote, inner = text[0], text[1:-1]
    return re.sub(rf"(\\+)({quote}|\Z)", lambda match: match[1][: len(match[1]) // 2] + match[2], inner)


def _reads_as_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
