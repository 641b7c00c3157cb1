"""Training: the task, the optimizer step, callbacks, resuming and the results of a run."""

from upnet.training.runner import train

__all__ = ["train"]
