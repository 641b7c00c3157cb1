"""Everything that a report shows, as plain data: sentences, tables, plots and pictures, in the order of the page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from upnet.study.report.details import DetailView, Tile
from upnet.study.report.tables import Table


@dataclass(frozen=True)
class Plot:
    """An SVG, and what a reader has to know to read it. `name` is that of its file."""

    name: str
    title: str
    svg: str
    caption: str


@dataclass(frozen=True)
class Section:
    """What one data set says."""

    dataset: str
    protocol: str
    findings: Sequence[str]
    limits: Sequence[str]
    table: Table
    plots: Sequence[Plot]
    image_table: Table | None = None


@dataclass(frozen=True)
class Gallery:
    """Small pictures under a heading, one per arm."""

    title: str
    caption: str
    tiles: Sequence[Tile]


@dataclass(frozen=True)
class Report:
    """The whole report.

    facts:   what a reader needs before any figure, as pairs of a word and what it is.
    missing: what was planned, or begun, and has no results.
    limits:  of the study as a whole.
    """

    title: str
    lead: str
    facts: Sequence[tuple[str, str]]
    plan: Table
    settings: Table
    sections: Sequence[Section]
    limits: Sequence[str]
    missing: Sequence[str] = ()
    details: Sequence[DetailView] = ()
    galleries: Sequence[Gallery] = ()
    diagnostics: Table | None = None
    diagnostic_plots: Sequence[Plot] = ()
    remarks: Sequence[str] = ()
    definitions: Mapping[str, str] = field(default_factory=dict)

    def tables(self) -> list[Table]:
        """All of them, in the order of the page."""
        told = [self.plan, *(section.table for section in self.sections)]
        told += [section.image_table for section in self.sections if section.image_table is not None]
        return [*told, *([self.diagnostics] if self.diagnostics is not None else []), self.settings]

    def plots(self) -> list[Plot]:
        """All of them, in the order of the page."""
        return [*(plot for section in self.sections for plot in section.plots), *self.diagnostic_plots]
