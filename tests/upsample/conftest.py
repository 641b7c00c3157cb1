"""Fixtures of the operators' tests, parametrised over the yamls of configs/model/upsampler."""

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Protocol

import hydra
import pytest
import torch
import torch.nn.functional as F
from omegaconf import OmegaConf
from torch import Tensor

from upnet.site import Site
from upnet.upsample import Upsampler

FOLDER = Path(__file__).parents[2] / "configs" / "model" / "upsampler"
INTEGER, FRACTIONAL = (2, 3, 4), (1.14, 1.5, 2.5)

Factory = Callable[..., Upsampler]


class Visit(Protocol):
    """Return an input and a site of the given size for an operator."""

    def __call__(self, operator: Upsampler, size: tuple[int, int], seed: int = 0) -> tuple[Tensor, Site]: ...


@cache
def _factories() -> dict[str, Factory]:
    return {path.stem: hydra.utils.instantiate(OmegaConf.load(path)) for path in sorted(FOLDER.glob("*.yaml"))}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Parametrise `factory` over the folder; with `scale`, over all scales that the operator supports."""
    if "factory" not in metafunc.fixturenames:
        return
    factories = _factories()
    if "scale" not in metafunc.fixturenames:
        metafunc.parametrize("factory", [pytest.param(make, id=stem) for stem, make in factories.items()])
        return
    cases = [
        pytest.param(make, scale, id=f"{stem}-{scale}")
        for stem, make in factories.items()
        for scale in (*INTEGER, *(FRACTIONAL if make(channels=1, scale=2).fractional else ()))
    ]
    metafunc.parametrize(("factory", "scale"), cases)


@pytest.fixture(scope="session")
def fixed_factories() -> dict[str, Factory]:
    """The operators without weights that need nothing but a size."""
    probes = {stem: make(channels=1, scale=2) for stem, make in _factories().items()}
    return {
        stem: make
        for stem, make in _factories().items()
        if not list(probes[stem].parameters()) and not probes[stem].requires
    }


@pytest.fixture(scope="session")
def visit() -> Visit:
    """Draw a float64 image of the site's size; x and the indices are its max-pooling."""

    def make(operator: Upsampler, size: tuple[int, int], seed: int = 0) -> tuple[Tensor, Site]:
        generator = torch.Generator().manual_seed(seed)
        image = torch.randn(2, operator.channels, *size, generator=generator, dtype=torch.float64)
        if isinstance(operator.scale, int):
            x, indices = F.max_pool2d(image, operator.scale, ceil_mode=True, return_indices=True)
            return x, Site(size, indices=indices, skip=image)
        shape = (2, operator.channels, *operator.input_size(*size))
        return torch.randn(shape, generator=generator, dtype=torch.float64), Site(size, skip=image)

    return make


@pytest.fixture
def deterministic() -> Iterator[None]:
    """torch.use_deterministic_algorithms(True) for the length of a test."""
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)
