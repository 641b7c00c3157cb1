"""Image sources, the store of decoded images, and the training stream.

Names are imported on first use, so that `import upnet.data` imports neither torch nor Lightning.
"""

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from upnet.data.crop_sampler import CropSampler as CropSampler
    from upnet.data.lightning import SRDataModule as SRDataModule
    from upnet.data.sources.base import ImageEntry as ImageEntry
    from upnet.data.sources.base import Source as Source
    from upnet.data.sources.dead_leaves import DeadLeaves as DeadLeaves
    from upnet.data.sources.folder import Folder as Folder
    from upnet.data.sources.lookup import open_sources as open_sources
    from upnet.data.sources.paired import Paired as Paired
    from upnet.data.sources.photographs import Photographs as Photographs
    from upnet.data.sr_data import SRData as SRData
    from upnet.data.store import Store as Store
    from upnet.data.store_cache import build_store as build_store

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "sr_data": ["SRData"],
        "lightning": ["SRDataModule"],
        "crop_sampler": ["CropSampler"],
        "sources.base": ["ImageEntry", "Source"],
        "sources.dead_leaves": ["DeadLeaves"],
        "sources.folder": ["Folder"],
        "sources.lookup": ["open_sources"],
        "sources.paired": ["Paired"],
        "sources.photographs": ["Photographs"],
        "store": ["Store"],
        "store_cache": ["build_store"],
    },
)
