"""The report of a study: report.html, report.md and report.tex with findings, limits, tables, plots and images.

`assemble_report` turns the runs of a study into a `Report` of plain data, and `write_report` writes its files.
`draw_details` writes comparison.png, one crop from every arm.
"""

from upnet.study.report.assemble import assemble_report
from upnet.study.report.details import draw_details
from upnet.study.report.export import write_report

__all__ = ["assemble_report", "draw_details", "write_report"]
