"""Losses and schedules against their formulas."""

import math
from itertools import pairwise

import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf
from support import CONFIGS

from upnet.losses import Charbonnier
from upnet.schedulers import constant, cosine
from upnet.utils.errors import UserError

LOSSES = sorted((CONFIGS / "loss").glob("*.yaml"))


@pytest.mark.parametrize("yaml", LOSSES, ids=lambda path: path.stem)
def test_a_loss_is_minimal_for_equal_output_and_target(yaml) -> None:
    loss = instantiate(OmegaConf.load(yaml))
    target = torch.rand(2, 3, 4, 5)
    least = loss(target, target)
    assert least < 2e-3
    assert loss(target + 0.1, target) > least + 5e-3


def test_charbonnier_is_linear_for_large_and_quadratic_for_small_errors() -> None:
    loss = Charbonnier(1e-3)
    zero = torch.zeros(1, dtype=torch.float64)
    assert loss(zero + 0.5, zero).item() == pytest.approx(0.5, abs=1e-5)
    assert loss(zero + 1e-5, zero).item() - 1e-3 == pytest.approx(1e-10 / 2e-3, rel=1e-3)
    with pytest.raises(UserError) as refusal:
        Charbonnier(0)
    assert (refusal.value.setting, refusal.value.value) == ("epsilon", 0)


def rates(schedule, steps: int) -> list[float]:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=2.0)
    scheduler = schedule(optimizer)
    factors = []
    for _ in range(steps):
        factors.append(optimizer.param_groups[0]["lr"] / 2.0)
        optimizer.step()
        scheduler.step()
    return factors


def test_cosine_warms_up_linearly_and_decays_to_its_floor() -> None:
    factors = rates(lambda optimizer: cosine(optimizer, steps=100, warmup=10, floor=0.1), 101)
    assert factors[:10] == pytest.approx([(step + 1) / 10 for step in range(10)])
    assert factors[55] == pytest.approx(0.1 + 0.9 * (1 + math.cos(math.pi / 2)) / 2)
    assert factors[100] == pytest.approx(0.1)
    assert all(later <= earlier for earlier, later in pairwise(factors[10:]))


def test_constant_warms_up_and_stays() -> None:
    factors = rates(lambda optimizer: constant(optimizer, steps=100, warmup=4), 100)
    assert factors[:4] == pytest.approx([0.25, 0.5, 0.75, 1])
    assert set(factors[4:]) == {1.0}
