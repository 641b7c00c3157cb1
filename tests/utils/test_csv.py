"""CSV cells are no formulas in a spreadsheet and are read back unchanged."""

import csv
import io

import pytest

from upnet.utils.csv import format_csv


@pytest.mark.parametrize("name", ["=HYPERLINK(1)", "+cmd|' /C calc'!A0", "-2+3", "@SUM(1)", "\t=1", "\r=1"])
def test_text_that_spreadsheets_read_as_a_formula_is_escaped(name: str) -> None:
    ((cell, number),) = csv.reader(io.StringIO(format_csv([[name, 1.5]]), newline=""))
    assert cell == f"'{name}"
    assert float(number) == 1.5


@pytest.mark.parametrize("value", [-0.25, "-0.25", "+1e-3", "-inf", "-", "img_001=2", "a,b", 'a "b"', "é\n×"])
def test_other_values_are_read_back_unchanged(value: str | float) -> None:
    ((cell,),) = csv.reader(io.StringIO(format_csv([[value]]), newline=""))
    assert cell == str(value)
