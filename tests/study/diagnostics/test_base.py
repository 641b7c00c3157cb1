"""The folder is the list, and what is in it says what it is."""

import inspect
import re

import pytest
from support import ROOT

from upnet.study.diagnostics import describe, diagnostics

FOLDER = ROOT / "upnet/study/diagnostics"
FOUND = diagnostics()


def test_every_class_of_the_folder_that_has_a_formula_is_found() -> None:
    written = [
        name
        for path in sorted(FOLDER.glob("*.py"))
        for name in re.findall(r'^    name = "(\w+)"$', path.read_text(encoding="utf-8"), re.MULTILINE)
    ]
    assert list(FOUND) == written


@pytest.mark.parametrize("name", FOUND)
def test_help_tells_formula_unit_direction_and_a_source_that_can_be_opened(name: str) -> None:
    one = FOUND[name]
    told = inspect.getdoc(one) or ""
    for line in (f"Formula: {one.formula}", f"Unit: {one.unit}", f"Source: {one.source}"):
        assert line in told
    assert f"Better: {one.better or 'neither'}" in told
    assert re.search(r"https://\S+\.\S+", one.source)
    assert one.better in ("higher", "lower", None)


def test_what_stands_beside_the_values_is_plain() -> None:
    told = describe(["shift_whole", "step_rise"])
    assert list(told) == ["shift_whole", "step_rise"]
    assert told["step_rise"]["unit"] == "px"
    assert told["shift_whole"]["better"] == "higher"


def test_an_unknown_name_is_met_with_what_comes_closest() -> None:
    with pytest.raises(ValueError, match="Did you mean comb_ratio"):
        describe(["comb_ration"])
