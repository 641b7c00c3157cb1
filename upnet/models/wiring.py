"""Which operator fills which place, and whether it can."""

from collections.abc import Callable, Sequence

from upnet.upsample import Upsampler

UpsamplerFactory = Callable[..., Upsampler]
"""Called as upsampler(channels=…, scale=…) or upsampler(channels=…, scale=…, out_channels=…)."""


def share_out(upsampler: UpsamplerFactory | Sequence[UpsamplerFactory] | None, names: Sequence[str]) -> list:
    """One factory per place: the single one repeated, or the list as it stands, from the coarsest grid to the finest.

    Raises ValueError where the list is of another length than the places, or the two contradict each other.
    """
    places = ", ".join(names)
    if not names:
        if upsampler is not None:
            raise ValueError(
                "upsampler must be null: with input=interpolated and an encoder of depth 0 no feature map grows, so "
                "there is no place to fill; give the encoder a depth, or set input=lr"
            )
        return []
    if upsampler is None:
        raise ValueError(f"upsampler is null, but there are places to fill: {places}; choose an operator")
    if callable(upsampler):
        return [upsampler] * len(names)
    if len(upsampler) != len(names):
        raise ValueError(
            f"upsampler lists {len(upsampler)} operators for {len(names)} places; "
            f"give one for all, or one each for: {places}"
        )
    return list(upsampler)


def admit(operator: Upsampler, place: str, provided: frozenset[str], cure: str) -> Upsampler:
    """The operator itself. Raises ValueError where it reads a field of its site that nothing fills at this place."""
    missing = sorted(operator.requires - provided)
    if missing:
        raise ValueError(
            f"{type(operator).__name__} at {place} needs {', '.join(missing)}, which nothing leaves there: {cure}"
        )
    return operator
