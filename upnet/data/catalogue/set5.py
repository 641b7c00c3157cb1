"""The benchmark Set5."""

from upnet.data.catalogue.archives import EDSR, super_image
from upnet.data.catalogue.base import PublishedSet


class Set5(PublishedSet):
    """Five images that nearly every paper evaluates on.

    Bevilacqua et al., "Low-complexity single-image super-resolution based on nonnegative neighbor embedding"
    (https://doi.org/10.5244/C.26.135).
    """

    title = "Set5"
    count = 5
    page = "http://people.rennes.inria.fr/Aline.Roumy/results/SR_BMVC12.html"
    terms = "research"
    licence = "No licence is stated; the images are redistributed for research."
    downloads = (EDSR, super_image("Set5", 5, 852_000, (255_000, 122_000, 73_300)))
    folders = ("Set5",)
    parents = ("benchmark",)
    scales = (2, 3, 4)
