"""T91."""

from upnet.data.catalogue.base import Archive, DownloadSource, PublishedSet


class T91(PublishedSet):
    """91 small images, the training set of sparse coding, SRCNN and FSRCNN.

    Their author packed them as RAR, which Python doesn't read; the authors of SRCNN packed them with their code.

    Yang et al., "Image super-resolution via sparse representation"
    (https://doi.org/10.1109/TIP.2010.2050625).
    """

    title = "T91"
    count = 91
    training = True
    page = "http://www.ifp.illinois.edu/~jyang29/ScSR.htm"
    terms = "research"
    licence = "No licence is stated; the images are handed round for research."
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
