"""LR that isn't HR / scale, and pictures too small to be trained on."""

from collections.abc import Mapping, Sequence

from upnet.audit.finding import Finding, some

Size = tuple[int, int]


def check_pairs(hr: Mapping[str, Size], lr: Mapping[str, Size], scale: int) -> list[Finding]:
    """Sizes (H, W) by HR name: LR has to be HR / scale, rounded down."""
    wrong = {
        name: (hr[name], size) for name, size in lr.items() if size != (hr[name][0] // scale, hr[name][1] // scale)
    }
    if not wrong:
        return []
    told = some(
        [f"{name} (HR {_size(large)}, LR {_size(small)})" for name, (large, small) in wrong.items()],
    )
    guess = _ratio(list(wrong.values()))
    hint = f" They look like scale {guess}." if guess not in (None, scale) else ""
    return [
        Finding(
            "sizes",
            f"{len(wrong)} LR picture{'s are' if len(wrong) > 1 else ' is'} not HR / {scale} in size: {told}.{hint}",
            "upnet refuses such pairs: no pixel of LR would lie where the network expects it.",
            f"Crop HR to a multiple of {scale} and make LR again, for example with upnet.imaging.imresize; "
            f"LR of HR / {scale} "
            "rounded up is accepted by data.lr_rounded_up=true.",
            list(wrong),
            scale,
        )
    ]


def check_patch(hr: Mapping[str, Size], scale: int, patch: int) -> list[Finding]:
    """Sizes (H, W) by HR name: every picture has to hold a training crop of scale * patch pixels."""
    small = {name: size for name, size in hr.items() if min(side // scale for side in size) < patch}
    if not small:
        return []
    told = some([f"{name} ({_size(size)})" for name, size in small.items()])
    side = patch * scale
    return [
        Finding(
            "sizes",
            f"{len(small)} HR picture{'s are' if len(small) > 1 else ' is'} smaller than {side}×{side}: {told}.",
            f"Training at scale {scale} with data.patch={patch} refuses them; they can still be scored.",
            "Take them out, or train with a smaller data.patch.",
            list(small),
            scale,
        )
    ]


def odd(hr: Mapping[str, Size], scale: int) -> str | None:
    """A remark on HR pictures that will be cropped to a multiple of the scale."""
    cropped = [name for name, size in hr.items() if size[0] % scale or size[1] % scale]
    if not cropped:
        return None
    told = "HR pictures are no multiples" if len(cropped) > 1 else "HR picture is no multiple"
    return f"{len(cropped)} {told} of {scale}; the bottom and the right are cropped, as usual: {some(cropped)}."


def _ratio(pairs: Sequence[tuple[Size, Size]]) -> int | None:
    """The one whole scale that all pairs of sizes agree on; None where there is none."""
    ratios = {max(round(large[0] / small[0]), 1) for large, small in pairs}
    guess = ratios.pop() if len(ratios) == 1 else None
    fits = guess and all(small == (large[0] // guess, large[1] // guess) for large, small in pairs)
    return guess if fits else None


def _size(size: Size) -> str:
    return f"{size[0]}×{size[1]}"
