"""The error of an invalid config, and paths of settings in messages."""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches

from upnet.utils.errors import NOT_GIVEN, UserError, join_or

RENAMED_SETTINGS = {"study.regime": "study.match", "callbacks.grid.pictures": "callbacks.grid.images"}
"""Old path of a setting -> its present one, for hints in errors."""

_MAX_ERRORS = 30
_MAX_NAMES = 15


class ConfigError(UserError):
    """One or more settings of a config are invalid.

    errors: a UserError for each, with the dotted name of the setting. The fields of the ConfigError itself are those of
            the first. Its text has one line for each error.

    >>> print(ConfigError([UserError("must be positive", setting="steps", value=0), UserError("unknown", setting="x")]))
    steps=0: must be positive
    x: unknown
    """

    def __init__(self, errors: Sequence[UserError]) -> None:
        first, self.errors = errors[0], tuple(errors)
        super().__init__(
            first.problem, setting=first.setting, value=first.value, allowed=first.allowed, cure=first.cure
        )

    def __str__(self) -> str:
        lines = list(dict.fromkeys(map(str, self.errors)))
        if len(lines) > _MAX_ERRORS:
            lines[_MAX_ERRORS:] = [f"… and {len(lines) - _MAX_ERRORS} more errors"]
        return "\n".join(lines)

    def __reduce__(self) -> tuple[object, ...]:
        return ConfigError, (self.errors,)


def invalid(
    problem: str, *, setting: str = "", value: object = NOT_GIVEN, allowed: str = "", cure: str = ""
) -> ConfigError:
    """A ConfigError of a single error; the arguments are those of UserError."""
    return ConfigError([UserError(problem, setting=setting, value=value, allowed=allowed, cure=cure)])


def raise_errors(errors: Sequence[UserError]) -> None:
    """Raise ConfigError if there are any errors."""
    if errors:
        raise ConfigError(errors)


def join_path(path: str, key: object) -> str:
    """The path of a key or of a list item below a path, as Hydra writes it.

    >>> join_path("model", "encoder"), join_path("optimizer.betas", 1), join_path("", "steps")
    ('model.encoder', 'optimizer.betas[1]', 'steps')
    """
    if isinstance(key, int):
        return f"{path}[{key}]"
    return f"{path}.{key}" if path else str(key)


def depth(path: str) -> int:
    """The number of keys and list items in a path.

    >>> depth("optimizer.betas[1]")
    3
    """
    return path.count(".") + path.count("[") + 1


def unknown_setting(
    path: str, key: str, value: object, owner: str, names: Sequence[str], known: Mapping[str, Sequence[str]]
) -> UserError:
    """The error of a key that its owner does not accept.

    owner: the component at this path; "" for settings that no component owns.
    names: the keys that the owner accepts.
    known: name of each setting -> its paths in the config, to find a key that belongs to another level.
    """
    setting = join_path(path, key)
    renamed = RENAMED_SETTINGS.get(setting)
    suggestions = [renamed] if renamed else [join_path(path, name) for name in get_close_matches(key, names, n=1)]
    elsewhere = known.get(key, ())
    if not suggestions and not elsewhere:
        elsewhere = [other for name in get_close_matches(key, known, n=1, cutoff=0.75) for other in known[name]]
    nearest = sorted((other for other in elsewhere if other != setting), key=lambda other: _distance(setting, other))
    suggestions += nearest[:2]
    return UserError(
        f"unknown setting of {owner}" if owner else "unknown setting",
        setting=setting,
        value=NOT_GIVEN if isinstance(value, Mapping | list) else value,
        allowed=", ".join(names) if not suggestions and 0 < len(names) <= _MAX_NAMES else "",
        cure=f"Did you mean {join_or(suggestions)}?" if suggestions else "",
    )


def _distance(path: str, other: str) -> int:
    """The number of levels between two paths in the tree."""
    parts, other_parts = path.split("."), other.split(".")
    common = 0
    while common < min(len(parts), len(other_parts)) and parts[common] == other_parts[common]:
        common += 1
    return len(parts) + len(other_parts) - 2 * common
