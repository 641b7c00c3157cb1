"""The training set Flickr2K."""

from upnet.data.catalogue.archives import Archive, DownloadSource
from upnet.data.catalogue.base import PublishedSet
from upnet.data.catalogue.layout import Layout


class Flickr2K(PublishedSet):
    """2650 photographs of about two million pixels. DIV2K and Flickr2K together are called DF2K.

    Lim et al., "Enhanced deep residual networks for single image super-resolution"
    (https://arxiv.org/abs/1707.02921).
    """

    title = "Flickr2K"
    count = 2650
    training = True
    page = "https://github.com/limbee/NTIRE2017"
    terms = "research"
    licence = "The photographs come from Flickr, and their copyright stays with the photographers."
    downloads = (
        DownloadSource(
            provider="its authors at Seoul National University",
            archives=(
                Archive(
                    "https://cv.snu.ac.kr/research/EDSR/Flickr2K.tar",
                    folder="Flickr2K",
                    inner_folder="Flickr2K",
                    approximate_size=20_000_000_000,
                    checksum="md5:5d3f39443d5e9489bff8963f8f26cb03",
                ),
            ),
        ),
        DownloadSource(
            provider="yangtao9009 at Hugging Face, HR only",
            archives=(
                Archive(
                    "https://huggingface.co/datasets/yangtao9009/Flickr2K/resolve/main/Flickr2K.zip",
                    folder="Flickr2K/Flickr2K_HR",
                    approximate_size=11_600_000_000,
                    count=2650,
                ),
            ),
            mirror=True,
        ),
    )
    folders = ("Flickr2K", "Flickr2K_HR")
    layouts = (Layout(hr=("Flickr2K_HR",), lr=("Flickr2K_LR_bicubic",)),)
    scales = (2, 3, 4)
