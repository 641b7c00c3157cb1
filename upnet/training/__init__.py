"""One training: built from a checked config, run, scored, told."""

from upnet.training.runner import train

__all__ = ["train"]
