"""Published sets of pictures: benchmarks and training sets, one module each."""

from upnet.data.sets.bsd100 import BSD100 as BSD100
from upnet.data.sets.bsds import BSDS as BSDS
from upnet.data.sets.div2k import DIV2K as DIV2K
from upnet.data.sets.div2k_valid import DIV2KValid as DIV2KValid
from upnet.data.sets.flickr2k import Flickr2K as Flickr2K
from upnet.data.sets.manga109 import Manga109 as Manga109
from upnet.data.sets.set5 import Set5 as Set5
from upnet.data.sets.set14 import Set14 as Set14
from upnet.data.sets.t91 import T91 as T91
from upnet.data.sets.urban100 import Urban100 as Urban100
