"""The report's files: one page that needs nothing beside it, and its tables and plots by themselves.

FOLDER/report.html    everything, pictures inlined
FOLDER/report.md      sentences and tables
FOLDER/report.tex     the tables, for booktabs
FOLDER/report/*.csv   the tables' values, not rounded
FOLDER/report/*.svg   the plots
"""

import hashlib
import re
from importlib.resources import files
from pathlib import Path

from upnet.study.report.content import Report
from upnet.study.report.plots import prefix_ids
from upnet.study.report.tables import escape_markdown, to_csv, to_latex, to_markdown
from upnet.utils.atomic_io import atomic_write
from upnet.utils.paths import resolve_inside


def report_html(report: Report) -> str:
    """Everything inlined; whatever comes from names and settings is escaped."""
    from jinja2 import Environment
    from markupsafe import Markup

    room = files("upnet.study.report")
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    drawn = {plot.name: Markup(prefix_ids(plot.svg, f"p{number}")) for number, plot in enumerate(report.plots())}
    template = environment.from_string((room / "page.html.jinja").read_text(encoding="utf-8"))
    return template.render(
        report=report,
        drawn=drawn,
        style=Markup((room / "page.css").read_text(encoding="utf-8")),
        linked=lambda text: Markup(_LINK.sub(r'<a href="\1">\1</a>', str(Markup.escape(text)))),
    )


def standalone_svg(svg: str) -> str:
    """A plot as a file of its own, with the page's colours in it."""
    css = (files("upnet.study.report") / "page.css").read_text(encoding="utf-8")
    colours = "\n".join(re.findall(r"/\* colours \*/(.*?)/\* end of colours \*/", css, flags=re.DOTALL))
    head = '<svg xmlns="http://www.w3.org/2000/svg"'
    return svg.replace("<svg", head, 1).replace("<defs>", f"<style>{colours}</style>\n <defs>", 1)


_LINK = re.compile(r"(https://[^\s;,&]+[^\s;,.&])")


LONGEST = 50
"""Letters of a file's name; one letter may take four bytes."""

TEX = r"% Needs \usepackage{booktabs,graphicx}, and a font with the letters of your arms' names."


def write_report(report: Report, folder: Path) -> list[Path]:
    """Write all files, each of them whole or not at all; what an earlier report left in FOLDER/report goes."""
    aside = resolve_inside(folder, "report")
    aside.mkdir(parents=True, exist_ok=True)
    for old in [*aside.glob("*.csv"), *aside.glob("*.svg")]:
        old.unlink()
    files = {
        folder / "report.html": report_html(report),
        folder / "report.md": report_markdown(report),
        folder / "report.tex": "\n".join([TEX, *(to_latex(table) for table in report.tables())]),
    }
    files |= {aside / f"{_stem(table.name)}.csv": to_csv(table) for table in report.tables()}
    files |= {aside / f"{_stem(plot.name)}.svg": standalone_svg(plot.svg) for plot in report.plots()}
    for path, text in files.items():
        atomic_write(text, path)
    return list(files)


def report_markdown(report: Report) -> str:
    """Sentences and tables, with links to the plots."""
    parts = [f"# {escape_markdown(report.title)}", escape_markdown(report.lead)]
    parts += ["## What was found, and what was not"]
    for section in report.sections:
        parts += [f"### {escape_markdown(section.dataset)}", _listed(section.findings)]
    parts += ["## Limits"]
    for section in report.sections:
        parts += [f"### {escape_markdown(section.dataset)}", _listed(section.limits)] if section.limits else []
    parts += ["### Of the study", _listed(report.limits)]
    if report.missing:
        parts += ["## What is missing", _listed([f"{sentence}." for sentence in report.missing])]
    parts += ["## Plan and protocol", _listed([f"{word}: {what}" for word, what in report.facts])]
    parts += ["## Tables", *(to_markdown(table) for table in report.tables())]
    parts += [
        "## Plots",
        *(f"![{escape_markdown(plot.title)}](report/{_stem(plot.name)}.svg)" for plot in report.plots()),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _listed(sentences) -> str:
    # A name at the beginning must not begin a list or a heading of its own.
    return "\n".join("- " + re.sub(r"^([-+#>])", r"\\\1", escape_markdown(sentence)) for sentence in sentences)


def _stem(name: str) -> str:
    """A name as that of a file; a long one is cut, since file systems take 255 bytes."""
    stem = re.sub(r"[^\w.+-]+", "_", name)
    return stem if len(stem) <= LONGEST else f"{stem[:LONGEST]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
