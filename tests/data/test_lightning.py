"""SRDataModule in Lightning: the batches of a run and of a resumed run, validation items, devices."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from PIL import Image
from pytorch_lightning.callbacks import ModelCheckpoint
from torch import Tensor, nn

from upnet.data import Folder, SRData, SRDataModule
from upnet.data.datasets import RankSubset
from upnet.imaging.imresize import imresize


class Recorder(pl.LightningModule):
    """A model with one weight. It records each training batch."""

    def __init__(self, stop_after: int | None = None) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))
        self.batches: list[tuple[int, Tensor]] = []
        self.stop_after = stop_after

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        if self.stop_after is not None and len(self.batches) == self.stop_after:
            raise KeyboardInterrupt
        self.batches.append((batch_idx, batch["hr"].clone()))
        return self.weight * (batch["lr"].double().mean() - batch["hr"].double().mean() + batch["lr"][0, 0, 0, 0]) / 255

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.01)


def _trainer(
    folder: Path, steps: int, accumulate: int = 1, callbacks: list[Any] | None = None, accelerator: str = "cpu"
) -> pl.Trainer:
    return pl.Trainer(
        max_steps=steps,
        accumulate_grad_batches=accumulate,
        accelerator=accelerator,
        devices=1,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=bool(callbacks),
        callbacks=callbacks,
        use_distributed_sampler=False,
        default_root_dir=folder,
        limit_val_batches=0,
    )


@pytest.fixture
def data(hr_folder: Path, tmp_path: Path) -> Callable[..., SRDataModule]:
    """data(**settings) -> an SRDataModule that trains on the folder of four images."""

    def make(
        workers: int = 0, steps: int | None = None, device: Literal["auto", "cpu", "gpu"] = "auto"
    ) -> SRDataModule:
        train, cache = Folder(str(hr_folder)), str(tmp_path / "c")
        settings = SRData(2, 3, 8, seed=5, train=train, cache_dir=cache, workers=workers, steps=steps, device=device)
        return SRDataModule(settings)

    return make


def _same_batches(actual: list[tuple[int, Tensor]], expected: list[tuple[int, Tensor]]) -> bool:
    return [index for index, _ in actual] == [index for index, _ in expected] and all(
        torch.equal(a, b) for (_, a), (_, b) in zip(actual, expected, strict=True)
    )


@pytest.mark.parametrize("workers", [1, 2])
def test_batches_do_not_depend_on_workers_or_on_the_first_step(data: Callable[..., SRDataModule], workers: int) -> None:
    without_workers = list(data(steps=7).train_dataloader())
    sampler = data(steps=7).data.sampler()
    with_workers = list(data(workers, steps=7).train_dataloader())
    assert len(without_workers) == len(with_workers) == 7
    for step, (one, other) in enumerate(zip(without_workers, with_workers, strict=True)):
        direct = sampler.batch(step)
        for key in ("lr", "hr"):
            assert torch.equal(one[key], other[key])
            assert torch.equal(one[key], direct[key])


@pytest.mark.rotating
@pytest.mark.parametrize(("accumulate", "stop_after"), [(1, None), (3, None), (1, 4), (3, 7), (3, 6)])
def test_a_resumed_run_continues_with_the_remaining_batches(
    data: Callable[..., SRDataModule], tmp_path: Path, accumulate: int, stop_after: int | None
) -> None:
    uninterrupted = Recorder()
    _trainer(tmp_path, 6, accumulate).fit(uninterrupted, datamodule=data())
    assert len(uninterrupted.batches) == 6 * accumulate
    first = Recorder(stop_after)
    # Training ends after 3 steps, or it is interrupted; some cases interrupt it between two batches of one step.
    trainer = _trainer(tmp_path, 3 if stop_after is None else 6, accumulate)
    if stop_after is None:
        trainer.fit(first, datamodule=data())
    else:
        with pytest.raises(SystemExit):
            trainer.fit(first, datamodule=data())
    trainer.save_checkpoint(tmp_path / "last.ckpt")
    completed_steps = trainer.global_step
    second = Recorder()
    resumed = _trainer(tmp_path, 6, accumulate)
    resumed.fit(second, datamodule=data(workers=1), ckpt_path=str(tmp_path / "last.ckpt"), weights_only=True)
    assert resumed.global_step == 6
    assert _same_batches(second.batches, uninterrupted.batches[completed_steps * accumulate :])
    assert torch.equal(second.weight, uninterrupted.weight)
    assert resumed.fit_loop.epoch_loop._batches_that_stepped == 6


@pytest.mark.rotating
@pytest.mark.parametrize("accumulate", [1, 2])
def test_resuming_from_any_checkpoint_gives_the_same_final_weight(
    data: Callable[..., SRDataModule], tmp_path: Path, accumulate: int
) -> None:
    saver = ModelCheckpoint(tmp_path / "ckpt", every_n_train_steps=1, save_top_k=-1, filename="{step}")
    uninterrupted = Recorder()
    _trainer(tmp_path, 4, accumulate, [saver]).fit(uninterrupted, datamodule=data())
    for step in (1, 2, 3):
        resumed = Recorder()
        path = str(tmp_path / "ckpt" / f"step={step}.ckpt")
        _trainer(tmp_path, 4, accumulate).fit(resumed, datamodule=data(), ckpt_path=path, weights_only=True)
        assert _same_batches(resumed.batches, uninterrupted.batches[step * accumulate :])
        assert torch.equal(resumed.weight, uninterrupted.weight)


def test_validation_items_contain_hr_and_the_downscaled_lr(tmp_path: Path, hr_folder: Path) -> None:
    (loader,) = SRDataModule(
        SRData(2, 1, 8, seed=0, val_root=str(hr_folder), cache_dir=str(tmp_path / "c"))
    ).val_dataloader()
    items = list(loader)
    assert [(item["name"], item["index"]) for item in items] == [("a", 0), ("b", 1), ("c", 2), ("more/d", 3)]
    for item in items:
        image = np.asarray(Image.open(hr_folder / f"{item['name']}.png"))
        hr = image[: image.shape[0] // 2 * 2, : image.shape[1] // 2 * 2]
        assert np.array_equal(item["hr"].permute(1, 2, 0).numpy(), hr)
        assert np.array_equal(item["lr"].permute(1, 2, 0).numpy(), imresize(hr, 0.5))


@pytest.mark.full
def test_spawned_workers_give_the_same_batches(data: Callable[..., SRDataModule]) -> None:
    loader = data(workers=1, steps=2).train_dataloader()
    loader.multiprocessing_context = "spawn"
    sampler = data().data.sampler()
    for step, batch in enumerate(loader):
        assert torch.equal(batch["hr"], sampler.batch(step)["hr"])


def test_training_limited_by_time_alone_has_unlimited_batches(
    data: Callable[..., SRDataModule], tmp_path: Path
) -> None:
    recorder = Recorder()
    trainer = pl.Trainer(
        max_time={"seconds": 1},
        max_epochs=-1,
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
        limit_val_batches=0,
    )
    trainer.fit(recorder, datamodule=data())
    sampler = data().data.sampler()
    assert len(recorder.batches) > 5
    assert all(torch.equal(hr, sampler.batch(step)["hr"]) for step, hr in recorder.batches[:50])


@pytest.mark.parametrize("world_size", [1, 2, 3])
def test_each_image_of_each_set_is_assigned_to_exactly_one_process(world_size: int) -> None:
    sizes = (5, 1, 4)
    offsets = [sum(sizes[:number]) for number in range(len(sizes))]
    shares = [
        [list(RankSubset(n, first, rank, world_size)) for n, first in zip(sizes, offsets, strict=True)]
        for rank in range(world_size)
    ]
    for number, size in enumerate(sizes):
        assert sorted(index for share in shares for index in share[number]) == list(range(size))
    totals = [sum(map(len, share)) for share in shares]
    assert max(totals) - min(totals) <= 1


def test_device_gpu_is_rejected_when_training_runs_on_the_cpu(
    data: Callable[..., SRDataModule], tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=r"data\.device=gpu: training runs on cpu"):
        _trainer(tmp_path, 1).fit(Recorder(), datamodule=data(device="gpu"))


@pytest.mark.gpu
@pytest.mark.parametrize("device", ["auto", "cpu", "gpu"])
def test_training_on_a_gpu_receives_the_batches_of_the_cpu(
    data: Callable[..., SRDataModule], tmp_path: Path, device: Literal["auto", "cpu", "gpu"]
) -> None:
    on_cpu, on_gpu = Recorder(), Recorder()
    _trainer(tmp_path, 4).fit(on_cpu, datamodule=data())
    datamodule = data(device=device)
    _trainer(tmp_path, 4, accelerator="gpu").fit(on_gpu, datamodule=datamodule)
    assert all(batch.device.type == "cuda" for _, batch in on_gpu.batches)
    assert _same_batches([(step, batch.cpu()) for step, batch in on_gpu.batches], on_cpu.batches)
    loader = datamodule.train_dataloader()
    assert loader.pin_memory or all(tensor.is_pinned() for tensor in loader.dataset[0].values())
