"""The training set T91."""

from upnet.data.catalogue.archives import Archive, DownloadSource
from upnet.data.catalogue.base import PublishedSet


class T91(PublishedSet):
    """91 small images, on which ScSR, SRCNN and FSRCNN were trained.

    Their author provides them as RAR, which Python cannot read; the authors of SRCNN provide them as zip.

    Yang et al., "Image super-resolution via sparse representation"
    (https://doi.org/10.1109/TIP.2010.2050625).
    """

    title = "T91"
    count = 91
    training = True
    page = "http://www.ifp.illinois.edu/~jyang29/ScSR.htm"
    terms = "research"
    licence = "No licence is stated; the images are redistributed for research."
    downloads = (
        DownloadSource(
            provider="the authors of SRCNN",
            archives=(
                Archive(
                    "http://mmlab.ie.cuhk.edu.hk/projects/SRCNN/SRCNN_train.zip",
                    folder="T91/HR",
                    inner_folder="Train",
                    size=19_619_221,
                    checksum="sha256:001146419f7acfb12a3e7929c8acd5de88a08d687d6881085f81321ad6982b1a",
                    count=91,
                ),
            ),
            mirror=True,
        ),
    )
    folders = ("T91",)
