"""The benchmark Set14."""

from upnet.data.catalogue.archives import EDSR, super_image
from upnet.data.catalogue.base import PublishedSet


class Set14(PublishedSet):
    """Fourteen images, one of them greyscale.

    Zeyde, Elad and Protter, "On single image scale-up using sparse-representations"
    (https://doi.org/10.1007/978-3-642-27413-8_47).
    """

    title = "Set14"
    count = 14
    page = "https://sites.google.com/site/romanzeyde/research-interests"
    terms = "research"
    licence = "No licence is stated; the images are redistributed for research."
    downloads = (EDSR, super_image("Set14", 14, 5_000_000, (1_400_000, 650_000, 400_000)))
    folders = ("Set14",)
    parents = ("benchmark",)
    scales = (2, 3, 4)
