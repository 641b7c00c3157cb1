"""Quote file names in Hydra overrides, and print commands that can be pasted into a shell.

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

_SINGLE_PATHS = (
    "ckpt run_dir hydra.run.dir hydra.sweep.dir hydra.sweep.subdir study input output export data.cache_dir "
    "data.train.root data.train.hr data.train.lr data.test.root logger.save_dir callbacks.checkpoints.folder "
    "trainer.default_root_dir"
)
_PATH_LISTS = "checkpoint results data.root data.val_root"

PATH_SETTINGS: dict[str, bool] = {
    **dict.fromkeys(_SINGLE_PATHS.split(), False),
    **dict.fromkeys(_PATH_LISTS.split(), True),
}
"""Every setting that is a path -> whether it may be a list of paths."""

# Parts of Hydra's grammar, https://hydra.cc/docs/advanced/override_grammar/basic/
_OVERRIDE = re.compile(r"(\+{0,2}([\w.]+)=)(.+)", re.DOTALL)
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"|' r"'(?:[^'\\]|\\.)*'", re.DOTALL)
_QUOTED_ITEM = re.compile(rf"(?:{_QUOTED.pattern})(?=\s*(?:[,\])]|\Z))", re.DOTALL)
_TOKEN = re.compile(r"\$\{[^}]*\}|.", re.DOTALL)
_FUNCTION = re.compile(r"(choice|range|interval|glob|tag|sort|shuffle|extend_list|str|int|float|bool|json_str)\(.*\)")
_UNQUOTED_TEXT = re.compile(r"[A-Za-z0-9_./-]+")
_KEYWORD = re.compile(r"null|true|false", re.IGNORECASE)


def upnet_command(name: str) -> str:
    """The shell command that runs `upnet NAME`, in the form in which this process was started.

    `python evaluate.py` in a checkout, with its path relative to the current folder; `python -m upnet evaluate` or
    `upnet evaluate` if this process was started so, or if there is no checkout.

    >>> upnet_command("evaluate").split()[-1].removesuffix(".py").endswith("evaluate")
    True
    """
    program = Path(sys.argv[0])
    script = Path(__file__).resolve().parents[2] / f"{name}.py"
    if program.name == "__main__.py" and program.parent.name == "upnet":
        return f"python -m upnet {name}"
    if program.stem == "upnet" or not script.is_file():
        return f"upnet {name}"
    return f"python {quote_for_shell(script.relative_to(Path.cwd()) if script.is_relative_to(Path.cwd()) else script)}"


def quote_path_overrides(words: Sequence[str], multirun: bool = False) -> list[str]:
    """Quote for Hydra the values of all settings in PATH_SETTINGS on a command line, and expand `~` in them.

    `null`, quoted values, `${…}` and functions such as `glob(…)` keep their meaning, and so do `[A,B]` where a list is
    allowed and, in a multirun, the commas between the values of a sweep. Any other value is a file name and is taken
    literally. Quoted words are returned unchanged, except that single quotes become double quotes.

    >>> quote_path_overrides(["input=a b.png", "scale=2"])
    ['input="a b.png"', 'scale=2']
    """
    return [_quote_override(word, multirun) for word in words]


def format_override(name: str, value: object) -> str:
    """Format `NAME=VALUE` as one word of a shell command. Hydra parses it to exactly this value.

    value: None, a bool, a number, text, a path, or a sequence of these.

    Raises TypeError for any other value.

    >>> format_override("scale", 2), format_override("ckpt", None)
    ('scale=2', 'ckpt=null')
    """
    return quote_for_shell(f"{name}={_to_hydra(_escape_tilde(value) if name in PATH_SETTINGS else value)}")


def quote_for_shell(text: str | Path) -> str:
    """Quote a text as one word of the shell: cmd.exe and PowerShell on Windows, a POSIX shell elsewhere.

    Characters that the terminal cannot show become escapes in $'…' for bash and zsh.

    >>> quote_for_shell("results.json")
    'results.json'
    """
    text = str(text)
    if os.name == "nt":
        return text if _WINDOWS_WORD.fullmatch(text) else _double_quote(text)
    if text.isprintable() and _terminal_shows(text):
        return shlex.quote(text)
    escaped = "".join(
        chr(byte) if 32 <= byte < 127 and chr(byte) not in "'\\" else f"\\{byte:03o}" for byte in os.fsencode(text)
    )
    return f"$'{escaped}'"


_WINDOWS_WORD = re.compile(r"[\w./\\:=+@-]+")
"""Words without a special character of cmd.exe or PowerShell."""


def _terminal_shows(text: str) -> bool:
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _quote_override(word: str, multirun: bool) -> str:
    match = _OVERRIDE.fullmatch(word)
    if match is None or match[2] not in PATH_SETTINGS:
        return word
    is_list = PATH_SETTINGS[match[2]]
    if not multirun:
        return match[1] + _quote_value(match[3], is_list)
    return match[1] + ",".join(_quote_value(item.strip(), is_list) for item in _split(match[3], nested=True))


def _quote_value(text: str, is_list: bool) -> str:
    """Quote a path, or each path of a list if the setting may be one."""
    if _FUNCTION.fullmatch(text):
        return text
    if is_list and text.startswith("[") and text.endswith("]"):
        return "[" + ",".join(_quote_path(item.strip()) for item in _split(text[1:-1], nested=False)) + "]"
    return _quote_path(text)


def _quote_path(text: str) -> str:
    if not text or text.lower() == "null":
        return text
    return _quote_text(os.path.expanduser(_unquote(text) if _QUOTED.fullmatch(text) else text))


def _split(text: str, nested: bool) -> list[str]:
    """Split at commas, except those inside quotes, ${…} and, if `nested`, inside [] and ()."""
    parts, depth, position = [""], 0, 0
    while position < len(text):
        starts_item = not parts[-1].strip() or parts[-1].rstrip()[-1] in "[(,"
        match = (_QUOTED_ITEM.match(text, position) if starts_item else None) or _TOKEN.match(text, position)
        assert match is not None, "a token is any character"
        token, position = match[0], match.end()
        depth = max(0, depth + nested * ((token in "[(") - (token in "])")))
        if token == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += token
    return parts


def _escape_tilde(value: object) -> object:
    """Write a path that begins with `~` as `./~…`: it names a file, not the home folder."""
    if isinstance(value, str | Path):
        return f"./{value}" if str(value).startswith("~") else value
    return [_escape_tilde(item) for item in value] if isinstance(value, Sequence) else value


def _to_hydra(value: object) -> str:
    """Format a value in Hydra's grammar; `${` in a text stands for itself."""
    if value is None or isinstance(value, bool | int | float):
        return "null" if value is None else str(value).lower()
    if isinstance(value, str | Path):
        return _quote_text(re.sub(r"(\\*)\$\{", lambda match: rf"{match[1] * 2}\${{", str(value)))
    if isinstance(value, Sequence):
        return "[" + ",".join(map(_to_hydra, value)) + "]"
    raise TypeError(f"a setting is null, true, false, a number, text or a list of these; got {value!r}")


def _quote_text(text: str) -> str:
    """Quote a text for Hydra if its grammar requires quotes."""
    is_plain = _UNQUOTED_TEXT.fullmatch(text) and not _KEYWORD.fullmatch(text) and not _is_number(text)
    return text if is_plain else _double_quote(text)


def _double_quote(text: str) -> str:
    """Put a text in double quotes. Hydra and Windows agree: backslashes are doubled before a quote and at the end."""
    escaped = re.sub(r'(\\*)("|\Z)', lambda match: match[1] * 2 + (r"\"" if match[2] else ""), text)
    return f'"{escaped}"'


def _unquote(text: str) -> str:
    """The content of a quoted value: backslashes are halved before a quote and at the end, and only there."""
    quote, inner = text[0], text[1:-1]
    return re.sub(rf"(\\+)({quote}|\Z)", lambda match: match[1][: len(match[1]) // 2] + match[2], inner)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
