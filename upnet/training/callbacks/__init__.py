"""Callbacks of a training run: checkpoints, logs, progress, signals, non-finite losses."""

from upnet.training.callbacks.checkpoint_io import AtomicCheckpointIO, earlier_checkpoints
from upnet.training.callbacks.checkpoints import Checkpoints
from upnet.training.callbacks.finite import NonFiniteLossError, StopAtNonFiniteLoss
from upnet.training.callbacks.image_grid import ImageGrid
from upnet.training.callbacks.interrupt import SaveAtInterrupt
from upnet.training.callbacks.progress import Progress
from upnet.training.callbacks.scalars import Scalars

__all__ = [
    "AtomicCheckpointIO",
    "Checkpoints",
    "ImageGrid",
    "NonFiniteLossError",
    "Progress",
    "SaveAtInterrupt",
    "Scalars",
    "StopAtNonFiniteLoss",
    "earlier_checkpoints",
]
