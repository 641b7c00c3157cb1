"""Image sources, the store they are decoded into, and the training stream.

Names are imported on first use, so that `import upnet.data` imports neither torch nor Lightning.
"""

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from upnet.data.datamodule import DataModule as DataModule
    from upnet.data.lightning import Feed as Feed
    from upnet.data.sampler import Sampler as Sampler
    from upnet.data.sources.base import Entry as Entry
    from upnet.data.sources.base import Source as Source
    from upnet.data.sources.dead_leaves import DeadLeaves as DeadLeaves
    from upnet.data.sources.folder import Folder as Folder
    from upnet.data.sources.lookup import open_sets as open_sets
    from upnet.data.sources.paired import Paired as Paired
    from upnet.data.sources.photographs import Photographs as Photographs
    from upnet.data.store import Store as Store
    from upnet.data.store_cache import build as build

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "datamodule": ["DataModule"],
        "lightning": ["Feed"],
        "sampler": ["Sampler"],
        "sources.base": ["Entry", "Source"],
        "sources.dead_leaves": ["DeadLeaves"],
        "sources.folder": ["Folder"],
        "sources.lookup": ["open_sets"],
        "sources.paired": ["Paired"],
        "sources.photographs": ["Photographs"],
        "store": ["Store"],
        "store_cache": ["build"],
    },
)
