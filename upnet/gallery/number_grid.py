"""Numbers set in blocks, and blocks set side by side."""

from dataclasses import dataclass

from rich.text import Text
from torch import Tensor

ZERO = "·"
GAP = 3
MOST_DECIMALS = 4


@dataclass(frozen=True)
class Block:
    """A title over lines of equal width."""

    title: str
    lines: list[Text]

    @property
    def width(self) -> int:
        """In characters, title and all."""
        return max([len(self.title), *(line.cell_len for line in self.lines)])


def block(title: str, matrix: Tensor, every: tuple[int, int] = (0, 0), style: str = "") -> Block:
    """Set a matrix (H, W): points aligned, zeros as dim dots; a gap after `every` so many rows and columns, 0 for none.

    No more decimals are printed than the numbers have, and at most four.
    """
    rows = [[float(value) for value in row] for row in matrix.tolist()]
    decimals = _decimals([value for row in rows for value in row])
    width = max(len(f"{value:.{decimals}f}") for row in rows for value in row)
    lines: list[Text] = []
    for number, row in enumerate(rows):
        if every[0] and number and number % every[0] == 0:
            lines.append(Text())
        line = Text()
        for position, value in enumerate(row):
            if position:
                line.append("   " if every[1] and position % every[1] == 0 else " ")
            if value == 0:
                tail = " " * (decimals + 1 if decimals else 0)
                line.append(ZERO.rjust(width - len(tail)) + tail, style="dim")
            else:
                line.append(f"{value:{width}.{decimals}f}", style=style)
        lines.append(line)
    return Block(title, lines)


def arrow(height: int) -> Block:
    """From what stands on the left to what stands on the right, at half the height of `height` lines."""
    return Block("", [Text()] * ((height - 1) // 2) + [Text("→", style="dim")])


def beside(blocks: list[Block], width: int, indent: int = 2) -> list[Text]:
    """Lines of blocks side by side; what would pass `width` characters goes below."""
    shelves: list[list[Block]] = [[]]
    used = indent
    for item in blocks:
        if shelves[-1] and used + item.width > width:
            shelves.append([])
            used = indent
        shelves[-1].append(item)
        used += item.width + GAP
    lines: list[Text] = []
    for number, shelf in enumerate(shelves):
        lines += [Text()] * (number > 0) + _shelf(shelf, indent)
    return lines


def _shelf(blocks: list[Block], indent: int) -> list[Text]:
    titles = [Text(item.title, style="italic dim") for item in blocks]
    height = max(len(item.lines) for item in blocks)
    table = [titles, *([item.lines[i] if i < len(item.lines) else Text() for item in blocks] for i in range(height))]
    lines = []
    for cells in table:
        line = Text(" " * indent)
        for item, cell in zip(blocks, cells, strict=True):
            line.append_text(cell)
            line.append(" " * (item.width - cell.cell_len + GAP))
        line.rstrip()
        lines.append(line)
    return lines


def _decimals(values: list[float]) -> int:
    for decimals in range(MOST_DECIMALS):
        if all(abs(value - round(value, decimals)) < 1e-9 for value in values):
            return decimals
    return MOST_DECIMALS
