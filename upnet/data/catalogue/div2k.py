"""The training set DIV2K: its 800 training images."""

from upnet.data.catalogue.archives import div2k
from upnet.data.catalogue.base import PublishedSet
from upnet.data.catalogue.layout import Layout


class DIV2K(PublishedSet):
    """800 photographs of about two million pixels.

    Agustsson and Timofte, "NTIRE 2017 challenge on single image super-resolution: dataset and study"
    (https://doi.org/10.1109/CVPRW.2017.150).
    """

    title = "DIV2K"
    count = 800
    training = True
    page = "https://data.vision.ee.ethz.ch/cvl/DIV2K/"
    terms = "academic"
    licence = "For academic research; the copyright stays with the photographers."
    downloads = (
        div2k(
            "train",
            800,
            (3_530_603_713, "9d0b9c463f6e35b6c62cc6a930ee2224f670b34c1df841a57670f9acf0f6c335"),
            {
                2: (925_390_592, "a53a424317575838dadce4bcd97cf7b744d6855f43740ed5f0245af3cf4bd850"),
                3: (427_847_282, "ad5c8e5507e2765823d3c2c5bd0934842efcd487c5370604c224090898b3163a"),
                4: (246_914_039, "f006b837f4eb52b82909aa01478e6d6d199eefce932179491d0c9dbb706dde3a"),
            },
        ),
    )
    folders = ("DIV2K", "DIV2K_train_HR")
    layouts = (Layout(hr=("DIV2K_train_HR",), lr=("DIV2K_train_LR_bicubic",)),)
    scales = (2, 3, 4)
