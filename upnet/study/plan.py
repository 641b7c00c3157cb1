"""The plan of a study: variants with their cost and the settings that matching changed, and cells; plan.json.

plan.json, schema 2:

    {"schema": 2, "study": …, "match": see upnet.study.design.MATCH_MODES, "reference": ARM, "seeds": […],
     "steps": …, "validations": …, "factors": {FACTOR: [LEVEL, …]},
     "overrides": [those of the command line],
     "code": see upnet.study.code_version,
     "variants": [{"arm": …, "levels": {FACTOR: LEVEL}, "parameters": …, "multiply_adds": for 1280 × 720 output pixels,
                   "taps": {LOCATION: [LR taps per output phase of each operator, null if unknown or all LR pixels]},
                   "changes": {PATH: VALUE}, the settings changed by matching,
                   "refused": null, or why the variant can't be trained or compared,
                   "seconds": null, or as measured {"step": …, "validation": …, "beside": for the rest of a cell}}],
     "cells": [{"number": …, "key": …, "folder": relative to the study's, "arm": …, "levels": {…}, "seed": …}]}

Schema 1 had "regime" instead of "match": N (none), P (params), F (macs) or S (support). read_plan() converts it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from upnet.evaluation.schema import Plan as PlanContent
from upnet.evaluation.schema import read_json_object, validate
from upnet.study.cells import Cell
from upnet.study.design import Design, Variant
from upnet.utils.errors import UserError
from upnet.utils.paths import resolve_inside

SCHEMA = 2
PLAN = "plan.json"

_REGIMES = {"N": "none", "P": "params", "F": "macs", "S": "support"}


@dataclass(frozen=True)
class CellTiming:
    """Measured seconds on this machine: per optimizer step, per validation, and for the rest of a cell."""

    step: float
    validation: float
    overhead: float


@dataclass
class PlannedVariant:
    """A variant after matching.

    parameters, multiply_adds: None where the variant is rejected.
    taps:      location -> LR taps per output phase of each operator there; None if unknown or all LR pixels.
    changes:   path in the config -> the value that matching gave the setting.
    rejection: why the variant can't be trained or compared; None where it can.
    timing:    None where nothing was measured.
    """

    variant: Variant
    parameters: int | None = None
    multiply_adds: int | None = None
    taps: Mapping[str, Sequence[int | None]] = field(default_factory=dict)
    changes: Mapping[str, Any] = field(default_factory=dict)
    rejection: str | None = None
    timing: CellTiming | None = None

    def minutes(self, steps: int, validations: int) -> float | None:
        """The expected duration of one cell; None where nothing was measured."""
        if self.timing is None:
            return None
        return (self.timing.step * steps + self.timing.validation * validations + self.timing.overhead) / 60

    def content(self) -> dict[str, Any]:
        """The entry of plan.json."""
        timing = self.timing
        return {
            "arm": self.variant.arm,
            "levels": dict(self.variant.levels),
            "parameters": self.parameters,
            "multiply_adds": self.multiply_adds,
            "taps": {location: list(counts) for location, counts in self.taps.items()},
            "changes": dict(self.changes),
            "refused": self.rejection,
            "seconds": timing and {"step": timing.step, "validation": timing.validation, "beside": timing.overhead},
        }


@dataclass
class Plan:
    """A study that is ready to run.

    folder:    of the study.
    overrides: those of the command line.
    code:      the versions of the code, see `upnet.study.code_version`.
    """

    folder: Path
    design: Design
    steps: int
    validations: int
    overrides: Sequence[str]
    code: Mapping[str, str]
    variants: Sequence[PlannedVariant]
    cells: Sequence[Cell]

    def variant_of(self, cell: Cell) -> PlannedVariant:
        """The variant that a cell trains."""
        return next(planned for planned in self.variants if planned.variant.label == cell.label)

    def rejections(self) -> list[str]:
        """One line for every rejected variant."""
        return [f"{planned.variant.label}: {planned.rejection}" for planned in self.variants if planned.rejection]

    def minutes(self) -> float | None:
        """The expected duration of all cells, one after the other; None where a variant was not measured."""
        accepted = [planned for planned in self.variants if planned.rejection is None]
        minutes = [planned.minutes(self.steps, self.validations) for planned in accepted]
        known = [value for value in minutes if value is not None]
        return sum(known) * len(self.design.seeds) if known and len(known) == len(minutes) else None

    def content(self) -> dict[str, Any]:
        """The content of plan.json."""
        design = self.design
        return {
            "schema": SCHEMA,
            "study": design.name,
            "match": design.match,
            "reference": design.reference,
            "seeds": list(design.seeds),
            "steps": self.steps,
            "validations": self.validations,
            "factors": {factor: list(levels) for factor, levels in design.factors.items()},
            "overrides": list(self.overrides),
            "code": dict(self.code),
            "variants": [planned.content() for planned in self.variants],
            "cells": [
                {
                    "number": cell.number,
                    "key": cell.key,
                    "folder": str(cell.folder.relative_to(self.folder)),
                    "arm": cell.arm,
                    "levels": dict(cell.levels),
                    "seed": cell.seed,
                }
                for cell in self.cells
            ],
        }


def read_plan(folder: Path) -> dict[str, Any]:
    """The content of plan.json in a study's folder, converted to the current schema.

    Raises UserError where the file is missing, damaged, of an unknown schema, or names a cell outside the folder.
    """
    path = folder / PLAN
    content = read_json_object(path, "the plan of a study")
    if content.get("schema") not in (1, SCHEMA):
        raise UserError(
            f"{path} has schema {content.get('schema')}, which this version of upnet can't read",
            allowed=f"schemas 1 and {SCHEMA}",
            cure="Start the study again, which writes a new plan",
        )
    if "regime" in content:
        regime = content.pop("regime")
        content["match"] = _REGIMES.get(regime, regime) if isinstance(regime, str) else regime
    validate(content, PlanContent, path, "plan")
    for cell in content["cells"]:
        resolve_inside(folder, cell["folder"])
    return content | {"schema": SCHEMA}


def planned_runs(folder: Path) -> dict[Path, str | None]:
    """The folder of every cell -> the label of its variant, in the plan's order. Empty where there is no plan."""
    if not (folder / PLAN).is_file():
        return {}
    cells = read_plan(folder)["cells"]
    return {folder / cell["folder"]: Variant(cell["arm"], cell["levels"]).label for cell in cells}
