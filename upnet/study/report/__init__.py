"""One page about a study: what was compared and how, what was found, what wasn't, and how sure that is.

`gather` makes the content out of the runs, `write` its files. What is said is plain data until then: `content` has its
shape, `planned` the arms, `comparing` the statistics, `sections` tables and plots by data set, `behaving` the
diagnostics, `looks` the details side by side, `words` the sentences, `tables` and `page` the forms they are given.
"""

from upnet.study.report.assemble import gather
from upnet.study.report.export import write

__all__ = ["gather", "write"]
