"""A picture cut into tiles, each with as much around it as its pixels look at."""

from typing import NamedTuple

from upnet.tiling.window import Margin


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
