"""The training set BSDS: BSDS500 without benchmark images."""

from upnet.data.catalogue.archives import BERKELEY, BSDS500, Archive, DownloadSource
from upnet.data.catalogue.base import PublishedSet
from upnet.data.catalogue.layout import Layout

MIRROR = DownloadSource(
    provider="the Berkeley Institute for Data Science, at GitHub",
    archives=(
        Archive(
            "https://github.com/BIDS/BSDS500/archive/refs/heads/master.zip",
            folder="BSR/BSDS500/data/images",
            inner_folder="BSDS500/data/images",
            approximate_size=70_000_000,
            count=500,
        ),
    ),
    mirror=True,
)


class BSDS(PublishedSet):
    """399 photographs: the training and test images of BSDS500 that are not in a benchmark.

    The validation images of BSDS500 are BSD100, and 302003.jpg of its test images is "woman" of Set5.

    Arbeláez et al., "Contour detection and hierarchical image segmentation"
    (https://doi.org/10.1109/TPAMI.2010.161).
    """

    title = "BSDS"
    count = 399
    training = True
    page = f"{BERKELEY}/resources.html"
    terms = "research, not commercial"
    licence = "The photographs come from Corel; Berkeley provides them for non-commercial research and education."
    downloads = (BSDS500, MIRROR)
    folders = ("BSDS399", "BSDS400")
    layouts = (
        Layout(hr=("HR",), ambiguous=True),
        Layout(hr=("BSR/BSDS500/data/images/train", "BSR/BSDS500/data/images/test")),
        Layout(hr=("BSDS500/data/images/train", "BSDS500/data/images/test")),
        Layout(hr=("data/images/train", "data/images/test"), ambiguous=True),
        Layout(hr=("images/train", "images/test"), ambiguous=True),
        Layout(hr=("train", "test"), ambiguous=True),
    )
    excluded = frozenset({"302003"})
