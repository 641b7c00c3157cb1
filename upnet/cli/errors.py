"""What a fault is called on the command line: one sentence, with the value, what is allowed, and the cure."""

import re
import sys
from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path

import hydra
from hydra._internal.utils import get_args_parser
from hydra.errors import HydraException, OverrideParseException
from omegaconf import DictConfig, OmegaConf

CONFIGS = Path(__file__).resolve().parents[2] / "configs"

_ODD_CHOICE = "Config group override must be"  # of a ValueError, where the rest are HydraException
_UNKNOWN_KEY = re.compile(r"Could not override '([^']+)'")
_UNKNOWN_CHOICE = re.compile(r"Could not find '([^']+)/([^/']+)'")


def sentence(fault: BaseException) -> str:
    """What to print of a fault. Hydra's own are told anew, since they name no cure and run over many lines."""
    if isinstance(fault, OSError) and fault.filename is not None and fault.strerror:
        return f"{fault.filename}: {fault.strerror}; give a path that can be used"
    if isinstance(fault, HydraException) or str(fault).startswith(_ODD_CHOICE):
        return _of_hydra(fault)
    return str(fault)


def refuse_options(words: Sequence[str], config_name: str) -> None:
    """Raise ValueError for a word that begins with a dash and is none of Hydra's options."""
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
        meant = f"did you mean {near}{dot}{rest}={value or 'VALUE'}?" if near else "--help lists them"
        raise ValueError(f"{word} is not an option of {config_name}.py; settings are given as NAME=VALUE: {meant}")


def folder_refused(fault: BaseException) -> str:
    """What goes wrong with files before a job begins goes wrong with the folder that Hydra makes for it."""
    cause = fault.__cause__ if isinstance(fault.__cause__, OSError) else fault
    if not isinstance(cause, OSError) or cause.filename is None:  # Hydra's missing configs are OSErrors as well
        return sentence(fault)
    return f"{cause.filename} can't be written: {cause.strerror}; name a folder that can by hydra.run.dir=FOLDER"


def _of_hydra(fault: BaseException) -> str:
    text = str(fault)
    if isinstance(fault, OverrideParseException):
        return _unreadable(fault.override)
    if word := text.startswith(_ODD_CHOICE) and _odd_choice():
        group, _, value = word.partition("=")
        return _unknown_choice(group.lstrip("+"), value) if group else _unreadable(word)
    if choice := _UNKNOWN_CHOICE.search(text):
        return _unknown_choice(choice[1], choice[2])
    if key := _UNKNOWN_KEY.match(text):
        return _unknown_setting(key[1])
    return " ".join(text.split())


def _unreadable(word: str) -> str:
    return (
        f"{word} can't be read as a setting: write NAME=VALUE, and quote a value that holds anything but letters, "
        """digits and -_./ of ASCII: 'NAME="VALUE"'"""
    )


def _odd_choice() -> str:
    """The first word of the command line that gives a group something else than one of its choices; or nothing."""
    for word in sys.argv[1:]:
        group, _, value = word.partition("=")
        if _is_group(group) and not re.match(r"[A-Za-z\[]", value.replace("null", "")):
            return word
    return ""


def _is_group(word: str) -> bool:
    return (CONFIGS / word.lstrip("+")).is_dir()


def _unknown_choice(group: str, name: str) -> str:
    from upnet.config.errors import did_you_mean

    names = sorted(path.stem for path in (CONFIGS / group).glob("*.yaml"))
    return (
        f"{group}={name}: {group} has no choice {name}{did_you_mean(name, names) or '.'} There are {', '.join(names)}"
    )


def _unknown_setting(key: str) -> str:
    """Hydra refuses a key before our own check sees it, and doesn't say what may have been meant."""
    from upnet.config.errors import did_you_mean

    groups = [word for word in sys.argv[1:] if _is_group(word.partition("=")[0])]
    groups = [word for word in groups if not re.search(r"[,(]", word)]
    with hydra.initialize_config_dir(str(CONFIGS), version_base="1.3"):
        node = hydra.compose(Path(sys.argv[0]).stem, overrides=groups)
    parent, _, last = key.rpartition(".")
    while parent and not isinstance(OmegaConf.select(node, parent), DictConfig):
        parent, _, last = parent.rpartition(".")
    owner = OmegaConf.select(node, parent) if parent else node
    names = sorted(str(name) for name in owner if not str(name).startswith("_"))
    place = parent or "the root"
    if last in names:
        empty = key.rpartition(".")[0] if OmegaConf.select(node, key) is not None else f"{parent}.{last}".lstrip(".")
        return f"{key}: {empty} is null, and what is null has no settings; give it some, or leave this one out"
    if parent and any(word.startswith(f"{parent}._target_=") for word in sys.argv[1:]):
        return f"{key}: the configs do not name this setting of {parent}; write +{key}=…"
    if not names:
        return f"{key}: {place} has no settings yet; +{key}=… adds one"
    return f"{key}: {place} has no setting {last}{did_you_mean(last, names) or '.'} It has {', '.join(names)}"
