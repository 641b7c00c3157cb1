"""The benchmark Urban100."""

from upnet.data.catalogue.archives import EDSR, super_image
from upnet.data.catalogue.base import PublishedSet


class Urban100(PublishedSet):
    """100 photographs of buildings with repeated structures.

    Huang, Singh and Ahuja, "Single image super-resolution from transformed self-exemplars"
    (https://doi.org/10.1109/CVPR.2015.7299156).
    """

    title = "Urban100"
    count = 100
    page = "https://github.com/jbhuang0604/SelfExSR"
    terms = "CC BY 4.0"
    licence = "The photographs come from Flickr; the mirror at Hugging Face states CC BY 4.0."
    downloads = (EDSR, super_image("Urban100", 100, 135_000_000, (35_500_000, 16_300_000, 9_480_000)))
    folders = ("Urban100",)
    parents = ("benchmark",)
    scales = (2, 3, 4)
