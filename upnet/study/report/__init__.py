"""The report of a study: report.html, report.md and report.tex with findings, limits, tables, plots and images.

`assemble_report` turns the runs of a study into a `Report` of plain data, `write_report` writes its files.
"""

from upnet.study.report.assemble import assemble_report
from upnet.study.report.export import write_report

__all__ = ["assemble_report", "write_report"]
