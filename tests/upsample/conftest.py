"""What the operators' tests share: the folder of yamls is the list, so a new yaml is tested by existing."""

from collections.abc import Callable, Iterator
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
WHOLE, FRACTIONAL = (2, 3, 4), (1.14, 1.5, 2.5)

Factory = Callable[..., Upsampler]


class Visit(Protocol):
    """Makes what an operator meets at a place of a given size: its input and the site."""

    def __call__(self, operator: Upsampler, size: tuple[int, int], seed: int = 0) -> tuple[Tensor, Site]: ...


def _factories() -> dict[str, Factory]:
    return {path.stem: hydra.utils.instantiate(OmegaConf.load(path)) for path in sorted(FOLDER.glob("*.yaml"))}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """`factory` runs through the folder; `factory` with `scale` through every scale the operator has."""
    if "factory" not in metafunc.fixturenames:
        return
    factories = _factories()
    if "scale" not in metafunc.fixturenames:
        metafunc.parametrize("factory", [pytest.param(make, id=stem) for stem, make in factories.items()])
        return
    cases = [
        pytest.param(make, scale, id=f"{stem}-{scale}")
        for stem, make in factories.items()
        for scale in (*WHOLE, *(FRACTIONAL if make(channels=1, scale=2).fractional else ()))
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
    """Draws a float64 picture of the site's size; x and the positions are what max-pooling makes of it."""

    def make(operator: Upsampler, size: tuple[int, int], seed: int = 0) -> tuple[Tensor, Site]:
        generator = torch.Generator().manual_seed(seed)
        picture = torch.randn(2, operator.channels, *size, generator=generator, dtype=torch.float64)
        if isinstance(operator.scale, int):
            x, indices = F.max_pool2d(picture, operator.scale, ceil_mode=True, return_indices=True)
            return x, Site(size, indices=indices, skip=picture)
        shape = (2, operator.channels, *operator.input_size(*size))
        return torch.randn(shape, generator=generator, dtype=torch.float64), Site(size, skip=picture)

    return make


@pytest.fixture
def deterministic() -> Iterator[None]:
    """torch.use_deterministic_algorithms(True) for the length of a test."""
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)
