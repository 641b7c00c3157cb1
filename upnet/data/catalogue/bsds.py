"""BSDS500 less what is scored."""

from upnet.data.catalogue.archives import BERKELEY, BSDS500
from upnet.data.catalogue.base import Archive, DownloadSource, PublishedSet
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
    """The 399 photographs of BSDS500's train and test that no benchmark holds.

    Its validation images are BSD100, and its 302003.jpg is the image "woman" of Set5.

    Arbeláez et al., "Contour detection and hierarchical image segmentation"
    (https://doi.org/10.1109/TPAMI.2010.161).
    """

    title = "BSDS"
    count = 399
    training = True
    page = f"{BERKELEY}/resources.html"
    terms = "research, not commercial"
    licence = "Berkeley gives the photographs, which come from Corel, for non-commercial research and education."
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
