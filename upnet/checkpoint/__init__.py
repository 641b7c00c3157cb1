"""Checkpoints: what they say of themselves, and the way back from a file to a network, without running foreign code.

Whoever wrote it, a file is looked at in this order, and the first thing that is wrong refuses it in a sentence:

    archive, exported   the file as a whole, before any of it becomes an object; then plain data and tensors only
    migration           its format, and the way to today's
    description         what it says of itself: every part, of the right type, and nothing else
    upnet.config        what its config would build, before anything is imported
    skeleton            the network it describes, built without memory, and no larger than the file
    weights             the tensors, one by one, against that network
"""

from upnet.checkpoint.errors import DamagedCheckpointError
from upnet.checkpoint.loading import load_network, read
from upnet.checkpoint.metadata import describe
from upnet.checkpoint.safetensors_file import SUFFIX, export
from upnet.checkpoint.weights import Loaded

__all__ = ["SUFFIX", "DamagedCheckpointError", "Loaded", "describe", "export", "load_network", "read"]
