"""The registry of diagnostics: all classes of the folder, with formula, unit and source."""

import inspect
import re

import pytest
from support import ROOT

from upnet.study.diagnostics import describe, diagnostics

FOLDER = ROOT / "upnet/study/diagnostics"
FOUND = diagnostics()


def test_registry_contains_every_diagnostic_of_the_folder() -> None:
    declared = [
        name
        for path in sorted(FOLDER.glob("*.py"))
        for name in re.findall(r'^    name = "(\w+)"$', path.read_text(encoding="utf-8"), re.MULTILINE)
    ]
    assert list(FOUND) == declared


@pytest.mark.parametrize("name", FOUND)
def test_docstring_has_formula_unit_direction_and_source_url(name: str) -> None:
    one = FOUND[name]
    docstring = inspect.getdoc(one) or ""
    for line in (f"Formula: {one.formula}", f"Unit: {one.unit}", f"Source: {one.source}"):
        assert line in docstring
    assert f"Better: {one.better or 'neither'}" in docstring
    assert re.search(r"https://\S+\.\S+", one.source)
    assert one.better in ("higher", "lower", None)


def test_describe_returns_unit_and_direction() -> None:
    described = describe(["shift_whole", "step_rise"])
    assert list(described) == ["shift_whole", "step_rise"]
    assert described["step_rise"]["unit"] == "px"
    assert described["shift_whole"]["better"] == "higher"


def test_unknown_name_is_rejected_with_the_closest_name() -> None:
    with pytest.raises(ValueError, match="Did you mean comb_ratio"):
        describe(["comb_ration"])
