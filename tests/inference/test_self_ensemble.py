"""The self-ensemble is the mean over the dihedral group and is equivariant to it."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from upnet.inference.tensor import self_ensemble

TRANSFORMS: dict[str, Callable[[Tensor], Tensor]] = {
    "quarter": lambda x: x.rot90(1, (1, 2)),
    "half": lambda x: x.rot90(2, (1, 2)),
    "three quarters": lambda x: x.rot90(3, (1, 2)),
    "left and right": lambda x: x.flip(2),
    "up and down": lambda x: x.flip(1),
    "diagonal": lambda x: x.transpose(1, 2),
    "other diagonal": lambda x: x.transpose(1, 2).flip((1, 2)),
}


def upscale_asymmetrically(image: Tensor) -> Tensor:
    """Map (C, h, w) to (C, 3h, 3w) by a function that is not equivariant to any rotation or flip."""
    kernel = torch.randn(9, 1, 3, 3, generator=torch.Generator().manual_seed(0))
    upscaled = F.pixel_shuffle(F.conv2d(image[:, None], kernel, padding=1), 3)[:, 0]
    return upscaled + 0.1 * upscaled**2 + torch.linspace(0, 1, upscaled.shape[2])


@pytest.mark.parametrize("transform", TRANSFORMS.values(), ids=TRANSFORMS.keys())
@pytest.mark.parametrize("size", [(7, 7), (5, 8), (1, 1), (1, 6)])
def test_the_ensemble_is_equivariant_to_rotations_and_flips(
    transform: Callable[[Tensor], Tensor], size: tuple[int, int]
) -> None:
    image = torch.rand(3, *size)
    torch.testing.assert_close(
        self_ensemble(upscale_asymmetrically, transform(image)),
        transform(self_ensemble(upscale_asymmetrically, image)),
        atol=1e-6,
        rtol=1e-6,
    )


def test_the_ensemble_equals_the_mean_of_eight_outputs() -> None:
    """The reference uses transpositions and flips, unlike the implementation of x8."""
    image = torch.rand(2, 5, 8)
    outputs = []
    for transposed in (False, True):
        for flips in ((), (1,), (2,), (1, 2)):
            transformed = image.flip(flips)
            upscaled = upscale_asymmetrically(transformed.transpose(1, 2) if transposed else transformed)
            outputs.append((upscaled.transpose(1, 2) if transposed else upscaled).flip(flips))
    torch.testing.assert_close(
        self_ensemble(upscale_asymmetrically, image),
        torch.stack(outputs).double().mean(0).float(),
        atol=1e-6,
        rtol=1e-6,
    )


def test_the_ensemble_of_an_equivariant_network_equals_its_output() -> None:
    image = torch.rand(3, 6, 9)

    def nearest(x: Tensor) -> Tensor:
        return x.repeat_interleave(2, 1).repeat_interleave(2, 2)

    torch.testing.assert_close(self_ensemble(nearest, image), nearest(image))


def test_the_network_is_called_with_eight_different_images() -> None:
    inputs: list[bytes] = []

    def record(x: Tensor) -> Tensor:
        inputs.append(str(tuple(x.shape)).encode() + x.numpy().tobytes())
        return x

    self_ensemble(record, torch.rand(1, 4, 6))
    assert len(inputs) == len(set(inputs)) == 8


def test_outputs_are_summed_in_float32() -> None:
    image = torch.rand(3, 4, 5)
    assert self_ensemble(lambda x: x.to(torch.bfloat16), image).dtype == torch.float32
    torch.testing.assert_close(
        self_ensemble(lambda x: x.to(torch.float16), image), image.to(torch.float16).to(torch.float32)
    )
