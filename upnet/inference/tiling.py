"""A network on a picture, whole or tile by tile."""

import functools
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from upnet.inference.memory import fits, leaves, ran_out
from upnet.models.base import Tileable
from upnet.utils.receptive_field import Margin, UnknownReachError


class Tile(NamedTuple):
    """The LR pixels of one tile, without what lies around it."""

    rows: range
    cols: range


def split(tile: Tile, side: int, margin: Margin) -> list[Tile]:
    """The tile as tiles of up to `side` pixels, a multiple of the alignment, all about equally large."""
    return [Tile(rows, cols) for rows in _pieces(tile.rows, side, margin) for cols in _pieces(tile.cols, side, margin)]


def _pieces(line: range, side: int, margin: Margin) -> list[range]:
    count = -(-len(line) // side)
    step = margin.aligned(-(-len(line) // count))
    return [range(start, min(start + step, line.stop)) for start in range(line.start, line.stop, step)]


log = logging.getLogger(__name__)

Tiling = Literal["auto", "none"] | int
"""Side of the tiles in LR pixels; `auto` for tiles only where memory asks for them, `none` for never."""


class TooLargeError(ValueError):
    """A picture that doesn't fit into memory, and can't be cut small enough."""


def enlarge_in_tiles(net: Tileable, lr: Tensor, tile: Tiling) -> Tensor:
    """(N, C, h, w) -> (N, C, scale·h, scale·w), as the network makes it of the whole picture.

    Each tile is computed with as much around it as its pixels look at, see `Tileable.margin`. A side that is no
    multiple of the margin's alignment is rounded up to one.

    Raises ValueError for other values of `tile`, for tiles where a part of the network doesn't say how far its pixels
    look, and with `auto` where not even the smallest tile fits into memory.
    """
    if tile == "none":
        return net(lr)
    if tile == "auto":
        return _as_memory_allows(net, lr)
    if not isinstance(tile, int) or isinstance(tile, bool) or tile < 1:
        raise ValueError(f"tile is auto, none, or the side of a tile in LR pixels from 1 on; got {tile!r}")
    margin = net.margin
    tiles = split(_whole(lr), margin.aligned(tile), margin)
    if len(tiles) == 1:
        return net(lr)
    canvas = _Canvas(net, lr, margin)
    for one in tiles:
        canvas.fill(one)
    return canvas.output


def _as_memory_allows(net: Tileable, lr: Tensor) -> Tensor:
    on_cpu = lr.device.type == "cpu"
    if not on_cpu or fits(net, lr.shape, beside=0):
        with _let_run_out():
            return net(lr)
    margin, canvas = _margin(net, lr), None
    tiles, side = [_whole(lr)], max(lr.shape[-2:])
    while tiles:
        if lr.is_cuda:
            torch.cuda.empty_cache()  # so that no block of another size stands in the way
        if side <= margin.alignment:
            raise TooLargeError(f"{_too_large(lr)}, not even in tiles of {side} and what they look at")
        side = margin.aligned(-(-side // 2))
        tiles = [piece for tile in tiles for piece in split(tile, side, margin)]
        shape = (*lr.shape[:2], *_largest(tiles, margin, lr))
        if on_cpu and not fits(net, shape, beside=net.scale**2 * lr.nbytes):
            continue
        with _let_run_out():
            canvas = _Canvas(net, lr, margin) if canvas is None else canvas
            while tiles:
                canvas.fill(tiles[0])
                tiles.pop(0)
    assert canvas is not None
    _tell(_too_large(lr), side)
    return canvas.output


@functools.cache
def _tell(too_large: str, side: int) -> None:
    """Once each: a training scores the same pictures again and again."""
    log.warning("%s as a whole; it is computed in tiles of %d, and comes out the same within 1e-5", too_large, side)


class _Canvas:
    """An output that is filled tile by tile."""

    def __init__(self, net: Tileable, lr: Tensor, margin: Margin) -> None:
        self.net, self.lr, self.margin = net, lr, margin
        self.output = lr.new_empty(*lr.shape[:2], *(net.scale * side for side in lr.shape[2:]))
        self._interpolated: tuple[Tensor, Tensor | None] | None = None
        # Interpolated as a whole, the picture is the same to the last bit, however a product's sums are blocked: where
        # two pixels of a flat area are as large, a pooling then chooses as it does in the whole picture.
        if lr.device.type != "cpu" or leaves(4 * self.output.nbytes):
            with _let_run_out():
                self._interpolated = net.interpolated(lr)

    def fill(self, tile: Tile) -> None:
        """Compute one tile and write it."""
        height, width = self.lr.shape[-2:]
        around = Tile(self.margin.around(tile.rows, height), self.margin.around(tile.cols, width))
        if self._interpolated is None:
            made = self.net(self._cut(self.lr, around))
        else:
            entry, base = self._interpolated
            made = self.net.completed(self._cut(entry, around), None if base is None else self._cut(base, around))
        inner = Tile(_within(tile.rows, around.rows), _within(tile.cols, around.cols))
        _part(self.output, tile, self.net.scale).copy_(_part(made, inner, self.net.scale))

    def _cut(self, plane: Tensor, around: Tile) -> Tensor:
        """A part of LR, or of what was interpolated of it."""
        return _part(plane, around, plane.shape[-1] // self.lr.shape[-1]).contiguous()


@contextmanager
def _let_run_out() -> Iterator[None]:
    """Leave the block where memory is refused, and go on behind it; what the block held is given back by then."""
    try:
        yield
    except (MemoryError, RuntimeError) as fault:
        if not ran_out(fault):
            raise


def _part(plane: Tensor, tile: Tile, times: int) -> Tensor:
    """The pixels of a tile of LR pixels on a grid so many times as fine."""
    rows, cols = (slice(times * line.start, times * line.stop) for line in tile)
    return plane[..., rows, cols]


def _within(part: range, whole: range) -> range:
    """The part, counted from the first of the whole."""
    return range(part.start - whole.start, part.stop - whole.start)


def _whole(lr: Tensor) -> Tile:
    return Tile(range(lr.shape[-2]), range(lr.shape[-1]))


def _largest(tiles: Sequence[Tile], margin: Margin, lr: Tensor) -> tuple[int, int]:
    """The most rows, and the most columns, that one of the tiles is computed with."""
    height, width = lr.shape[-2:]
    rows = max(len(margin.around(tile.rows, height)) for tile in tiles)
    return rows, max(len(margin.around(tile.cols, width)) for tile in tiles)


def _margin(net: Tileable, lr: Tensor) -> Margin:
    try:
        return net.margin
    except UnknownReachError as reason:
        raise TooLargeError(f"{_too_large(lr)}, and can't be cut into tiles: {reason}") from reason


def _too_large(lr: Tensor) -> str:
    return f"a picture of {lr.shape[-1]}×{lr.shape[-2]} pixels doesn't fit into the memory of {lr.device}"
