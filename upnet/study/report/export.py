"""The files of a report: a self-contained HTML page, Markdown, LaTeX, and single tables and plots.

FOLDER/report.html    the whole report with embedded images
FOLDER/report.md      sentences, tables and links to the plots
FOLDER/report.tex     the tables, for the package booktabs
FOLDER/report/*.csv   the tables with unrounded values
FOLDER/report/*.svg   the plots
"""

import hashlib
import re
from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path

from upnet.study.report.content import Report
from upnet.study.report.svg import prefix_ids
from upnet.study.report.tables import escape_markdown, to_csv, to_latex, to_markdown
from upnet.utils.atomic_io import atomic_write
from upnet.utils.paths import resolve_inside


def report_html(report: Report) -> str:
    """The report as one HTML page that loads no other file. Names and settings are escaped."""
    from jinja2 import Environment
    from markupsafe import Markup

    package = files("upnet.study.report")
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    svg_by_plot = {plot.name: Markup(prefix_ids(plot.svg, f"p{number}")) for number, plot in enumerate(report.plots())}
    template = environment.from_string((package / "page.html.jinja").read_text(encoding="utf-8"))
    return template.render(
        report=report,
        svg_by_plot=svg_by_plot,
        style=Markup((package / "page.css").read_text(encoding="utf-8")),
        linked=lambda text: Markup(_LINK.sub(r'<a href="\1">\1</a>', str(Markup.escape(text)))),
    )


def standalone_svg(svg: str) -> str:
    """A plot as a separate SVG file, which includes the colours of the page."""
    css = (files("upnet.study.report") / "page.css").read_text(encoding="utf-8")
    colours = "\n".join(re.findall(r"/\* colours \*/(.*?)/\* end of colours \*/", css, flags=re.DOTALL))
    svg = svg.replace("<svg", '<svg xmlns="http://www.w3.org/2000/svg"', 1)
    return svg.replace("<defs>", f"<style>{colours}</style>\n <defs>", 1)


_LINK = re.compile(r"(https://[^\s;,&]+[^\s;,.&])")

MAX_STEM = 50
"""The longest stem of a file name in characters; a character has up to 4 of the 255 bytes that file systems allow."""

TEX = r"% Requires \usepackage{booktabs,graphicx}, and a font with all characters of the arms' names."


def write_report(report: Report, folder: Path) -> list[Path]:
    """Write all files atomically and return their paths. Tables and plots of an earlier report are removed."""
    subfolder = resolve_inside(folder, "report")
    subfolder.mkdir(parents=True, exist_ok=True)
    for outdated in [*subfolder.glob("*.csv"), *subfolder.glob("*.svg")]:
        outdated.unlink()
    texts = {
        folder / "report.html": report_html(report),
        folder / "report.md": report_markdown(report),
        folder / "report.tex": "\n".join([TEX, *(to_latex(table) for table in report.tables())]),
    }
    texts |= {subfolder / f"{_stem(table.name)}.csv": to_csv(table) for table in report.tables()}
    texts |= {subfolder / f"{_stem(plot.name)}.svg": standalone_svg(plot.svg) for plot in report.plots()}
    for path, text in texts.items():
        atomic_write(text, path)
    return list(texts)


def report_markdown(report: Report) -> str:
    """The report as Markdown: sentences, tables and links to the plots."""
    parts = [f"# {escape_markdown(report.title)}", escape_markdown(report.lead)]
    parts += ["## Results"]
    for section in report.sections:
        parts += [f"### {escape_markdown(section.dataset)}", _bullets(section.findings)]
    parts += ["## Limitations"]
    for section in report.sections:
        parts += [f"### {escape_markdown(section.dataset)}", _bullets(section.limits)] if section.limits else []
    parts += ["### All data sets", _bullets(report.limits)]
    if report.missing:
        parts += ["## Missing results", _bullets([f"{sentence}." for sentence in report.missing])]
    parts += ["## Experimental setup", _bullets([f"{label}: {value}" for label, value in report.facts])]
    parts += ["## Tables", *(to_markdown(table) for table in report.tables())]
    parts += [
        "## Plots",
        *(
            f"![{escape_markdown(plot.title)}](report/{_stem(plot.name)}.svg)\n\n{escape_markdown(plot.caption)}"
            for plot in report.plots()
        ),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _bullets(sentences: Iterable[str]) -> str:
    # A name at the start of a sentence must not start a nested list or a heading.
    return "\n".join("- " + re.sub(r"^([-+#>])", r"\\\1", escape_markdown(sentence)) for sentence in sentences)


def _stem(name: str) -> str:
    """A name as the stem of a file; long names are cut and get a hash.

    >>> _stem("main-Set 5")
    'main-Set_5'
    """
    stem = re.sub(r"[^\w.+-]+", "_", name)
    return stem if len(stem) <= MAX_STEM else f"{stem[:MAX_STEM]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
