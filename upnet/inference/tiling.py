"""Upsampling of an image by a network, as a whole or in tiles.

Shape legend: N images; C channels; h, w LR pixels; s scale. A tile is kept without context; it is computed with the
context that its pixels depend on, so that the output equals that of the whole image.
"""

import functools
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from upnet.inference.memory import fits, has_free, is_oom
from upnet.models import EncoderDecoder
from upnet.utils.errors import UserError
from upnet.utils.receptive_field import PeriodicReceptiveField, UnknownReceptiveFieldError

log = logging.getLogger(__name__)

Tiling = Literal["auto", "none"] | int
"""The side of a tile in LR pixels; `none`: no tiles; `auto`: tiles only if the whole image doesn't fit into memory."""


class ImageTooLargeError(UserError):
    """An image that doesn't fit into memory, and that cannot be split into tiles that do."""


class Tile(NamedTuple):
    """The LR pixels of a tile."""

    rows: range
    cols: range


def upscale_in_tiles(net: EncoderDecoder, lr: Tensor, tile: Tiling) -> Tensor:
    """(N, C, h, w) -> (N, C, s·h, s·w), equal to net(lr) up to rounding.

    tile: a side is rounded up to a multiple of the period of the network's receptive field.

    Raises UserError for other values of `tile`, UnknownReceptiveFieldError if tiles are requested and a module of the
    network doesn't declare its receptive field, and ImageTooLargeError if with `auto` the smallest tile doesn't fit
    into memory.
    """
    if tile == "none":
        return net(lr)
    if tile == "auto":
        return _upscale_within_memory(net, lr)
    if not isinstance(tile, int) or isinstance(tile, bool) or tile < 1:
        raise UserError(
            "is no tile size",
            setting="tile",
            value=tile,
            allowed="auto, none, or the side of a tile in LR pixels, an integer of at least 1",
        )
    field = net.receptive_field
    tiles = split(_full_tile(lr), round_up(tile, field), field)
    if len(tiles) == 1:
        return net(lr)
    canvas = _Canvas(net, lr, field)
    for part in tiles:
        canvas.fill(part)
    return canvas.output


def split(tile: Tile, side: int, field: PeriodicReceptiveField) -> list[Tile]:
    """Split a tile into tiles of at most `side` pixels, a multiple of the period, of about equal size."""
    columns = _split_axis(tile.cols, side, field)
    return [Tile(rows, cols) for rows in _split_axis(tile.rows, side, field) for cols in columns]


