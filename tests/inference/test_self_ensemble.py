"""The self-ensemble is the mean over the dihedral group, and so turns as the picture turns."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from upnet.inference.tensor import self_ensemble

TURNS: dict[str, Callable[[Tensor], Tensor]] = {
    "quarter": lambda x: x.rot90(1, (1, 2)),
    "half": lambda x: x.rot90(2, (1, 2)),
    "three quarters": lambda x: x.rot90(3, (1, 2)),
    "left and right": lambda x: x.flip(2),
    "up and down": lambda x: x.flip(1),
    "diagonal": lambda x: x.transpose(1, 2),
    "other diagonal": lambda x: x.transpose(1, 2).flip((1, 2)),
}


def lopsided(picture: Tensor) -> Tensor:
    """(C, h, w) -> (C, 3h, 3w) by something that no turn and no mirror leaves as it is."""
    kernel = torch.randn(9, 1, 3, 3, generator=torch.Generator().manual_seed(0))
    larger = F.pixel_shuffle(F.conv2d(picture[:, None], kernel, padding=1), 3)[:, 0]
    return larger + 0.1 * larger**2 + torch.linspace(0, 1, larger.shape[2])


@pytest.mark.parametrize("turn", TURNS.values(), ids=TURNS.keys())
@pytest.mark.parametrize("size", [(7, 7), (5, 8), (1, 1), (1, 6)])
def test_the_ensemble_of_a_turned_picture_is_the_turned_ensemble(
    turn: Callable[[Tensor], Tensor], size: tuple[int, int]
) -> None:
    picture = torch.rand(3, *size)
    torch.testing.assert_close(
        self_ensemble(lopsided, turn(picture)), turn(self_ensemble(lopsided, picture)), atol=1e-6, rtol=1e-6
    )


def test_it_is_the_mean_of_eight_computed_one_by_one() -> None:
    """Written out by transposing and flipping, which x8 doesn't use in this way."""
    picture = torch.rand(2, 5, 8)
    eight = []
    for transposed in (False, True):
        for flips in ((), (1,), (2,), (1, 2)):
            turned = picture.flip(flips)
            larger = lopsided(turned.transpose(1, 2) if transposed else turned)
            eight.append((larger.transpose(1, 2) if transposed else larger).flip(flips))
    torch.testing.assert_close(
        self_ensemble(lopsided, picture), torch.stack(eight).double().mean(0).float(), atol=1e-6, rtol=1e-6
    )


def test_what_turns_with_the_picture_is_left_as_it_is() -> None:
    picture = torch.rand(3, 6, 9)

    def nearest(one: Tensor) -> Tensor:
        return one.repeat_interleave(2, 1).repeat_interleave(2, 2)

    torch.testing.assert_close(self_ensemble(nearest, picture), nearest(picture))


def test_the_network_is_asked_eight_times_for_eight_different_pictures() -> None:
    seen: list[bytes] = []

    def note(one: Tensor) -> Tensor:
        seen.append(str(tuple(one.shape)).encode() + one.numpy().tobytes())
        return one

    self_ensemble(note, torch.rand(1, 4, 6))
    assert len(seen) == len(set(seen)) == 8


def test_the_sum_is_taken_in_float32() -> None:
    picture = torch.rand(3, 4, 5)
    assert self_ensemble(lambda one: one.to(torch.bfloat16), picture).dtype == torch.float32
    torch.testing.assert_close(
        self_ensemble(lambda one: one.to(torch.float16), picture), picture.to(torch.float16).to(torch.float32)
    )
