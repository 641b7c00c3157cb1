"""Training batches depend only on (seed, step); HR and LR crops are aligned; crop positions are uniform."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from upnet.data import CropSampler, Folder, Store, build_store


@pytest.fixture
def store(hr_folder: Path, tmp_path: Path) -> Store:
    return build_store(Folder(str(hr_folder)), 2, tmp_path / "c")


def test_the_same_seed_and_step_give_the_same_batch(store: Store) -> None:
    one, other = CropSampler(store, 8, 5, 3, 2), CropSampler(store, 8, 5, 3, 2)
    for step in (0, 7, 63, 64, 2**40, 1):
        for earlier_step in (5, 70):  # earlier calls do not affect a batch
            other.batch(earlier_step)
        assert torch.equal(one.batch(step)["hr"], other.batch(step)["hr"])
        assert torch.equal(one.batch(step)["lr"], other.batch(step)["lr"])


def test_seeds_and_steps_give_different_batches(store: Store) -> None:
    batches = [CropSampler(store, 8, 4, seed, 2).batch(step)["hr"] for seed in (0, 1, 2) for step in (0, 1, 2)]
    assert len({batch.numpy().tobytes() for batch in batches}) == 9


def test_crops_are_uint8_channels_last_of_the_patch_size(store: Store) -> None:
    batch = CropSampler(store, 8, 5, 0, 2).batch(1)
    assert batch["lr"].shape == (5, 3, 8, 8)
    assert batch["hr"].shape == (5, 3, 16, 16)
    for value in batch.values():
        assert value.dtype == torch.uint8
        assert value.is_contiguous(memory_format=torch.channels_last)


def test_crops_without_augmentation_match_crop_positions(store: Store) -> None:
    sampler = CropSampler(store, 8, 32, 0, 2, augment=False)
    batch = sampler.batch(3)
    for row, (name, top, left) in enumerate(sampler.crop_positions(3)):
        image = store.names.index(name)
        lr = store.lr(image)[top : top + 8, left : left + 8]
        hr = store.hr(image)[2 * top : 2 * top + 16, 2 * left : 2 * left + 16]
        assert np.array_equal(batch["lr"][row].permute(1, 2, 0).numpy(), lr)
        assert np.array_equal(batch["hr"][row].permute(1, 2, 0).numpy(), hr)


def test_augmentation_gives_lr_and_hr_the_same_of_all_eight_orientations(store: Store) -> None:
    plain, reoriented = CropSampler(store, 8, 64, 0, 2, augment=False), CropSampler(store, 8, 64, 0, 2)
    counts = Counter()
    for before, after in zip(plain.batch(0)["lr"], reoriented.batch(0)["lr"], strict=True):
        (orientation,) = [k for k in range(8) if torch.equal(_reorient(before, k), after)]
        counts[orientation] += 1
    assert set(counts) == set(range(8))
    for key in ("lr", "hr"):
        for before, after, lr_before, lr_after in zip(
            plain.batch(0)[key], reoriented.batch(0)[key], plain.batch(0)["lr"], reoriented.batch(0)["lr"], strict=True
        ):
            (orientation,) = [k for k in range(8) if torch.equal(_reorient(lr_before, k), lr_after)]
            assert torch.equal(_reorient(before, orientation), after)


def _reorient(crop: torch.Tensor, k: int) -> torch.Tensor:
    """Rotate by k % 4 quarter turns and mirror for k >= 4."""
    reoriented = torch.rot90(crop, k % 4, (-2, -1))
    return reoriented.flip(-1) if k >= 4 else reoriented


def test_crop_positions_are_uniformly_distributed(tmp_path: Path) -> None:
    root = tmp_path / "two"
    root.mkdir()
    # LR 4×5 and 9×4: with patch 3 these have 2·3 = 6 and 7·2 = 14 positions.
    for name, size in {"a": (8, 10), "b": (18, 8)}.items():
        Image.fromarray(np.zeros((*size, 3), np.uint8)).save(root / f"{name}.png")
    sampler = CropSampler(build_store(Folder(str(root)), 2, tmp_path / "c"), 3, 500, 0, 2)
    counts = Counter(origin for step in range(40) for origin in sampler.crop_positions(step))
    expected = {("a", r, c) for r in range(2) for c in range(3)} | {("b", r, c) for r in range(7) for c in range(2)}
    assert set(counts) == expected
    chi2 = sum((count - 1000) ** 2 / 1000 for count in counts.values())
    assert chi2 < 43.8  # 19 degrees of freedom, p = 0.001


@pytest.mark.parametrize("world_size", [1, 2, 3, 6])
def test_the_shares_of_all_processes_concatenate_to_the_batch(store: Store, world_size: int) -> None:
    sampler = CropSampler(store, 8, 6, 0, 2)
    shares = [sampler.batch(5, rank, world_size) for rank in range(world_size)]
    for key in ("lr", "hr"):
        assert torch.equal(torch.cat([share[key] for share in shares]), sampler.batch(5)[key])


def test_a_batch_size_that_is_no_multiple_of_the_processes_is_rejected(store: Store) -> None:
    with pytest.raises(ValueError, match=r"data\.batch_size=5: .*a multiple of the 2 processes"):
        CropSampler(store, 8, 5, 0, 2).batch(0, 0, 2)


@given(patch=st.integers(-3, 20), batch_size=st.integers(-2, 4), seed=st.integers(-2, 2**70), scale=st.integers(1, 4))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_settings_out_of_range_are_rejected_and_all_others_accepted(
    store: Store, patch: int, batch_size: int, seed: int, scale: int
) -> None:
    allowed = 1 <= patch <= 16 and batch_size >= 1 and seed >= 0 and scale == 2
    if allowed:
        assert CropSampler(store, patch, batch_size, seed, scale).batch(1)["hr"].shape == (
            batch_size,
            3,
            2 * patch,
            2 * patch,
        )
    else:
        with pytest.raises(ValueError, match="data\\."):
            CropSampler(store, patch, batch_size, seed, scale)


def test_crop_positions_are_drawn_from_philox(store: Store) -> None:
    # An independent implementation of the draws of a step. They must not change between releases.
    sampler = CropSampler(store, 8, 2, 9, 2, augment=False)
    positions = [
        (name, top, left)
        for name, (height, width) in zip(store.names, store.sizes, strict=True)
        for top in range(height // 2 - 7)
        for left in range(width // 2 - 7)
    ]
    for step in (4, 200):
        raw = [int(value) for value in np.random.Philox(key=9, counter=[0, 0, step, 0]).random_raw(2)]
        assert list(sampler.crop_positions(step)) == [positions[value % len(positions)] for value in raw]
