"""Pictures: where they come from, the store they are decoded into, and the training stream.

Names are imported when they are first used, so that `import upnet.data` costs neither torch nor Lightning.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from upnet.data.building import build as build
    from upnet.data.datamodule import DataModule as DataModule
    from upnet.data.feeding import Feed as Feed
    from upnet.data.picture import SUFFIXES as SUFFIXES
    from upnet.data.picture import BrokenPictureError as BrokenPictureError
    from upnet.data.picture import read_rgb as read_rgb
    from upnet.data.sampler import Sampler as Sampler
    from upnet.data.sources.base import Entry as Entry
    from upnet.data.sources.base import Source as Source
    from upnet.data.sources.dead_leaves import DeadLeaves as DeadLeaves
    from upnet.data.sources.folder import Folder as Folder
    from upnet.data.sources.opening import open_sets as open_sets
    from upnet.data.sources.paired import Paired as Paired
    from upnet.data.sources.photographs import Photographs as Photographs
    from upnet.data.store import Store as Store

_HOME = {
    "BrokenPictureError": "picture",
    "DataModule": "datamodule",
    "DeadLeaves": "sources.dead_leaves",
    "Entry": "sources.base",
    "Feed": "feeding",
    "Folder": "sources.folder",
    "Paired": "sources.paired",
    "Photographs": "sources.photographs",
    "SUFFIXES": "picture",
    "Sampler": "sampler",
    "Source": "sources.base",
    "Store": "store",
    "build": "building",
    "open_sets": "sources.opening",
    "read_rgb": "picture",
}


def __getattr__(name: str) -> object:
    if name in _HOME:
        return getattr(import_module(f"upnet.data.{_HOME[name]}"), name)
    raise AttributeError(f"module 'upnet.data' has no attribute {name!r}")
