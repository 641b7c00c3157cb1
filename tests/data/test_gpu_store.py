"""Crops that are cut where the images lie are those that the sampler cuts."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from upnet.data import CropSampler, Folder, Store, build_store
from upnet.data.gpu_crops import CropPlanDataset, GPUStore


@pytest.fixture
def make_store(hr_folder: Path, tmp_path: Path) -> Callable[[int], Store]:
    """The store of a scale."""
    return lambda scale: build_store(Folder(str(hr_folder)), scale, tmp_path / "c")


def agree(store: Store, device: torch.device, augment: bool) -> None:
    sampler = CropSampler(store, patch=7, batch_size=12, seed=3, scale=store.scale, augment=augment)
    resident, plans = GPUStore(store, 7, device), CropPlanDataset(sampler, 0, 1)
    for step in range(8):
        here, there = sampler.batch(step), resident.batch(plans[step]["plan"].to(device))
        for name in ("lr", "hr"):
            assert (there[name].dtype, there[name].stride()) == (torch.uint8, here[name].stride())
            assert torch.equal(there[name].cpu(), here[name]), (step, name)


@pytest.mark.parametrize("augment", [True, False])
@pytest.mark.parametrize("scale", [2, 3])
def test_a_plan_is_cut_into_the_batch_it_tells_of(make_store, scale: int, augment: bool) -> None:
    agree(make_store(scale), torch.device("cpu"), augment)


@pytest.mark.gpu
@pytest.mark.parametrize("scale", [2, 3])
def test_a_gpu_cuts_the_same_crops(make_store, scale: int) -> None:
    agree(make_store(scale), torch.device("cuda"), True)


def test_the_shares_of_a_plan_make_up_the_plan(make_store) -> None:
    sampler = CropSampler(make_store(2), patch=7, batch_size=12, seed=3, scale=2)
    whole = CropPlanDataset(sampler, 0, 1)[5]["plan"]
    assert torch.equal(torch.cat([CropPlanDataset(sampler, rank, 3)[5]["plan"] for rank in range(3)]), whole)
