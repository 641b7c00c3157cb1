"""What a fault is called: where it lies, what was said, and what may have been meant."""

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches

_LONGEST = 80
_MOST_FAULTS = 30
_MOST_NAMES = 15


class ConfigError(ValueError):
    """One or more faults of a config, a sentence and a line each, every one opening with its path: `model.scale: …`."""


def refuse(faults: Iterable[str]) -> None:
    """Raise ConfigError with a line for each fault, if there is one."""
    lines = list(dict.fromkeys(faults))
    if len(lines) > _MOST_FAULTS:
        lines[_MOST_FAULTS:] = [f"… and {len(lines) - _MOST_FAULTS} more faults"]
    if lines:
        raise ConfigError("\n".join(lines))


def below(path: str, key: object) -> str:
    """The path of a key, or of a list's item, as Hydra writes it: `model.encoder`, `betas[1]`."""
    if isinstance(key, int):
        return f"{path}[{key}]"
    return f"{path}.{key}" if path else str(key)


def depth(path: str) -> int:
    """How many levels below the root a path leads."""
    return path.count(".") + path.count("[") + 1


def shown(value: object) -> str:
    """A value on one short line, in the words of a yaml file: 'text', true, null, 3."""
    if isinstance(value, bool):
        return "true" if value else "false"
    text = "null" if value is None else repr(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def either(words: Iterable[str]) -> str:
    """`a, b or c`, each once."""
    *most, last = dict.fromkeys(words)
    return f"{', '.join(most)} or {last}" if most else last


def did_you_mean(word: str, names: Iterable[str]) -> str:
    """`: did you mean Transposed?`, or nothing where no name is like the word."""
    close = get_close_matches(word, list(names), n=1)
    return f": did you mean {close[0]}?" if close else ""


def unknown(path: str, key: str, owner: str, names: Sequence[str], places: Mapping[str, Sequence[str]]) -> str:
    """The sentence for a key that its owner doesn't take.

    owner:  the component at this path; empty for settings that no component owns.
    names:  what may stand there.
    places: every setting's name -> the paths at which the config may have it, to find a key on the wrong level.
    """
    here = below(path, key)
    offers = [below(path, name) for name in get_close_matches(key, names, n=1)]
    elsewhere = places.get(key, ())
    if not offers and not elsewhere:
        elsewhere = [place for name in get_close_matches(key, places, n=1, cutoff=0.75) for place in places[name]]
    near = sorted((place for place in elsewhere if place != here), key=lambda place: _levels_between(here, place))
    offers += near[:2]
    sentence = f"{here} is not a setting of {owner}" if owner else f"{here} is not a setting"
    if offers:
        return f"{sentence}: did you mean {either(offers)}?"
    return f"{sentence}; there are {', '.join(names)}" if 0 < len(names) <= _MOST_NAMES else sentence


def _levels_between(one: str, other: str) -> int:
    ones, others = one.split("."), other.split(".")
    common = 0
    while common < min(len(ones), len(others)) and ones[common] == others[common]:
        common += 1
    return len(ones) + len(others) - 2 * common
