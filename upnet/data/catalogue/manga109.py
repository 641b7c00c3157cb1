"""The benchmark Manga109."""

from upnet.data.catalogue.base import PublishedSet


class Manga109(PublishedSet):
    """109 manga pages, one per volume. Its authors provide them on request only, so there is no download.

    Matsui et al., "Sketch-based manga retrieval using Manga109 dataset"
    (https://arxiv.org/abs/1510.04389).
    """

    title = "Manga109"
    count = 109
    page = "http://www.manga109.org/en/"
    terms = "academic, on request"
    licence = "For academic use, on request to its authors; the images may not be redistributed."
    instructions = (
        "Apply to its authors at http://www.manga109.org/en/download.html or "
        "https://huggingface.co/datasets/hal-utokyo/Manga109; put the 109 pages of the benchmark into "
        "data/Manga109/HR as NAME.png, and LR images, if there are any, into data/Manga109/LR_bicubic/X2 as NAMEx2.png"
    )
    folders = ("Manga109",)
    parents = ("benchmark",)
    scales = ()
