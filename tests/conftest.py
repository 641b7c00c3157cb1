"""What every test stands on: one thread, the project's own configs, and small pictures."""

import copy
import logging
import os
import subprocess
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

# Workers share the cores among them: more threads than cores make every step wait for the slowest.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pytest
import torch
from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from omegaconf import DictConfig
from PIL import Image
from sampling import mark_full
from support import CONFIGS, Compose

torch.set_num_threads(1)
# Counting multiply-adds makes torch know a device more, for which its first backward pass would then start a thread,
# and a process that is forked after that can't train. So the first pass is this one, before anything is counted.
torch.zeros(1, requires_grad=True).sum().backward()


@pytest.hookimpl(tryfirst=True)  # before `-m` selects
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the cases that run only with `-m full`; skip tests marked gpu where there is no GPU."""
    mark_full(items)
    if not torch.cuda.is_available():
        for item in items:
            if item.get_closest_marker("gpu"):
                item.add_marker(pytest.mark.skip(reason="needs an NVIDIA GPU"))


@pytest.fixture(autouse=True)
def levels() -> Iterator[None]:
    """Every logger has its level back after a test: a command that quietens its own would quieten the next test's."""
    known = [logging.getLogger(name) for name in ("", "upnet", "pytorch_lightning")]
    before = [logger.level for logger in known]
    yield
    for logger, level in zip(known, before, strict=True):
        logger.setLevel(level)


@pytest.fixture(scope="session")
def compose() -> Compose:
    """The config of a command, as Hydra composes it: compose("model=edsr", command="train")."""

    @cache
    def composed(command: str, overrides: tuple[str, ...]) -> DictConfig:
        with initialize_config_dir(str(CONFIGS), version_base="1.3"):
            return hydra_compose(command, overrides=list(overrides))

    # Composing takes longer than most tests; a copy may be changed by its test.
    return lambda *overrides, command="train": copy.deepcopy(composed(command, overrides))


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A folder of three small colour pictures with edges and texture."""
    from PIL import Image

    folder = tmp_path / "pictures"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number, (height, width) in enumerate(((64, 72), (70, 66), (81, 65))):
        coarse = rng.integers(0, 256, (9, 9, 3), dtype=np.uint8)
        picture = np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.NEAREST))
        noisy = picture.astype(int) + rng.integers(-12, 13, picture.shape)
        Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(folder / f"picture{number}.png")
    return folder


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 64 KiB. Skipped where only the superuser may mount one, or nobody."""
    folder = tmp_path / "disk"
    folder.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)], capture_output=True, text=True
    )
    if made.returncode:
        pytest.skip(f"a small tmpfs can't be mounted here: {made.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture
def noise() -> Callable[..., np.ndarray]:
    """noise(height, width, seed) -> (height, width, 3) uint8."""

    def make(height: int, width: int, seed: int = 0) -> np.ndarray:
        return np.random.default_rng([seed, height, width]).integers(0, 256, (height, width, 3), np.uint8)

    return make


@pytest.fixture
def hr_folder(tmp_path: Path, noise: Callable[..., np.ndarray]) -> Path:
    """Four pictures of several sizes, one of them in a subfolder."""
    root = tmp_path / "pictures"
    (root / "more").mkdir(parents=True)
    for index, (name, size) in enumerate({"a": (40, 56), "b": (33, 47), "c": (64, 32), "more/d": (35, 36)}.items()):
        Image.fromarray(noise(*size, seed=index)).save(root / f"{name}.png")
    return root
