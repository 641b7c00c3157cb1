"""Checks of arguments that several operators have."""

from collections.abc import Sequence

from upnet.utils.errors import UserError, join_or


def check_odd(operator: object, setting: str, size: int) -> None:
    """Raise UserError where a kernel size is not an odd positive integer: an even kernel has no central pixel."""
    if size < 1 or size % 2 == 0:
        name = type(operator).__name__
        raise UserError(
            f"{name} needs an odd kernel, which has a centre", setting=setting, value=size, allowed="1, 3, 5, …"
        )


def check_choice(operator: object, setting: str, value: str, choices: Sequence[str]) -> None:
    """Raise UserError where a value is not one of the choices."""
    if value not in choices:
        name = type(operator).__name__
        raise UserError(f"{name} has no such {setting}", setting=setting, value=value, allowed=join_or(choices))


def check_transposed_kernel(operator: object, kernel_size: int, scale: int) -> None:
    """Raise UserError where a transposed convolution of this kernel size cannot upsample by `scale`."""
    name = type(operator).__name__
    if kernel_size < scale:
        raise UserError(
            f"{name} needs a kernel at least as large as the scale, or some output pixels get no input",
            setting="kernel_size",
            value=kernel_size,
            allowed=f"{scale} or more at scale {scale}",
        )
    if scale == 1 and kernel_size % 2 == 0:
        raise UserError(
            f"{name} needs an odd kernel at scale 1, or no padding keeps the size",
            setting="kernel_size",
            value=kernel_size,
            allowed="1, 3, 5, …",
        )
