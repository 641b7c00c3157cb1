"""Archives that hold several sets, or hold several sets in the same way."""

from upnet.data.catalogue.base import Archive, DownloadSource

EDSR = DownloadSource(
    by="the authors of EDSR, who gathered Set5, Set14, B100 and Urban100 with their LR images",
    archives=(
        Archive(
            "https://cv.snu.ac.kr/research/EDSR/benchmark.tar",
            to="benchmark",
            part="benchmark",
            roughly=250_000_000,
            checksum="md5:4ace41d33c2384b97e6b320cd0afd6ba",
        ),
    ),
    mirror=True,
)

BERKELEY = "https://www2.eecs.berkeley.edu/Research/Projects/CS/vision/grouping"
BSDS500 = DownloadSource(
    by="the Berkeley Computer Vision Group",
    archives=(
        Archive(
            f"{BERKELEY}/BSR/BSR_bsds500.tgz",
            to="BSR/BSDS500/data/images",
            part="BSDS500/data/images",
            size=70_763_455,
            checksum="sha256:97e49d31764f3912f0c4122707d53062ac9e783ba0f095e447a4d53c1a41af8e",
            count=500,
        ),
    ),
)


def super_image(name: str, count: int, hr: int, lr: tuple[int, int, int]) -> DownloadSource:
    """A benchmark at Hugging Face, HR and LR by 2, 3 and 4, each in an archive of so many bytes, roughly."""
    data = f"https://huggingface.co/datasets/eugenesiow/{name}/resolve/main/data/{name}"
    small = (
        Archive(f"{data}_LR_x{scale}.tar.gz", f"{name}/LR_bicubic/X{scale}", roughly=size, count=count, scale=scale)
        for scale, size in zip((2, 3, 4), lr, strict=True)
    )
    return DownloadSource(
        by="the author of super-image, at Hugging Face",
        archives=(Archive(f"{data}_HR.tar.gz", f"{name}/HR", roughly=hr, count=count), *small),
        mirror=True,
    )


def div2k(part: str, count: int, hr: tuple[int, str], lr: dict[int, tuple[int, str]]) -> DownloadSource:
    """train or valid of DIV2K: size and SHA-256 of the archive of HR images, and by scale of those of LR images."""
    site = "https://data.vision.ee.ethz.ch/cvl/DIV2K"
    name = f"DIV2K_{part}_HR"
    large = Archive(f"{site}/{name}.zip", f"DIV2K/{name}", name, hr[0], checksum=f"sha256:{hr[1]}", count=count)
    name = f"DIV2K_{part}_LR_bicubic"
    small = (
        Archive(
            f"{site}/{name}_X{scale}.zip",
            to=f"DIV2K/{name}/X{scale}",
            part=f"X{scale}",
            size=size,
            checksum=f"sha256:{digest}",
            count=count,
            scale=scale,
        )
        for scale, (size, digest) in lr.items()
    )
    return DownloadSource(by="its authors at ETH Zürich", archives=(large, *small))
