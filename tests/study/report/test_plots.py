"""Single plots and tables of a report."""

import csv
import re
import warnings

import numpy as np

from upnet.study.report.curves import Curve
from upnet.study.report.plots import cost_scatter, learning_curves, strip_plot
from upnet.study.report.tables import Cell, Table, to_csv, to_latex, to_markdown


def test_twenty_arms_have_distinct_styles() -> None:
    curves = {f"arm{n}": Curve(np.arange(2), *[np.full(2, 30.0 + n)] * 3, seeds=1) for n in range(20)}
    svg = learning_curves(curves, list(curves), "images")
    legend = svg[svg.index('id="legend_1"') :]
    # The legend entry of an arm has a colour, dashes, and a filled or an empty marker.
    entries = [
        re.sub(r'xlink:href|href="[^"]*"|[xy]="[^"]*"|d="[^"]*"', "", one) for one in legend.split('<g id="line2d')
    ]
    styles = {" ".join(re.findall(r'style="[^"]*"', entry)) for entry in entries[1:]}
    assert len(styles) == 20


def test_names_of_arms_and_datasets_are_plain_text() -> None:
    """Names are no math text, have an entry in every legend, and cause no warning of matplotlib."""
    curves = {name: Curve(np.arange(2), *[np.full(2, 30.0)] * 3, seeds=1) for name in ("$x_$", "照片", "😀", "_a")}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        svg = learning_curves(curves, list(curves), "A$x_$y 照片")
        strip_plot({name: {"one": 1.0} for name in curves}, list(curves), "照片")
    legend = svg[svg.index('id="legend_1"') :]
    assert legend.count('<g id="text_') == len(curves)


def test_tick_labels_are_plain_text() -> None:
    points = [{"name": f"{ms}", "psnr": 30.0, "psnr_sd": 0.1, "parameters": 5, "latency": ms} for ms in (0.5, 20.0)]
    assert "mathdefault" not in cost_scatter(points, ["0.5", "20.0"], "latency", "latency in ms", "Set5")


def test_tables_escape_their_separators() -> None:
    table = Table("t", "a|b", ["name", "x"], [[Cell('q,"|'), Cell("1.2", 1.23456)]], frozenset({1}))
    assert list(csv.reader(to_csv(table).splitlines()))[1] == ['q,"|', "1.23456"]
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in to_markdown(table).splitlines()[2:]} == {3}
    assert to_latex(table).count("&") == 2
