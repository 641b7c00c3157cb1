"""The benchmark DIV2K-valid: the 100 validation images of DIV2K."""

from upnet.data.catalogue.archives import div2k
from upnet.data.catalogue.base import PublishedSet
from upnet.data.catalogue.layout import Layout


class DIV2KValid(PublishedSet):
    """100 photographs of about two million pixels.

    Papers evaluate on them because the HR images of DIV2K's test set are not published.

    Agustsson and Timofte, "NTIRE 2017 challenge on single image super-resolution: dataset and study"
    (https://doi.org/10.1109/CVPRW.2017.150).
    """

    title = "DIV2K-valid"
    count = 100
    page = "https://data.vision.ee.ethz.ch/cvl/DIV2K/"
    terms = "academic"
    licence = "For academic research; the copyright stays with the photographers."
    downloads = (
        div2k(
            "valid",
            100,
            (448_993_893, "20dd31fd84d777bc1cf5d6b7654a3f569c0aec74458ae094122ad1d0489900fc"),
            {
                2: (117_763_600, "60eed9875c697df51204aa579e2a699e1d5215095788a097ff54dd17e2664d57"),
                3: (54_513_392, "04b9a2ed3b4a0715d3924d3ae8514830c3328fac8d30512ce716d6f419e052a3"),
                4: (31_505_881, "a50a5d1c4b88de4e8d300d8fb2b904c52fe93b2b298a4899697760d7cbb6d553"),
            },
        ),
    )
    folders = ("DIV2K", "DIV2K_valid_HR")
    layouts = (Layout(hr=("DIV2K_valid_HR",), lr=("DIV2K_valid_LR_bicubic",)),)
    scales = (2, 3, 4)
