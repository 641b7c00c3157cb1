"""Where the project lies, for tests."""

from collections.abc import Callable
from pathlib import Path

from omegaconf import DictConfig

ROOT = Path(__file__).resolve().parent.parent
CONFIGS = ROOT / "configs"

Compose = Callable[..., DictConfig]
"""compose("model=edsr", "scale=3", command="train"): the config of a command, as Hydra composes it."""
