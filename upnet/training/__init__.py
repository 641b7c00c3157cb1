"""Train a network from checked settings: task, optimizer step, callbacks, resume, results."""

from upnet.training.runner import train

__all__ = ["train"]
