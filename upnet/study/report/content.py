"""The content of a report as plain data: sentences, tables, plots and images, in the order of the page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from upnet.study.report.details import DetailView, Tile
from upnet.study.report.tables import Table


@dataclass(frozen=True)
class Plot:
    """A plot as SVG, with its caption. name: the stem of its file."""

    name: str
    title: str
    svg: str
    caption: str


@dataclass(frozen=True)
class Section:
    """The results on one data set.

    table:       one row per arm.
    image_table: the difference from the reference per image and arm; None without a reference.
    """

    dataset: str
    protocol: str
    findings: Sequence[str]
    limits: Sequence[str]
    table: Table
    plots: Sequence[Plot]
    image_table: Table | None = None


@dataclass(frozen=True)
class Gallery:
    """Small images under a heading, one per arm."""

    title: str
    caption: str
    tiles: Sequence[Tile]


@dataclass(frozen=True)
class Report:
    """The content of a report.

    facts:       (label, value) pairs that describe design, training and evaluation.
    limits:      limitations of the study as a whole.
    missing:     sentences on planned or started runs without results, and on images that are not shown.
    diagnostics: the table of diagnostics beyond PSNR and SSIM.
    definitions: heading of a diagnostic -> its formula and source.
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
    definitions: Mapping[str, str] = field(default_factory=dict)

    def tables(self) -> list[Table]:
        """All tables in the order of the page."""
        image_tables = [section.image_table for section in self.sections if section.image_table is not None]
        diagnostics = [] if self.diagnostics is None else [self.diagnostics]
        return [self.plan, *(section.table for section in self.sections), *image_tables, *diagnostics, self.settings]

    def plots(self) -> list[Plot]:
        """All plots in the order of the page."""
        return [*(plot for section in self.sections for plot in section.plots), *self.diagnostic_plots]
