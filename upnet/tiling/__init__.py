"""Pictures in tiles that come out as the whole picture would."""

from upnet.tiling.cut import Tile, split
from upnet.tiling.network import Tileable
from upnet.tiling.run import Tiling, TooLargeError, enlarge_in_tiles
from upnet.tiling.window import Margin, Span, UnknownReachError, Window

__all__ = [
    "Margin",
    "Span",
    "Tile",
    "Tileable",
    "Tiling",
    "TooLargeError",
    "UnknownReachError",
    "Window",
    "enlarge_in_tiles",
    "split",
]
