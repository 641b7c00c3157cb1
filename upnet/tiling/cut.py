"""A picture cut into tiles, each with as much around it as its pixels look at."""

from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class Margin:
    """What a tile of LR pixels needs to come out as in the whole picture, the same for both axes.

    alignment:     a tile and what is computed around it begin at a multiple of this many pixels, so that poolings and
                   strides fall on the pixels they fall on in the whole picture.
    before, after: how many pixels a tile that begins and ends at such multiples looks at on either side.
    """

    alignment: int
    before: int
    after: int

    def aligned(self, length: int) -> int:
        """The length, rounded up to the alignment."""
        return -(-length // self.alignment) * self.alignment

    def around(self, kept: range, length: int) -> range:
        """What has to be computed for some of the `length` pixels of an axis: as far as they look, within the picture.

        Beyond the picture's borders a network pads or repeats, and for a tile at the border it does just that.
        """
        start = (kept.start - self.before) // self.alignment * self.alignment
        return range(max(0, start), min(length, self.aligned(kept.stop + self.after)))


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
