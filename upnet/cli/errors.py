"""Convert errors that Hydra raises before a job begins into UserErrors."""

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise, zip_longest
from pathlib import Path

import hydra
from hydra._internal.utils import get_args_parser
from hydra.errors import HydraException, OverrideParseException
from omegaconf import DictConfig, OmegaConf

from upnet.config.errors import RENAMED_SETTINGS, ConfigError, join_path
from upnet.config.signatures import locate, signature
from upnet.utils.errors import UserError, did_you_mean, join_or
from upnet.utils.paths import CONFIGS

_BAD_CHOICE = "Config group override must be"  # of a ValueError, where Hydra's other errors are HydraException
_MAX_NAMES, _MAX_PATHS = 15, 3  # in one message
_UNKNOWN_KEY = re.compile(r"Could not override '([^']+)'")
_UNKNOWN_CHOICE = re.compile(r"Could not find '([^']+)/([^/']+)'")


def as_user_error(error: Exception, config_name: str, argv: Sequence[str], in_job: bool) -> UserError | None:
    """The UserError for an error of Hydra, or of the run's folder; None for an error that the user can't correct.

    config_name: the name of the command.
    argv:        the arguments after it.
    in_job:      whether the job has begun; before that, an OSError is about the folder that Hydra creates for the run.
    """
    if isinstance(error, UserError):
        return error
    if not in_job:
        cause = error.__cause__ if isinstance(error.__cause__, OSError) else error
        if isinstance(cause, OSError) and cause.filename is not None:  # Hydra's missing configs are OSErrors as well
            cure = "Name a folder that can be written by hydra.run.dir=FOLDER"
            return UserError(f"{cause.filename} can't be written: {cause.strerror}", cure=cure)
    if isinstance(error, HydraException) or str(error).startswith(_BAD_CHOICE):
        return _convert_hydra_error(error, config_name, argv)
    return None


def reject_unknown_options(argv: Sequence[str], config_name: str) -> None:
    """Raise UserError for an argument that begins with a dash and is not one of Hydra's options."""
    parser = get_args_parser()
    options = {name for action in parser._actions for name in action.option_strings}
    info_choices = {
        choice for action in parser._actions if "-i" in action.option_strings for choice in action.choices or ()
    }
    for argument, following in zip_longest(argv, argv[1:], fillvalue=""):
        option, _, value = argument.partition("=")
        if not option.startswith("-"):
            continue
        value = value or ("" if following.startswith("-") or "=" in following else following)
        if option in options and not (option == "-i" and value and value not in info_choices):
            continue
        first, dot, rest = option.lstrip("-").replace("-", "_").partition(".")
        names = [*map(str, OmegaConf.load(CONFIGS / f"{config_name}.yaml")), *(path.name for path in CONFIGS.iterdir())]
        setting = next((name for name in names if first and name.startswith(first)), None)
        hint = f"Did you mean {setting}{dot}{rest}={value or 'VALUE'}?" if setting else "See --help"
        raise UserError(f"{argument} is not an option of {config_name}; settings are given as NAME=VALUE", cure=hint)


def _convert_hydra_error(error: Exception, config_name: str, argv: Sequence[str]) -> UserError:
    text = str(error)
    if isinstance(error, OverrideParseException):
        return _invalid_override(error.override)
    if override := text.startswith(_BAD_CHOICE) and _override_with_bad_choice(argv):
        group, _, value = override.partition("=")
        return _unknown_choice(group.lstrip("+"), value, argv) if group else _invalid_override(override)
    if choice := _UNKNOWN_CHOICE.search(text):
        return _unknown_choice(choice[1], choice[2], argv)
    if key := _UNKNOWN_KEY.match(text):
        return _unknown_setting(key[1], config_name, argv)
    return UserError(" ".join(text.split()))


def _invalid_override(override: str) -> UserError:
    cure = """Quote a value with anything but ASCII letters, digits and -_./: 'NAME="VALUE"'"""
    return UserError(
        f"{override} can't be read as a setting",
        allowed="NAME=VALUE",
        cure=cure if "=" in override else f"Write {override}=VALUE, without spaces",
    )


def _override_with_bad_choice(argv: Sequence[str]) -> str:
    """The first override that gives a config group anything but a name or a list of names, or ""."""
    for override in argv:
        group, _, value = override.partition("=")
        if _is_group(group) and not re.match(r"[A-Za-z\[]", value.replace("null", "")):
            return override
    return ""


def _is_group(name: str) -> bool:
    return (CONFIGS / name.lstrip("+")).is_dir()


