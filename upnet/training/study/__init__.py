"""A study: every cell trained once, whatever happens in between."""

from upnet.training.study.run import run_study

__all__ = ["run_study"]
