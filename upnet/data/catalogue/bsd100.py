"""The benchmark BSD100: the test images of the Berkeley segmentation data set BSDS300."""

from upnet.data.catalogue.archives import BERKELEY, BSDS500, EDSR, super_image
from upnet.data.catalogue.base import PublishedSet
from upnet.data.catalogue.layout import BENCHMARK, Layout


class BSD100(PublishedSet):
    """100 photographs: the test images of BSDS300, which are also the validation images of BSDS500.

    Martin et al., "A database of human segmented natural images and its application to evaluating segmentation
    algorithms and measuring ecological statistics"
    (https://doi.org/10.1109/ICCV.2001.937655).
    """

    title = "BSD100"
    count = 100
    page = f"{BERKELEY}/segbench"
    terms = "research, not commercial"
    licence = "The photographs come from Corel; Berkeley provides them for non-commercial research and education."
    downloads = (EDSR, super_image("BSD100", 100, 16_000_000, (4_300_000, 2_000_000, 1_200_000)), BSDS500)
    folders = ("BSD100", "B100", "BSDS100")
    parents = ("benchmark",)
    layouts = (
        *BENCHMARK,
        Layout(hr=("BSR/BSDS500/data/images/val",)),
        Layout(hr=("BSDS500/data/images/val",)),
        Layout(hr=("data/images/val",), ambiguous=True),
        Layout(hr=("images/val",), ambiguous=True),
        Layout(hr=("val",), ambiguous=True),
    )
    scales = (2, 3, 4)
