"""Split an image into tiles, and find the pixels that a tile depends on.

Tiles are on the LR grid, h × w pixels; a receptive field repeats after `period` pixels.
"""

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor

from upnet.utils.receptive_field import PeriodicReceptiveField


class Tile(NamedTuple):
    """The LR pixels of a tile, without context.

    >>> Tile(rows=range(0, 4), cols=range(4, 8)).rows
    range(0, 4)
    """

    rows: range
    cols: range


def split(tile: Tile, side: int, field: PeriodicReceptiveField) -> list[Tile]:
    """Split a tile into tiles of about equal size with at most `side` pixels per side, a multiple of the period.

    >>> field = PeriodicReceptiveField(period=4, before=3, after=3)
    >>> split(Tile(range(4), range(12)), 8, field)
    [Tile(rows=range(0, 4), cols=range(0, 8)), Tile(rows=range(0, 4), cols=range(8, 12))]
    """
    columns = _split_axis(tile.cols, side, field)
    return [Tile(rows, cols) for rows in _split_axis(tile.rows, side, field) for cols in columns]


def round_up(length: int, field: PeriodicReceptiveField) -> int:
    """Round a length up to a multiple of the period.

    >>> round_up(10, PeriodicReceptiveField(period=4, before=3, after=3))
    12
    """
    return -(-length // field.period) * field.period


def with_context(kept: range, length: int, field: PeriodicReceptiveField) -> range:
    """The LR pixels, along an axis of `length` pixels, that the output of the pixels `kept` depends on.

    The range starts at a multiple of the period. It ends at the borders of the image, so that a tile at the border is
    padded like the whole image.

    >>> with_context(range(8, 16), 100, PeriodicReceptiveField(period=4, before=3, after=3))
    range(4, 20)
    """
    start = (kept.start - field.before) // field.period * field.period
    return range(max(0, start), min(length, round_up(kept.stop + field.after, field)))


def tile_view(image: Tensor, tile: Tile, scale: int) -> Tensor:
    """The pixels of a tile in an image (..., scale·h, scale·w), without a copy.

    >>> import torch
    >>> tile_view(torch.zeros(3, 8, 8), Tile(range(1, 3), range(4)), scale=2).shape
    torch.Size([3, 4, 8])
    """
    rows, cols = (slice(scale * pixels.start, scale * pixels.stop) for pixels in tile)
    return image[..., rows, cols]


def relative_to(inner: range, outer: range) -> range:
    """The inner range, relative to the start of the outer one.

    >>> relative_to(range(5, 8), range(4, 10))
    range(1, 4)
    """
    return range(inner.start - outer.start, inner.stop - outer.start)


def full_tile(lr: Tensor) -> Tile:
    """The tile of all pixels of an image (..., h, w).

    >>> import torch
    >>> full_tile(torch.zeros(3, 2, 4))
    Tile(rows=range(0, 2), cols=range(0, 4))
    """
    return Tile(range(lr.shape[-2]), range(lr.shape[-1]))


def largest_with_context(tiles: Sequence[Tile], field: PeriodicReceptiveField, lr: Tensor) -> tuple[int, int]:
    """The largest number of rows, and of columns, of the tiles of an image (..., h, w) with their context.

    >>> import torch
    >>> field = PeriodicReceptiveField(period=4, before=3, after=3)
    >>> largest_with_context([Tile(range(0, 4), range(4, 8))], field, torch.zeros(3, 16, 16))
    (8, 12)
    """
    height, width = lr.shape[-2:]
    rows = max(len(with_context(tile.rows, height, field)) for tile in tiles)
    return rows, max(len(with_context(tile.cols, width, field)) for tile in tiles)


def _split_axis(pixels: range, side: int, field: PeriodicReceptiveField) -> list[range]:
    count = -(-len(pixels) // side)
    step = round_up(-(-len(pixels) // count), field)
    return [range(start, min(start + step, pixels.stop)) for start in range(pixels.start, pixels.stop, step)]
