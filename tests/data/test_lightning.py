"""A run's images inside Lightning: what a run sees, and what a resumed run sees."""

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
    """One weight, trained on batch sums; remembers every batch and the weight behind it."""

    def __init__(self, stop_after: int | None = None) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))
        self.seen: list[tuple[int, Tensor]] = []
        self.stop_after = stop_after

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        if self.stop_after is not None and len(self.seen) == self.stop_after:
            raise KeyboardInterrupt
        self.seen.append((batch_idx, batch["hr"].clone()))
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
    """data(**settings) -> a SRDataModule of the folder of four images."""

    def make(
        workers: int = 0, steps: int | None = None, device: Literal["auto", "cpu", "gpu"] = "auto"
    ) -> SRDataModule:
        train, cache = Folder(str(hr_folder)), str(tmp_path / "c")
        settings = SRData(2, 3, 8, seed=5, train=train, cache_dir=cache, workers=workers, steps=steps, device=device)
        return SRDataModule(settings)

    return make


def _same(seen: list[tuple[int, Tensor]], wanted: list[tuple[int, Tensor]]) -> bool:
    return [index for index, _ in seen] == [index for index, _ in wanted] and all(
        torch.equal(a, b) for (_, a), (_, b) in zip(seen, wanted, strict=True)
    )


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_and_a_start_in_the_middle_change_no_batch(data: Callable[..., SRDataModule], workers: int) -> None:
    alone = list(data(steps=7).train_dataloader())
    stream = data(steps=7).data.sampler()
    shared = list(data(workers, steps=7).train_dataloader())
    assert len(alone) == len(shared) == 7
    for step, (one, other) in enumerate(zip(alone, shared, strict=True)):
        late = stream.batch(step)
        for key in ("lr", "hr"):
            assert torch.equal(one[key], other[key])
            assert torch.equal(one[key], late[key])


@pytest.mark.rotating
@pytest.mark.parametrize(("accumulate", "stop_after"), [(1, None), (3, None), (1, 4), (3, 7), (3, 6)])
def test_a_resumed_run_sees_the_batches_that_were_left(
    data: Callable[..., SRDataModule], tmp_path: Path, accumulate: int, stop_after: int | None
) -> None:
    whole = Recorder()
    _trainer(tmp_path, 6, accumulate).fit(whole, datamodule=data())
    assert len(whole.seen) == 6 * accumulate
    first = Recorder(stop_after)
    # Either training ends after 3 steps, or it is interrupted, perhaps between two batches of one step.
    trainer = _trainer(tmp_path, 3 if stop_after is None else 6, accumulate)
    if stop_after is None:
        trainer.fit(first, datamodule=data())
    else:
        with pytest.raises(SystemExit):
            trainer.fit(first, datamodule=data())
    trainer.save_checkpoint(tmp_path / "last.ckpt")
    done = trainer.global_step
    second = Recorder()
    resumed = _trainer(tmp_path, 6, accumulate)
    resumed.fit(second, datamodule=data(workers=1), ckpt_path=str(tmp_path / "last.ckpt"), weights_only=True)
    assert resumed.global_step == 6
    assert _same(second.seen, whole.seen[done * accumulate :])
    assert torch.equal(second.weight, whole.weight)
    assert resumed.fit_loop.epoch_loop._batches_that_stepped == 6


@pytest.mark.rotating
@pytest.mark.parametrize("accumulate", [1, 2])
def test_resuming_from_any_checkpoint_of_a_run_leads_to_the_same_weight(
    data: Callable[..., SRDataModule], tmp_path: Path, accumulate: int
) -> None:
    saver = ModelCheckpoint(tmp_path / "ckpt", every_n_train_steps=1, save_top_k=-1, filename="{step}")
    whole = Recorder()
    _trainer(tmp_path, 4, accumulate, [saver]).fit(whole, datamodule=data())
    for step in (1, 2, 3):
        again = Recorder()
        path = str(tmp_path / "ckpt" / f"step={step}.ckpt")
        _trainer(tmp_path, 4, accumulate).fit(again, datamodule=data(), ckpt_path=path, weights_only=True)
        assert _same(again.seen, whole.seen[step * accumulate :])
        assert torch.equal(again.weight, whole.weight)


def test_validation_items_are_the_pictures_and_their_reductions(tmp_path: Path, hr_folder: Path) -> None:
    (loader,) = SRDataModule(
        SRData(2, 1, 8, seed=0, val_root=str(hr_folder), cache_dir=str(tmp_path / "c"))
    ).val_dataloader()
    items = list(loader)
    assert [(item["name"], item["index"]) for item in items] == [("a", 0), ("b", 1), ("c", 2), ("more/d", 3)]
    for item in items:
        whole = np.asarray(Image.open(hr_folder / f"{item['name']}.png"))
        cut = whole[: whole.shape[0] // 2 * 2, : whole.shape[1] // 2 * 2]
        assert np.array_equal(item["hr"].permute(1, 2, 0).numpy(), cut)
        assert np.array_equal(item["lr"].permute(1, 2, 0).numpy(), imresize(cut, 0.5))


@pytest.mark.full
def test_workers_that_are_spawned_give_the_same_batches(data: Callable[..., SRDataModule]) -> None:
    loader = data(workers=1, steps=2).train_dataloader()
    loader.multiprocessing_context = "spawn"
    sampler = data().data.sampler()
    for step, batch in enumerate(loader):
        assert torch.equal(batch["hr"], sampler.batch(step)["hr"])


def test_a_training_that_only_the_clock_ends_has_no_last_batch(
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
    stream = data().data.sampler()
    assert len(recorder.seen) > 5
    assert all(torch.equal(seen, stream.batch(step)["hr"]) for step, seen in recorder.seen[:50])


@pytest.mark.parametrize("world_size", [1, 2, 3])
def test_every_picture_of_every_set_falls_to_one_process(world_size: int) -> None:
    sizes = (5, 1, 4)
    before = [sum(sizes[:number]) for number in range(len(sizes))]
    shares = [
        [list(RankSubset(n, first, rank, world_size)) for n, first in zip(sizes, before, strict=True)]
        for rank in range(world_size)
    ]
    for number, size in enumerate(sizes):
        assert sorted(index for share in shares for index in share[number]) == list(range(size))
    scored = [sum(map(len, share)) for share in shares]
    assert max(scored) - min(scored) <= 1


def test_crops_are_cut_on_a_gpu_only_where_one_trains(data: Callable[..., SRDataModule], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"data\.device=gpu: training runs on cpu"):
        _trainer(tmp_path, 1).fit(Recorder(), datamodule=data(device="gpu"))


@pytest.mark.gpu
@pytest.mark.parametrize("device", ["auto", "cpu", "gpu"])
def test_a_gpu_sees_the_batches_of_a_cpu_wherever_they_are_cut(
    data: Callable[..., SRDataModule], tmp_path: Path, device: Literal["auto", "cpu", "gpu"]
) -> None:
    here, there = Recorder(), Recorder()
    _trainer(tmp_path, 4).fit(here, datamodule=data())
    feed = data(device=device)
    _trainer(tmp_path, 4, accelerator="gpu").fit(there, datamodule=feed)
    assert all(batch.device.type == "cuda" for _, batch in there.seen)
    assert _same([(step, batch.cpu()) for step, batch in there.seen], here.seen)
    loader = feed.train_dataloader()
    assert loader.pin_memory or all(part.is_pinned() for part in loader.dataset[0].values())
