"""The upsamplers of a network: one per place, the inputs that they require, and the interpolation of the image."""

from collections.abc import Callable, Sequence
from typing import Literal

from upnet.upsample import Bicubic, Bilinear, Nearest, Upsampler
from upnet.utils.errors import UserError, join_or

UpsamplerFactory = Callable[..., Upsampler]
"""Called as upsampler(channels=…, scale=…) or upsampler(channels=…, scale=…, out_channels=…)."""

Interpolation = Literal["bicubic", "bilinear", "nearest"]
_INTERPOLATIONS: dict[str, type[Upsampler]] = {"bicubic": Bicubic, "bilinear": Bilinear, "nearest": Nearest}


def assign_upsamplers(
    upsampler: UpsamplerFactory | Sequence[UpsamplerFactory] | None, places: Sequence[str]
) -> list[UpsamplerFactory]:
    """One factory per place, from the coarsest grid to the finest: the single one repeated, or the list itself.

    places: the names of the places, for error messages.

    Raises UserError if the number of upsamplers doesn't match the number of places.

    >>> from upnet.upsample import Nearest
    >>> assign_upsamplers(Nearest, ["level 1", "level 0"]) == [Nearest, Nearest]
    True
    """
    if not places:
        if upsampler is not None:
            raise UserError(
                "there is no place for an upsampler: with input=interpolated and an encoder of depth 0 the network "
                "has a single grid",
                setting="upsampler",
                allowed="null",
                cure="Give the encoder a depth, or set input=lr",
            )
        return []
    names = ", ".join(places)
    if upsampler is None:
        raise UserError(
            f"the network has {len(places)} places for an upsampler: {names}",
            setting="upsampler",
            value=None,
            allowed="one upsampler for all places, or a list of one per place",
        )
    if callable(upsampler):
        return [upsampler] * len(places)
    if len(upsampler) != len(places):
        raise UserError(
            f"the list has {len(upsampler)} upsamplers for {len(places)} places",
            setting="upsampler",
            allowed=f"one upsampler for all places, or one each for {names}",
        )
    return list(upsampler)


def check_requirements(upsampler: Upsampler, place: str, provided: frozenset[str], cure: str) -> None:
    """Raise UserError if the upsampler reads a field of its Site that is not provided at this place."""
    missing = sorted(upsampler.requires - provided)
    if missing:
        raise UserError(
            f"{type(upsampler).__name__} at {place} requires {', '.join(missing)}, which nothing provides there",
            cure=cure,
        )


def build_interpolation(name: Interpolation, channels: int, scale: float) -> Upsampler:
    """The interpolation of an image of `channels` channels; bicubic is Keys' kernel with a = −0.5.

    Raises UserError for an unknown name.

    >>> build_interpolation("bicubic", channels=3, scale=2).extra_repr()
    'channels=3, scale=2, out_channels=3, kernel=keys, a=-0.5'
    """
    if name not in _INTERPOLATIONS:
        allowed = join_or(_INTERPOLATIONS)
        raise UserError("is not an interpolation", setting="interpolation", value=name, allowed=allowed)
    return _INTERPOLATIONS[name](channels, scale)