def _config_folders(argv: Sequence[str]) -> list[Path]:
    """The shipped configs, and the folder that --config-dir names."""
    named = [following for argument, following in pairwise(argv) if argument in ("--config-dir", "-cd")]
    named += [argument.partition("=")[2] for argument in argv if argument.startswith("--config-dir=")]
    return [CONFIGS, *map(Path, named)]


def _unknown_choice(group: str, name: str, argv: Sequence[str]) -> UserError:
    folders = [folder / group for folder in _config_folders(argv)]
    names = sorted({path.stem for folder in folders for path in folder.glob("*.yaml")})
    nested = [path for folder in folders for path in folder.glob("*/*.yaml") if path.stem == name]
    hint = f"Did you mean {group}={nested[0].parent.name}/{name}?" if nested else did_you_mean(name, names)
    return UserError("unknown choice", setting=group, value=name, allowed=", ".join(names), cure=hint)


def _unknown_setting(key: str, config_name: str, argv: Sequence[str]) -> UserError:
    """The error of a key that Hydra rejects before upnet's own check sees it, with the key that may have been meant."""
    root = _compose_groups(config_name, argv)
    parent, _, last = key.rpartition(".")
    while parent and not isinstance(OmegaConf.select(root, parent), DictConfig):
        parent, _, last = parent.rpartition(".")
    owner = OmegaConf.select(root, parent) if parent else root
    names = sorted(str(name) for name in owner if not str(name).startswith("_"))
    if last in names:
        null_path = (
            key.rpartition(".")[0] if OmegaConf.select(root, key) is not None else f"{parent}.{last}".lstrip(".")
        )
        return UserError(
            f"{null_path} is null and has no settings", setting=key, cure=f"Set {null_path}, or leave {key} out"
        )
    if parent and (any(arg.startswith(f"{parent}._target_=") for arg in argv) or _is_argument(last, owner)):
        return UserError(f"the configs have no such setting of {parent}", setting=key, cure=f"Add it by +{key}=…")
    if not names:
        return UserError(f"{parent or 'the root'} has no settings yet", setting=key, cure=f"Add one by +{key}=…")
    renamed = RENAMED_SETTINGS.get(key)
    hint = f"Did you mean {renamed}?" if renamed else did_you_mean(last, names) or _did_you_mean_elsewhere(last, root)
    hint = hint or _other_command(key, config_name)
    allowed = ", ".join(names) if len(names) <= _MAX_NAMES or not hint else ""
    return UserError(
        f"unknown setting of {parent}" if parent else "unknown setting", setting=key, allowed=allowed, cure=hint
    )


def _compose_groups(config_name: str, argv: Sequence[str]) -> DictConfig:
    """The config with the choices of groups on the command line; the defaults if the command has no such group."""
    groups = [
        argument for argument in argv if _is_group(argument.partition("=")[0]) and not re.search("[,(]", argument)
    ]
    with hydra.initialize_config_dir(str(CONFIGS), version_base="1.3"):
        try:
            return hydra.compose(config_name, overrides=groups)
        except HydraException:
            return hydra.compose(config_name)


def _is_argument(name: str, owner: DictConfig) -> bool:
    """Whether the class or function of a component has an argument of this name, which its yaml does not list."""
    try:
        target = signature(locate(str(owner.get("_target_")), ""))
    except ConfigError:
        return False
    return target is not None and name in target.names


def _did_you_mean_elsewhere(name: str, root: DictConfig) -> str:
    """`Did you mean PATH?` for the settings of this name in other parts of the config, or "" if there are none."""
    paths = [path for path in _paths(root, "") if path.rpartition(".")[2] == name]
    choices = [path.replace(".", "/") if _is_group(path.replace(".", "/")) else path for path in paths]
    return f"Did you mean {join_or(choices[:_MAX_PATHS])}?" if choices else ""


def _other_command(key: str, config_name: str) -> str:
    """A sentence that names the command which has this setting, or "" if no other command has it."""
    first = re.split("[./]", key)[0]
    if config_name == "train":
        return "It is a setting of upnet evaluate" if first in OmegaConf.load(CONFIGS / "evaluate.yaml") else ""
    is_of_train = _is_group(first) or first in OmegaConf.load(CONFIGS / "train.yaml")
    return "It is a setting of upnet train; a checkpoint contains its own" if is_of_train else ""


def _paths(node: DictConfig, path: str) -> Iterator[str]:
    """The path of every setting below a node."""
    for name in map(str, node):
        setting = join_path(path, name)
        yield setting
        if not OmegaConf.is_interpolation(node, name) and not OmegaConf.is_missing(node, name):
            child = node[name]
            if isinstance(child, DictConfig):
                yield from _paths(child, setting)
