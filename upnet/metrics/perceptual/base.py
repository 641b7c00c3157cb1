"""What a learned distance between two pictures is, and where its weights come from."""

import hashlib
from abc import ABC, abstractmethod
from importlib import metadata
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor, nn

from upnet.utils.device import no_tf32


class PerceptualMetric(ABC):
    """A distance between an output and its target: 0 for identical pictures, and the lower the better.

    name:     in settings and files; title: in tables.
    paper:    title and address.
    weights:  the address of the backbone's weights; their file's name ends in the start of its SHA-256.
    smallest: the side in pixels that a picture must have.

    Raises ValueError, with the cure, where the library or the weights can't be had.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    paper: ClassVar[str]
    weights: ClassVar[str]
    smallest: ClassVar[int] = 32

    def __init__(self, device: torch.device) -> None:
        _check_library(self.name)
        path = fetch(self.weights, self.name)
        self.digest = check_weights(path, self.name)
        try:
            net = self.load()
        except ImportError as fault:
            raise ValueError(
                f"perceptual={self.name} needs torchmetrics 1.7 or later ({fault}): pip install -e '.[perceptual]'"
            ) from fault
        except (RuntimeError, KeyError) as fault:
            raise ValueError(
                f"perceptual={self.name}: {path} doesn't hold the weights it should ({str(fault).splitlines()[0]}); "
                "delete it, and it will be fetched again"
            ) from fault
        self.device = device
        self.net = net.eval().requires_grad_(False).to(device)

    @abstractmethod
    def load(self) -> nn.Module:
        """The network, with its weights. May raise ImportError where the library is missing or too old."""

    @abstractmethod
    def distance(self, output: Tensor, target: Tensor) -> Tensor:
        """One value of two pictures, (1, 3, H, W) float32 in [0, 1]."""

    @torch.no_grad()
    def __call__(self, output: Tensor, target: Tensor) -> float:
        """The distance of two pictures, (3, H, W) uint8. Raises ValueError where they are too small."""
        if min(target.shape[1:]) < self.smallest:
            raise ValueError(
                f"perceptual={self.name} needs pictures of at least {self.smallest}x{self.smallest} pixels after "
                f"cropping; got {target.shape[1]}x{target.shape[2]}"
            )
        pair = [picture.to(self.device, torch.float32)[None] / 255 for picture in (output, target)]
        with no_tf32():
            return float(self.distance(*pair))

    def describe(self) -> dict[str, str]:
        """What has to stand beside a value, as plain data."""
        return {
            "better": "lower, 0 for identical pictures",
            "of": "RGB of 8 bits, cropped as the protocol says, not resized; float32",
            "implementation": f"torchmetrics {metadata.version('torchmetrics')}",
            "weights": f"{self.weights.rsplit('/', 1)[-1]}, SHA-256 {self.digest}",
            "paper": self.paper,
        }


def _check_library(name: str) -> None:
    """Said before weights of half a gigabyte are fetched."""
    try:
        metadata.version("torchmetrics")
    except metadata.PackageNotFoundError as fault:
        raise ValueError(
            f"perceptual={name} needs torchmetrics, which is not installed: pip install -e '.[perceptual]'"
        ) from fault


def fetch(url: str, name: str) -> Path:
    """The file of an address in torch's cache of weights, downloaded where it isn't there yet.

    Raises ValueError, with the cure, where it can't be had.
    """
    path = Path(torch.hub.get_dir()) / "checkpoints" / url.rsplit("/", 1)[-1]
    if path.is_file():
        return path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(url, str(path), hash_prefix=path.stem.rsplit("-", 1)[-1])
    except (OSError, RuntimeError) as fault:
        raise ValueError(
            f"perceptual={name} needs {url}, which could not be downloaded ({fault}); fetch it elsewhere and put it at "
            f"{path}"
        ) from fault
    return path


def check_weights(path: Path, name: str) -> str:
    """The SHA-256 of a file of weights. Raises ValueError where it isn't what the file's name says."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 22):
            digest.update(block)
    told = path.stem.rsplit("-", 1)[-1]
    if not digest.hexdigest().startswith(told):
        raise ValueError(
            f"perceptual={name}: {path} is damaged or another file: its SHA-256 begins with {digest.hexdigest()[:8]}, "
            f"not with {told}; delete it, and it will be fetched again"
        )
    return digest.hexdigest()
