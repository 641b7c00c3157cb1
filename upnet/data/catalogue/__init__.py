"""The catalogue: published image sets, benchmarks and training sets, one module each; and how they are downloaded."""

from upnet.data.catalogue.bsd100 import BSD100 as BSD100
from upnet.data.catalogue.bsds import BSDS as BSDS
from upnet.data.catalogue.div2k import DIV2K as DIV2K
from upnet.data.catalogue.div2k_valid import DIV2KValid as DIV2KValid
from upnet.data.catalogue.flickr2k import Flickr2K as Flickr2K
from upnet.data.catalogue.manga109 import Manga109 as Manga109
from upnet.data.catalogue.set5 import Set5 as Set5
from upnet.data.catalogue.set14 import Set14 as Set14
from upnet.data.catalogue.t91 import T91 as T91
from upnet.data.catalogue.urban100 import Urban100 as Urban100
