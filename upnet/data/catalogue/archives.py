"""Download sources that several sets share."""

from upnet.data.catalogue.base import Archive, DownloadSource

EDSR = DownloadSource(
    provider="the authors of EDSR, who collected Set5, Set14, B100 and Urban100 with their LR images",
    archives=(
        Archive(
            "https://cv.snu.ac.kr/research/EDSR/benchmark.tar",
            folder="benchmark",
            inner_folder="benchmark",
            approximate_size=250_000_000,
            checksum="md5:4ace41d33c2384b97e6b320cd0afd6ba",
        ),
    ),
    mirror=True,
)

BERKELEY = "https://www2.eecs.berkeley.edu/Research/Projects/CS/vision/grouping"
BSDS500 = DownloadSource(
    provider="the Berkeley Computer Vision Group",
    archives=(
        Archive(
            f"{BERKELEY}/BSR/BSR_bsds500.tgz",
            folder="BSR/BSDS500/data/images",
            inner_folder="BSDS500/data/images",
            size=70_763_455,
            checksum="sha256:97e49d31764f3912f0c4122707d53062ac9e783ba0f095e447a4d53c1a41af8e",
            count=500,
        ),
    ),
)


def super_image(name: str, count: int, hr: int, lr: tuple[int, int, int]) -> DownloadSource:
    """A benchmark at Hugging Face.

    name:  of the data set. count: number of images.
    hr:    approximate size in bytes of the archive of HR images.
    lr:    approximate sizes in bytes of the archives of LR images at scales 2, 3 and 4.
    """
    data = f"https://huggingface.co/datasets/eugenesiow/{name}/resolve/main/data/{name}"
    lr_archives = (
        Archive(
            f"{data}_LR_x{scale}.tar.gz", f"{name}/LR_bicubic/X{scale}", approximate_size=size, count=count, scale=scale
        )
        for scale, size in zip((2, 3, 4), lr, strict=True)
    )
    return DownloadSource(
        provider="the author of super-image, at Hugging Face",
        archives=(Archive(f"{data}_HR.tar.gz", f"{name}/HR", approximate_size=hr, count=count), *lr_archives),
        mirror=True,
    )


def div2k(part: str, count: int, hr: tuple[int, str], lr: dict[int, tuple[int, str]]) -> DownloadSource:
    """DIV2K at ETH Zürich.

    part: "train" or "valid". count: number of images.
    hr:   (size in bytes, SHA-256) of the archive of HR images.
    lr:   {scale: (size in bytes, SHA-256)} of the archives of LR images.
    """
    site = "https://data.vision.ee.ethz.ch/cvl/DIV2K"
    name = f"DIV2K_{part}_HR"
    hr_archive = Archive(f"{site}/{name}.zip", f"DIV2K/{name}", name, hr[0], checksum=f"sha256:{hr[1]}", count=count)
    name = f"DIV2K_{part}_LR_bicubic"
    lr_archives = (
        Archive(
            f"{site}/{name}_X{scale}.zip",
            folder=f"DIV2K/{name}/X{scale}",
            inner_folder=f"X{scale}",
            size=size,
            checksum=f"sha256:{digest}",
            count=count,
            scale=scale,
        )
        for scale, (size, digest) in lr.items()
    )
    return DownloadSource(provider="its authors at ETH Zürich", archives=(hr_archive, *lr_archives))
