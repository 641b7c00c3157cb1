"""Checks of image sizes: LR must be HR / scale, and HR must be large enough for a training crop."""

from collections.abc import Mapping, Sequence

from upnet.audit.finding import Finding, count_noun, join_some
from upnet.audit.image_ops import Size


def check_pair_sizes(hr: Mapping[str, Size], lr: Mapping[str, Size], scale: int) -> list[Finding]:
    """Report LR images whose size is not that of their HR image divided by the scale, rounded down.

    hr, lr: HR name -> (H, W).

    >>> [finding.images for finding in check_pair_sizes({"a": (12, 24)}, {"a": (4, 8)}, scale=2)]
    [['a']]
    """
    wrong = {
        name: (hr[name], size) for name, size in lr.items() if size != (hr[name][0] // scale, hr[name][1] // scale)
    }
    if not wrong:
        return []
    sizes = join_some([f"{name} (HR {_format(large)}, LR {_format(small)})" for name, (large, small) in wrong.items()])
    common_scale = _common_scale(list(wrong.values()))
    hint = f" Their sizes fit scale {common_scale}." if common_scale not in (None, scale) else ""
    count = count_noun(len(wrong), "LR image", ("does", "do"))
    return [
        Finding(
            "sizes",
            f"{count} not have the size of HR / {scale}: {sizes}.{hint}",
            "upnet rejects such pairs because their pixel grids do not coincide.",
            f"Crop HR to a multiple of {scale} and make LR again, for example by upnet.imaging.imresize. If LR is "
            f"HR / {scale} rounded up, set data.lr_rounded_up=true.",
            list(wrong),
            scale,
        )
    ]


def check_crop_size(hr: Mapping[str, Size], scale: int, patch: int) -> list[Finding]:
    """Report HR images, name -> (H, W), that are smaller than a training crop of scale · patch pixels."""
    small = {name: size for name, size in hr.items() if min(side // scale for side in size) < patch}
    if not small:
        return []
    side = patch * scale
    count = count_noun(len(small), "HR image", ("is", "are"))
    sizes = join_some([f"{name} ({_format(size)})" for name, size in small.items()])
    return [
        Finding(
            "sizes",
            f"{count} smaller than {side}×{side}: {sizes}.",
            f"Training at scale {scale} with data.patch={patch} rejects them; they can still be used for evaluation.",
            "Remove them, or train with a smaller data.patch.",
            list(small),
            scale,
        )
    ]


def crop_remark(hr: Mapping[str, Size], scale: int) -> str | None:
    """A remark on HR images, name -> (H, W), that are cropped to a multiple of the scale; None if there are none."""
    cropped = [name for name, size in hr.items() if size[0] % scale or size[1] % scale]
    if not cropped:
        return None
    count = count_noun(len(cropped), "HR image", ("is", "are"))
    return f"{count} cropped at the bottom and right to a multiple of {scale}: {join_some(cropped)}."


def _common_scale(pairs: Sequence[tuple[Size, Size]]) -> int | None:
    """The integer scale that all pairs of HR and LR sizes have; None if there is no such scale."""
    ratios = {max(round(large[0] / small[0]), 1) for large, small in pairs}
    scale = ratios.pop() if len(ratios) == 1 else None
    fits = scale and all(small == (large[0] // scale, large[1] // scale) for large, small in pairs)
    return scale if fits else None


def _format(size: Size) -> str:
    return f"{size[0]}×{size[1]}"
