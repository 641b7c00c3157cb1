"""What happens beside the steps of a training."""

from upnet.callbacks.checkpoints import Checkpoints
from upnet.callbacks.files import CheckpointFiles, earlier_paths
from upnet.callbacks.finite import NonFiniteLossError, StopAtNonFiniteLoss
from upnet.callbacks.image_grid import ImageGrid
from upnet.callbacks.interrupt import SaveAtInterrupt
from upnet.callbacks.progress import Progress
from upnet.callbacks.scalars import Scalars

__all__ = [
    "CheckpointFiles",
    "Checkpoints",
    "ImageGrid",
    "NonFiniteLossError",
    "Progress",
    "SaveAtInterrupt",
    "Scalars",
    "StopAtNonFiniteLoss",
    "earlier_paths",
]
