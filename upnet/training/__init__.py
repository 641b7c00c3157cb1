"""One training: built from a checked config, run, scored, told."""

from upnet.training.run import train

__all__ = ["train"]
