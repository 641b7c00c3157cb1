"""Errors of Hydra and of files before a job begins, as UserErrors with the setting, what is allowed, and the cure."""

import re
from collections.abc import Sequence
from itertools import pairwise, zip_longest
from pathlib import Path

import hydra
from hydra._internal.utils import get_args_parser
from hydra.errors import HydraException, OverrideParseException
from omegaconf import DictConfig, OmegaConf

from upnet.config.errors import RENAMED_SETTINGS
from upnet.utils.errors import UserError, did_you_mean
from upnet.utils.paths import CONFIGS

_BAD_CHOICE = "Config group override must be"  # of a ValueError, where Hydra's other errors are HydraException
_UNKNOWN_KEY = re.compile(r"Could not override '([^']+)'")
_UNKNOWN_CHOICE = re.compile(r"Could not find '([^']+)/([^/']+)'")


def as_user_error(error: Exception, config_name: str, words: Sequence[str], in_job: bool) -> UserError | None:
    """The UserError for an error of Hydra, or of the run's folder; None for an error that the user can't correct.

    config_name: the command.
    words:       its command line.
    in_job:      whether the job had begun; before that, an OSError is about the folder that Hydra creates for the run.
    """
    if isinstance(error, UserError):
        return error
    if not in_job:
        cause = error.__cause__ if isinstance(error.__cause__, OSError) else error
        if isinstance(cause, OSError) and cause.filename is not None:  # Hydra's missing configs are OSErrors as well
            cure = "Name a folder that can be written by hydra.run.dir=FOLDER"
            return UserError(f"{cause.filename} can't be written: {cause.strerror}", cure=cure)
    if isinstance(error, HydraException) or str(error).startswith(_BAD_CHOICE):
        return _of_hydra(error, config_name, words)
    return None


def reject_unknown_options(words: Sequence[str], config_name: str) -> None:
    """Raise UserError for a word that begins with a dash and is none of Hydra's options."""
    parser = get_args_parser()
    options = {name for action in parser._actions for name in action.option_strings}
    known = {choice for action in parser._actions if "-i" in action.option_strings for choice in action.choices or ()}
    for word, following in zip_longest(words, words[1:], fillvalue=""):
        option, _, value = word.partition("=")
        if not option.startswith("-"):
            continue
        value = value or ("" if following.startswith("-") or "=" in following else following)
        if option in options and not (option == "-i" and value and value not in known):
            continue
        first, dot, rest = option.lstrip("-").replace("-", "_").partition(".")
        names = [*map(str, OmegaConf.load(CONFIGS / f"{config_name}.yaml")), *(path.name for path in CONFIGS.iterdir())]
        near = next((name for name in names if first and name.startswith(first)), None)
        hint = f"Did you mean {near}{dot}{rest}={value or 'VALUE'}?" if near else "See --help"
        raise UserError(f"{word} is not an option of {config_name}; settings are given as NAME=VALUE", cure=hint)


def _of_hydra(error: Exception, config_name: str, words: Sequence[str]) -> UserError:
    text = str(error)
    if isinstance(error, OverrideParseException):
        return _unreadable(error.override)
    if word := text.startswith(_BAD_CHOICE) and _word_with_bad_choice(words):
        group, _, value = word.partition("=")
        return _unknown_choice(group.lstrip("+"), value, words) if group else _unreadable(word)
    if choice := _UNKNOWN_CHOICE.search(text):
        return _unknown_choice(choice[1], choice[2], words)
    if key := _UNKNOWN_KEY.match(text):
        return _unknown_setting(key[1], config_name, words)
    return UserError(" ".join(text.split()))


def _unreadable(word: str) -> UserError:
    return UserError(
        f"{word} can't be read as a setting",
        allowed="NAME=VALUE",
        cure="""Quote a value with anything but ASCII letters, digits and -_./: 'NAME="VALUE"'""",
    )


def _word_with_bad_choice(words: Sequence[str]) -> str:
    """The first word that gives a group something else than one of its choices, or ""."""
    for word in words:
        group, _, value = word.partition("=")
        if _is_group(group) and not re.match(r"[A-Za-z\[]", value.replace("null", "")):
            return word
    return ""


def _is_group(word: str) -> bool:
    return (CONFIGS / word.lstrip("+")).is_dir()


def _config_folders(words: Sequence[str]) -> list[Path]:
    """The shipped configs, and the folder that --config-dir names."""
    named = [following for word, following in pairwise(words) if word in ("--config-dir", "-cd")]
    named += [word.partition("=")[2] for word in words if word.startswith("--config-dir=")]
    return [CONFIGS, *map(Path, named)]


def _unknown_choice(group: str, name: str, words: Sequence[str]) -> UserError:
    names = sorted({path.stem for folder in _config_folders(words) for path in (folder / group).glob("*.yaml")})
    hint = did_you_mean(name, names)
    return UserError("unknown choice", setting=group, value=name, allowed=", ".join(names), cure=hint)


def _unknown_setting(key: str, config_name: str, words: Sequence[str]) -> UserError:
    """Hydra rejects a key before upnet's own check sees it, and doesn't say which key may have been meant."""
    groups = [word for word in words if _is_group(word.partition("=")[0]) and not re.search(r"[,(]", word)]
    with hydra.initialize_config_dir(str(CONFIGS), version_base="1.3"):
        root = hydra.compose(config_name, overrides=groups)
    parent, _, last = key.rpartition(".")
    while parent and not isinstance(OmegaConf.select(root, parent), DictConfig):
        parent, _, last = parent.rpartition(".")
    owner = OmegaConf.select(root, parent) if parent else root
    names = sorted(str(name) for name in owner if not str(name).startswith("_"))
    if last in names:
        null = key.rpartition(".")[0] if OmegaConf.select(root, key) is not None else f"{parent}.{last}".lstrip(".")
        return UserError(f"{null} is null and has no settings", setting=key, cure=f"Set {null}, or leave {key} out")
    if parent and any(word.startswith(f"{parent}._target_=") for word in words):
        return UserError(f"the configs have no such setting of {parent}", setting=key, cure=f"Write +{key}=…")
    if not names:
        return UserError(f"{parent or 'the root'} has no settings yet", setting=key, cure=f"Add one by +{key}=…")
    renamed = RENAMED_SETTINGS.get(key)
    hint = f"Did you mean {renamed}?" if renamed else did_you_mean(last, names)
    return UserError(f"unknown setting of {parent or 'the root'}", setting=key, allowed=", ".join(names), cure=hint)