def round_up(length: int, field: PeriodicReceptiveField) -> int:
    """The length, rounded up to a multiple of the period.

    >>> round_up(10, PeriodicReceptiveField(period=4, before=3, after=3))
    12
    """
    return -(-length // field.period) * field.period


def with_context(kept: range, length: int, field: PeriodicReceptiveField) -> range:
    """The LR pixels along one axis that some of its `length` pixels depend on, starting at a multiple of the period.

    It ends at the borders of the image, where a network pads; for a tile at the border it pads in the same way.

    >>> with_context(range(8, 16), 100, PeriodicReceptiveField(period=4, before=3, after=3))
    range(4, 20)
    """
    start = (kept.start - field.before) // field.period * field.period
    return range(max(0, start), min(length, round_up(kept.stop + field.after, field)))


def _upscale_within_memory(net: EncoderDecoder, lr: Tensor) -> Tensor:
    """The whole image if it fits into memory, else tiles whose side is halved until they fit."""
    on_cpu = lr.device.type == "cpu"
    if not on_cpu or fits(net, lr.shape, extra=0):
        with _continue_when_out_of_memory():
            return net(lr)
    field, canvas = _require_receptive_field(net, lr), None
    tiles, side = [_full_tile(lr)], max(lr.shape[-2:])
    while tiles:
        if lr.is_cuda:
            torch.cuda.empty_cache()  # cached blocks of other sizes cannot be used
        if side <= field.period:
            raise ImageTooLargeError(
                f"{_too_large(lr)}, not even in tiles of {side} pixels and their context", cure=_FREE_MEMORY
            )
        side = round_up(-(-side // 2), field)
        tiles = [part for tile in tiles for part in split(tile, side, field)]
        shape = (*lr.shape[:2], *_largest_with_context(tiles, field, lr))
        if on_cpu and not fits(net, shape, extra=net.scale**2 * lr.nbytes):
            continue
        with _continue_when_out_of_memory():
            canvas = _Canvas(net, lr, field) if canvas is None else canvas
            while tiles:
                canvas.fill(tiles[0])
                tiles.pop(0)
    assert canvas is not None
    _log_once(_too_large(lr))
    return canvas.output


class _Canvas:
    """The output of a network, filled tile by tile."""

    def __init__(self, net: EncoderDecoder, lr: Tensor, field: PeriodicReceptiveField) -> None:
        self.net, self.lr, self.field = net, lr, field
        self.output = lr.new_empty(*lr.shape[:2], *(net.scale * side for side in lr.shape[2:]))
        self._prepared: tuple[Tensor, Tensor | None] | None = None
        # Interpolating the whole image once gives the same bits as without tiles. In flat areas, where pixels are equal
        # up to rounding, max-pooling then selects the same pixels as without tiles.
        if lr.device.type != "cpu" or has_free(4 * self.output.nbytes):
            with _continue_when_out_of_memory():
                self._prepared = net.prepare(lr)

    def fill(self, tile: Tile) -> None:
        """Compute one tile and write it to the output."""
        height, width = self.lr.shape[-2:]
        context = Tile(with_context(tile.rows, height, self.field), with_context(tile.cols, width, self.field))
        if self._prepared is None:
            computed = self.net(self._crop(self.lr, context))
        else:
            x, base = self._prepared
            computed = self.net.refine(self._crop(x, context), None if base is None else self._crop(base, context))
        inner = Tile(_relative_to(tile.rows, context.rows), _relative_to(tile.cols, context.cols))
        _view(self.output, tile, self.net.scale).copy_(_view(computed, inner, self.net.scale))

    def _crop(self, image: Tensor, tile: Tile) -> Tensor:
        """A tile of the LR image, or of an image interpolated from it."""
        return _view(image, tile, image.shape[-1] // self.lr.shape[-1]).contiguous()


@contextmanager
def _continue_when_out_of_memory() -> Iterator[None]:
    """Leave the block when memory runs out, and continue after it; the tensors of the block are freed by then."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_oom(error):
            raise


@functools.cache
def _log_once(too_large: str) -> None:
    """Training evaluates the same images many times; the side of the tiles depends on the memory of the moment."""
    log.warning("%s; it is computed in tiles; the output is the same within 1e-5", too_large)


def _split_axis(pixels: range, side: int, field: PeriodicReceptiveField) -> list[range]:
    count = -(-len(pixels) // side)
    step = round_up(-(-len(pixels) // count), field)
    return [range(start, min(start + step, pixels.stop)) for start in range(pixels.start, pixels.stop, step)]


def _view(image: Tensor, tile: Tile, scale: int) -> Tensor:
    """The pixels of a tile of LR pixels, on a grid `scale` times as fine."""
    rows, cols = (slice(scale * pixels.start, scale * pixels.stop) for pixels in tile)
    return image[..., rows, cols]


def _relative_to(inner: range, outer: range) -> range:
    """The inner range, counted from the start of the outer one."""
    return range(inner.start - outer.start, inner.stop - outer.start)


def _full_tile(lr: Tensor) -> Tile:
    return Tile(range(lr.shape[-2]), range(lr.shape[-1]))


def _largest_with_context(tiles: Sequence[Tile], field: PeriodicReceptiveField, lr: Tensor) -> tuple[int, int]:
    """The largest number of rows, and of columns, that a tile is computed with."""
    height, width = lr.shape[-2:]
    rows = max(len(with_context(tile.rows, height, field)) for tile in tiles)
    return rows, max(len(with_context(tile.cols, width, field)) for tile in tiles)


_FREE_MEMORY = "Free memory, or use a smaller network or image"


def _require_receptive_field(net: EncoderDecoder, lr: Tensor) -> PeriodicReceptiveField:
    try:
        return net.receptive_field
    except UnknownReceptiveFieldError as error:
        raise ImageTooLargeError(
            f"{_too_large(lr)}, and it cannot be split into tiles: {error.problem}", cure=error.cure
        ) from error


def _too_large(lr: Tensor) -> str:
    return f"an image of {lr.shape[-1]}×{lr.shape[-2]} pixels doesn't fit into the memory of {lr.device} as a whole"
