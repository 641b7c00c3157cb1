"""Checkpoints: load a network from a file without running code from the file.

A file may come from an untrusted source. It is checked in this order, and the first error is reported:

    torch_file, safetensors_file   the file itself; then plain data and tensors only
    migration                      its format, and the migration to the current one
    metadata                       every field, its type, and no other fields
    upnet.config                   what its config would build, before anything is imported
    loading                        the network, built without memory and not larger than the file
    weights                        the tensors, one by one, against that network
"""

from upnet.checkpoint.errors import DamagedCheckpointError
from upnet.checkpoint.loading import load_network, read
from upnet.checkpoint.metadata import describe
from upnet.checkpoint.safetensors_file import SUFFIX, export
from upnet.checkpoint.weights import Loaded

__all__ = ["SUFFIX", "DamagedCheckpointError", "Loaded", "describe", "export", "load_network", "read"]
