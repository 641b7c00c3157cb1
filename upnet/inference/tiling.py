"""Upscale an image with a network, as a whole or in tiles.

A tile is computed together with its context, the pixels around it that its output depends on, so that the output equals
that of the whole image. Shapes: N images; C channels; h, w LR pixels; s scale.
"""

import functools
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch
from torch import Tensor

from upnet.inference.memory import fits
from upnet.inference.tile_grid import (
    Tile,
    full_tile,
    largest_with_context,
    relative_to,
    round_up,
    split,
    tile_view,
    with_context,
)
from upnet.models import EncoderDecoder
from upnet.utils.errors import UserError
from upnet.utils.free_memory import has_free, is_oom
from upnet.utils.receptive_field import PeriodicReceptiveField, UnknownReceptiveFieldError

log = logging.getLogger(__name__)

Tiling = Literal["auto", "none"] | int
"""The side of a tile in LR pixels; `none`: no tiles; `auto`: tiles only if the whole image doesn't fit into memory."""


class ImageTooLargeError(UserError):
    """An image doesn't fit into memory, neither as a whole nor in tiles that the setting and the network allow."""


def upscale_in_tiles(net: EncoderDecoder, lr: Tensor, tile: Tiling) -> Tensor:
    """Upscale a batch: (N, C, h, w) -> (N, C, s·h, s·w), equal to net(lr) up to rounding.

    tile: see `Tiling`; a side is rounded up to a multiple of the period of the network's receptive field.

    Raises UserError for other values of `tile`, UnknownReceptiveFieldError if tiles are requested and a module of the
    network doesn't declare its receptive field, and ImageTooLargeError if the memory is too small.

    >>> from functools import partial
    >>> from upnet.encoders import ConvStack
    >>> net = EncoderDecoder(2, 3, partial(ConvStack, layers=[8, 8]), block=None, upsampler=None).eval()
    >>> lr = torch.rand(1, 3, 32, 40)
    >>> with torch.no_grad():
    ...     torch.allclose(upscale_in_tiles(net, lr, tile=16), net(lr), atol=1e-5)
    True
    """
    if tile == "auto":
        return _upscale_within_memory(net, lr)
    if tile == "none":
        with _raise_too_large(lr, tile):
            return net(lr)
    if not isinstance(tile, int) or isinstance(tile, bool) or tile < 1:
        raise UserError(
            "is not a tile size",
            setting="tile",
            value=tile,
            allowed="auto, none, or the side of a tile in LR pixels, an integer of at least 1",
        )
    field = net.receptive_field
    tiles = split(full_tile(lr), round_up(tile, field), field)
    with _raise_too_large(lr, tile):
        if len(tiles) == 1:
            return net(lr)
        output = _TiledOutput(net, lr, field)
        for part in tiles:
            output.compute(part)
        return output.pixels


def _upscale_within_memory(net: EncoderDecoder, lr: Tensor) -> Tensor:
    """Process the whole image if it fits into memory, else tiles whose side is halved until they fit."""
    on_cpu = lr.device.type == "cpu"
    if not on_cpu or fits(net, lr.shape, extra=0):
        with _suppress_oom():
            return net(lr)
    field, output = _require_receptive_field(net, lr), None
    tiles, side = [full_tile(lr)], max(lr.shape[-2:])
    while tiles:
        if lr.is_cuda:
            torch.cuda.empty_cache()  # cached blocks of other sizes cannot be used
        if side <= field.period:
            raise ImageTooLargeError(
                f"{_too_large(lr)}, not even in tiles of {side} pixels and their context", cure=_FREE_MEMORY
            )
        side = round_up(-(-side // 2), field)
        tiles = [part for tile in tiles for part in split(tile, side, field)]
        shape = (*lr.shape[:2], *largest_with_context(tiles, field, lr))
        if on_cpu and not fits(net, shape, extra=net.scale**2 * lr.nbytes):
            continue
        with _suppress_oom():
            output = _TiledOutput(net, lr, field) if output is None else output
            while tiles:
                output.compute(tiles[0])
                tiles.pop(0)
    assert output is not None
    _log_tiling(_too_large(lr))
    return output.pixels


class _TiledOutput:
    """The output of a network, computed tile by tile."""

    def __init__(self, net: EncoderDecoder, lr: Tensor, field: PeriodicReceptiveField) -> None:
        self.net, self.lr, self.field = net, lr, field
        self.pixels = lr.new_empty(*lr.shape[:2], *(net.scale * side for side in lr.shape[2:]))
        self._prepared: tuple[Tensor, Tensor | None] | None = None
        # The input is interpolated once, as a whole, to get the same bits as without tiles. Otherwise max-pooling could
        # select other pixels in flat areas, where pixels are equal up to rounding.
        if lr.device.type != "cpu" or has_free(4 * self.pixels.nbytes):
            with _suppress_oom():
                self._prepared = net.prepare(lr)

    def compute(self, tile: Tile) -> None:
        """Compute one tile and write it to the output."""
        height, width = self.lr.shape[-2:]
        context = Tile(with_context(tile.rows, height, self.field), with_context(tile.cols, width, self.field))
        if self._prepared is None:
            computed = self.net(self._crop(self.lr, context))
        else:
            x, base = self._prepared
            computed = self.net.refine(self._crop(x, context), None if base is None else self._crop(base, context))
        inner = Tile(relative_to(tile.rows, context.rows), relative_to(tile.cols, context.cols))
        tile_view(self.pixels, tile, self.net.scale).copy_(tile_view(computed, inner, self.net.scale))

    def _crop(self, image: Tensor, tile: Tile) -> Tensor:
        """A tile of the LR image, or of an image interpolated from it."""
        return tile_view(image, tile, image.shape[-1] // self.lr.shape[-1]).contiguous()


@contextmanager
def _suppress_oom() -> Iterator[None]:
    """Suppress out-of-memory errors of the block, so that the caller can retry after its tensors are freed."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_oom(error):
            raise


@contextmanager
def _raise_too_large(lr: Tensor, tile: Tiling) -> Iterator[None]:
    """Raise ImageTooLargeError if memory is exhausted in the block."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_oom(error):
            raise
        problem = _too_large(lr) if tile == "none" else f"{_too_large(lr)}, nor in tiles of this size"
        raise ImageTooLargeError(problem, setting="tile", value=tile, cure="Set tile=auto") from error


@functools.cache
def _log_tiling(problem: str) -> None:
    """Log once per image size, since training evaluates the same images many times."""
    log.warning("%s; it is computed in tiles; the output is the same within 1e-5", problem)


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
