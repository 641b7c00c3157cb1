"""PerceptualMetric: a learned distance between two images, and the download and check of its weights."""

import hashlib
from abc import ABC, abstractmethod
from importlib import metadata
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor, nn

from upnet.utils.device import no_tf32
from upnet.utils.errors import UserError

_INSTALL = "Install it: pip install -e '.[perceptual]'"


class PerceptualMetric(ABC):
    """A learned distance between an output and its target: 0 for equal images, lower is better.

    name:     the name in settings and files.
    title:    the name in tables.
    paper:    its title and URL.
    weights:  URL of the backbone's weights; the file name ends in the first digits of its SHA-256.
    min_side: smallest width and height in pixels.

    Raises UserError where the library or the weights are missing.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    paper: ClassVar[str]
    weights: ClassVar[str]
    min_side: ClassVar[int] = 32

    def __init__(self, device: torch.device) -> None:
        _check_library(self.name)
        path = cached_weights(self.weights, self.name)
        self.digest = check_weights(path, self.name)
        try:
            net = self.build_network()
        except ImportError as error:
            raise UserError(
                f"it needs torchmetrics 1.7 or later ({error})", setting="perceptual", value=self.name, cure=_INSTALL
            ) from error
        except (RuntimeError, KeyError) as error:
            raise UserError(
                f"{path} doesn't contain the expected weights ({str(error).splitlines()[0]})",
                setting="perceptual",
                value=self.name,
                cure="Delete the file; it is downloaded again",
            ) from error
        self.device = device
        self.net = net.eval().requires_grad_(False).to(device)

    @abstractmethod
    def build_network(self) -> nn.Module:
        """Build the network with its weights. May raise ImportError where the library is missing or too old."""

    @abstractmethod
    def distance(self, output: Tensor, target: Tensor) -> Tensor:
        """The distance () between two images, (1, 3, H, W) float32 in [0, 1]."""

    @torch.no_grad()
    def __call__(self, output: Tensor, target: Tensor) -> float:
        """The distance between two images, (3, H, W) uint8. Raises UserError where they are smaller than `min_side`."""
        if min(target.shape[1:]) < self.min_side:
            raise UserError(
                f"it needs images of at least {self.min_side}x{self.min_side} pixels after cropping; got "
                f"{target.shape[1]}x{target.shape[2]}",
                setting="perceptual",
                value=self.name,
            )
        pair = [image.to(self.device, torch.float32)[None] / 255 for image in (output, target)]
        with no_tf32():
            return float(self.distance(*pair))

    def describe(self) -> dict[str, str]:
        """Everything that a value depends on, as plain data."""
        return {
            "better": "lower, 0 for identical pictures",
            "of": "RGB of 8 bits, cropped as the protocol says, not resized; float32",
            "implementation": f"torchmetrics {metadata.version('torchmetrics')}",
            "weights": f"{self.weights.rsplit('/', 1)[-1]}, SHA-256 {self.digest}",
            "paper": self.paper,
        }


def _check_library(name: str) -> None:
    """Raise UserError where torchmetrics is missing, before weights of half a gigabyte are downloaded."""
    try:
        metadata.version("torchmetrics")
    except metadata.PackageNotFoundError as error:
        raise UserError(
            "it needs torchmetrics, which is not installed", setting="perceptual", value=name, cure=_INSTALL
        ) from error


def cached_weights(url: str, name: str) -> Path:
    """The path of a weights file in torch's cache; the file is downloaded where it is missing.

    name: of the metric, for errors.

    Raises UserError where the download fails.
    """
    path = Path(torch.hub.get_dir()) / "checkpoints" / url.rsplit("/", 1)[-1]
    if path.is_file():
        return path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(url, str(path), hash_prefix=path.stem.rsplit("-", 1)[-1])
    except (OSError, RuntimeError) as error:
        raise UserError(
            f"it needs {url}, which could not be downloaded ({error})",
            setting="perceptual",
            value=name,
            cure=f"Download it elsewhere and put it at {path}",
        ) from error
    return path


def check_weights(path: Path, name: str) -> str:
    """The SHA-256 of a weights file. Raises UserError where it doesn't start with the digits in the file name."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 22):
            digest.update(block)
    expected = path.stem.rsplit("-", 1)[-1]
    if not digest.hexdigest().startswith(expected):
        raise UserError(
            f"{path} is damaged or another file: its SHA-256 begins with {digest.hexdigest()[:8]}, not with {expected}",
            setting="perceptual",
            value=name,
            cure="Delete the file; it is downloaded again",
        )
    return digest.hexdigest()
