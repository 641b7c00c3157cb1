"""Layout of stages as text: matrices under their titles, side by side, with an arrow before results."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.text import Text

from upnet.upsample.stages import Stage, TitledMatrix

ZERO = "·"
GAP = 3
MAX_DECIMALS = 4
# Of more matrices in one stage only the first two and the last are printed.
MAX_MATRICES = 16


@dataclass(frozen=True)
class TextBlock:
    """A title above lines of equal width."""

    title: str
    lines: list[Text]

    @property
    def width(self) -> int:
        """Characters of the title or of the lines, whichever is wider."""
        return max([len(self.title), *(line.cell_len for line in self.lines)])


def lay_out(stages: Sequence[Stage], width: int) -> list[Text]:
    """Lines of at most `width` characters for stages from left to right; the matrices of a stage stay together.

    The first matrix is bold; the last one, the result, is green.
    """
    groups = []
    for number, stage in enumerate(stages):
        style = "bold" if number == 0 else "bold green" if number == len(stages) - 1 else ""
        blocks = [format_matrix(matrix, style if index == 0 else "") for index, matrix in enumerate(stage.matrices)]
        if len(blocks) > MAX_MATRICES:
            blocks = [*blocks[:2], TextBlock("…", []), blocks[-1]]
        groups.append([arrow(len(stage.matrices[0].values)), *blocks] if stage.computed else blocks)
    return side_by_side(groups, width)


def max_rows(stages: Sequence[Stage]) -> int:
    """The largest number of rows of a matrix in the stages."""
    return max(len(matrix.values) for stage in stages for matrix in stage.matrices)


def format_matrix(matrix: TitledMatrix, style: str = "") -> TextBlock:
    """A matrix with aligned decimal points, zeros as dim dots, and gaps between its groups.

    The numbers have as many decimals as they need, at most four.

    >>> import torch
    >>> [line.plain for line in format_matrix(TitledMatrix("x", torch.tensor([[1.25, 0.0], [-10.5, 3.0]]))).lines]
    ['  1.25   ·   ', '-10.50   3.00']
    """
    rows = [[float(value) for value in row] for row in matrix.values.tolist()]
    decimals = _needed_decimals([value for row in rows for value in row])
    width = max(len(f"{value:.{decimals}f}") for row in rows for value in row)
    rows_per_group, cols_per_group = matrix.groups
    lines: list[Text] = []
    for row_number, row in enumerate(rows):
        if rows_per_group and row_number and row_number % rows_per_group == 0:
            lines.append(Text())
        line = Text()
        for col_number, value in enumerate(row):
            if col_number:
                line.append("   " if cols_per_group and col_number % cols_per_group == 0 else " ")
            if value == 0:
                padding = " " * (decimals + 1 if decimals else 0)
                line.append(ZERO.rjust(width - len(padding)) + padding, style="dim")
            else:
                line.append(f"{value:{width}.{decimals}f}", style=style)
        lines.append(line)
    return TextBlock(matrix.title, lines)


def arrow(height: int) -> TextBlock:
    """An arrow to the right at half the height of `height` lines."""
    return TextBlock("", [Text()] * ((height - 1) // 2) + [Text("→", style="dim")])


def side_by_side(groups: Sequence[Sequence[TextBlock]], width: int, indent: int = 2) -> list[Text]:
    """Lines of at most `width` characters for blocks from left to right.

    A group is kept together where it fits on one line. A block wider than a line is not broken.
    """
    rows: list[list[TextBlock]] = [[]]
    for group in groups:
        fits = indent + _width(group) <= width
        for unit in [group] if fits else [[block] for block in group]:
            if rows[-1] and indent + _width([*rows[-1], *unit]) > width:
                rows.append([])
            rows[-1].extend(unit)
    lines: list[Text] = []
    for number, row in enumerate(rows):
        lines += [Text()] * (number > 0) + _join_blocks(row, indent)
    return lines


def _width(blocks: Sequence[TextBlock]) -> int:
    return sum(block.width for block in blocks) + GAP * (len(blocks) - 1)


def _join_blocks(blocks: Sequence[TextBlock], indent: int) -> list[Text]:
    titles = [Text(block.title, style="italic dim") for block in blocks]
    height = max(len(block.lines) for block in blocks)
    table = [titles, *([b.lines[i] if i < len(b.lines) else Text() for b in blocks] for i in range(height))]
    lines = []
    for cells in table:
        line = Text(" " * indent)
        for block, cell in zip(blocks, cells, strict=True):
            line.append_text(cell)
            line.append(" " * (block.width - cell.cell_len + GAP))
        line.rstrip()
        lines.append(line)
    return lines


def _needed_decimals(values: list[float]) -> int:
    for decimals in range(MAX_DECIMALS):
        if all(abs(value - round(value, decimals)) < 1e-9 for value in values):
            return decimals
    return MAX_DECIMALS
