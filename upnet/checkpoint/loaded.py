"""A network and what the file it came in says of it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from upnet.checkpoint.weights import Weights
from upnet.models import EncoderDecoder


@dataclass(frozen=True)
class Loaded:
    """A network out of a checkpoint, ready to enlarge pictures, and what the file says of it.

    told:    what the file says of itself, see `describe`.
    weights: whether they are the averaged or the raw ones.
    path:    where it came from.
    """

    net: EncoderDecoder
    told: dict[str, Any]
    weights: Weights
    path: Path

    @property
    def config(self) -> dict[str, Any]:
        """The network's resolved config."""
        return self.told["model"]

    @property
    def step(self) -> int:
        """The optimizer steps it was trained for."""
        return self.told["step"]
