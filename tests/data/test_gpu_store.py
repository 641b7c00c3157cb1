"""The crops of GPUStore equal the crops of CropSampler."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from upnet.data import CropSampler, Folder, Store, build_store
from upnet.data.gpu_crops import CropPlanDataset, GPUStore


@pytest.fixture
def make_store(hr_folder: Path, tmp_path: Path) -> Callable[[int], Store]:
    """make_store(scale) -> the store of the four images at this scale."""
    return lambda scale: build_store(Folder(str(hr_folder)), scale, tmp_path / "c")


def assert_same_batches(store: Store, device: torch.device, augment: bool) -> None:
    sampler = CropSampler(store, patch=7, batch_size=12, seed=3, scale=store.scale, augment=augment)
    gpu_store, plans = GPUStore(store, 7, device), CropPlanDataset(sampler, 0, 1)
    for step in range(8):
        expected, actual = sampler.batch(step), gpu_store.batch(plans[step]["plan"].to(device))
        for name in ("lr", "hr"):
            assert (actual[name].dtype, actual[name].stride()) == (torch.uint8, expected[name].stride())
            assert torch.equal(actual[name].cpu(), expected[name]), (step, name)


@pytest.mark.parametrize("augment", [True, False])
@pytest.mark.parametrize("scale", [2, 3])
def test_the_crops_of_a_plan_equal_the_batch_of_the_sampler(make_store, scale: int, augment: bool) -> None:
    assert_same_batches(make_store(scale), torch.device("cpu"), augment)


@pytest.mark.gpu
@pytest.mark.parametrize("scale", [2, 3])
def test_crops_on_a_gpu_equal_the_batch_of_the_sampler(make_store, scale: int) -> None:
    assert_same_batches(make_store(scale), torch.device("cuda"), True)


def test_the_shares_of_all_processes_concatenate_to_the_plan(make_store) -> None:
    sampler = CropSampler(make_store(2), patch=7, batch_size=12, seed=3, scale=2)
    full_plan = CropPlanDataset(sampler, 0, 1)[5]["plan"]
    assert torch.equal(torch.cat([CropPlanDataset(sampler, rank, 3)[5]["plan"] for rank in range(3)]), full_plan)
