"""The report as one page of HTML that opens from the disk, without a network, in light, in dark and on paper."""

import re
from importlib.resources import files

from upnet.study.report.content import Report
from upnet.study.report.plots import unique


def page(report: Report) -> str:
    """Everything inlined; whatever comes from names and settings is escaped."""
    from jinja2 import Environment
    from markupsafe import Markup

    room = files("upnet.study.report")
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    drawn = {plot.name: Markup(unique(plot.svg, f"p{number}")) for number, plot in enumerate(report.plots())}
    template = environment.from_string((room / "page.html.jinja").read_text(encoding="utf-8"))
    return template.render(
        report=report,
        drawn=drawn,
        style=Markup((room / "page.css").read_text(encoding="utf-8")),
        linked=lambda text: Markup(_LINK.sub(r'<a href="\1">\1</a>', str(Markup.escape(text)))),
    )


def standalone(svg: str) -> str:
    """A plot as a file of its own, with the page's colours in it."""
    css = (files("upnet.study.report") / "page.css").read_text(encoding="utf-8")
    colours = "\n".join(re.findall(r"/\* colours \*/(.*?)/\* end of colours \*/", css, flags=re.DOTALL))
    head = '<svg xmlns="http://www.w3.org/2000/svg"'
    return svg.replace("<svg", head, 1).replace("<defs>", f"<style>{colours}</style>\n <defs>", 1)


_LINK = re.compile(r"(https://[^\s;,&]+[^\s;,.&])")
