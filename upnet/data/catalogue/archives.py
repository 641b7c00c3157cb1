"""Archive and DownloadSource: where a set can be downloaded; and the sources that several sets share."""

from dataclasses import dataclass

from upnet.utils.errors import RunError


class DownloadError(RunError):
    """A set cannot be downloaded: the network or the server fails, or the archive is not the published one."""


@dataclass(frozen=True)
class Archive:
    """An archive file to download, and the images in it that are extracted.

    url:              its address.
    folder:           the folder below the root that the images are extracted to. It must not exist before.
    inner_folder:     the folder in the archive that contains the images, at any depth; "": all images.
    size:             in bytes, if it is known exactly.
    approximate_size: in bytes, if it is known roughly.
    checksum:         "sha256:…" or "md5:…", if known.
    count:            number of images in `inner_folder`, if known.
    scale:            the scale of the LR images, if the archive contains nothing else.

    >>> Archive("https://example.org/Set5_HR.zip", folder="Set5/HR", approximate_size=852_000).download_bytes
    852000
    """

    url: str
    folder: str
    inner_folder: str = ""
    size: int | None = None
    approximate_size: int | None = None
    checksum: str | None = None
    count: int | None = None
    scale: int | None = None

    @property
    def download_bytes(self) -> int:
        """The size in bytes, exact or approximate; 0 if unknown."""
        return self.size or self.approximate_size or 0


@dataclass(frozen=True)
class DownloadSource:
    """One place to download a set from: the archives that together contain the set.

    provider: who provides them, in a few words.
    mirror:   whether the provider is not the author of the set.

    >>> hr = Archive("https://example.org/HR.zip", folder="Set/HR", size=60_000_000)
    >>> lr = Archive("https://example.org/LR.zip", folder="Set/LR", size=10_000_000)
    >>> DownloadSource("its authors", (hr, lr)).size_text
    '70 MB'
    """

    provider: str
    archives: tuple[Archive, ...]
    mirror: bool = False

    @property
    def size_text(self) -> str:
        """The size of all archives together, as text: "1.2 GB" or "70 MB"."""
        size = sum(archive.download_bytes for archive in self.archives)
        return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"


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
    """A benchmark set at Hugging Face (https://huggingface.co/eugenesiow), one archive of HR and one of LR per scale.

    name:  name of the set.
    count: number of images.
    hr:    approximate size in bytes of the archive of HR images.
    lr:    approximate sizes in bytes of the archives of LR images of scales 2, 3 and 4.
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
    """DIV2K at ETH Zürich (https://data.vision.ee.ethz.ch/cvl/DIV2K), one archive of HR and one of LR per scale.

    part:  "train" or "valid".
    count: number of images.
    hr:    (size in bytes, SHA-256) of the archive of HR images.
    lr:    {scale: (size in bytes, SHA-256)} of the archives of LR images.
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
