"""Pictures for Lightning: the training stream, the validation sets and the test sets."""

from typing import Annotated, Any, Literal

import pytorch_lightning as pl
import torch
from annotated_types import Ge
from torch.utils.data import DataLoader

from upnet.data.audit.leakage import warn_of_copies
from upnet.data.building import build
from upnet.data.loading import Pictures, Plans, Share, StepOrder, Stream, StreamLoader
from upnet.data.resident import Resident, fits
from upnet.data.sampler import Sampler
from upnet.data.sets.base import Published
from upnet.data.sources.base import Source
from upnet.data.sources.opening import open_sets
from upnet.data.store import Store

ENDLESS = 1 << 40
"""Batches of an epoch that nothing but the clock ends."""


class DataModule(pl.LightningDataModule):
    """Training batches from one source; validation and test sets, each from a folder.

    scale:       HR size / LR size, a whole number.
    batch_size:  crops per batch, over all processes.
    patch:       side of the LR crops in pixels.
    seed:        of the training stream.
    root:        folder(s) of the test sets, which evaluate.py scores; None means the built-in photographs. A yaml's
                 `train` and `test` usually read the same folder. See open_sets for what else may stand for a folder.
    val_root:    folder(s) of the validation sets; None means the built-in photographs.
    train:       the source of training pictures; None where nothing is to be trained.
    test:        a published set that is the test set, instead of the folders.
    cache_dir:   where decoded pictures go; None means beside the originals.
    skip_broken: leave unreadable pictures out, with a remark, instead of refusing to start.
    workers:     processes that make training batches; 0 means the training process itself.
    augment:     turn and mirror the training crops.
    steps:       optimizer steps of the whole training; None takes the trainer's max_steps.
    device:      where training crops are cut: "gpu" holds the pictures there, "cpu" hands crops over, "auto" uses the
                 GPU that trains where they fit into half of its free memory. The batches are the same bit for bit.

    Whatever is wrong with the pictures raises ValueError in setup(), before anything is trained.
    """

    def __init__(
        self,
        scale: Annotated[int, Ge(1)],
        batch_size: Annotated[int, Ge(1)],
        patch: Annotated[int, Ge(1)],
        seed: Annotated[int, Ge(0)],
        root: str | list[str] | None = None,
        val_root: str | list[str] | None = None,
        train: Source | None = None,
        test: Published | None = None,
        cache_dir: str | None = None,
        skip_broken: bool = False,
        workers: Annotated[int, Ge(0)] = 0,
        augment: bool = True,
        steps: Annotated[int, Ge(1)] | None = None,
        device: Literal["auto", "cpu", "gpu"] = "auto",
    ) -> None:
        super().__init__()
        self.scale = scale
        self.batch_size = batch_size
        self.patch = patch
        self.seed = seed
        self.root = root
        self.val_root = val_root
        self.train = train
        self.test = test
        self.cache_dir = cache_dir
        self.skip_broken = skip_broken
        self.workers = workers
        self.augment = augment
        self.steps = steps
        self.device = device
        self._resident: Resident | None = None
        self._train_store: Store | None = None
        self._val_sets: dict[str, Store] | None = None
        self._test_sets: dict[str, Store] | None = None

    def setup(self, stage: str | None = None) -> None:
        """Decode what the stage needs ("fit", "validate", "test"; None is all), and check it.

        Raises ValueError for unreadable or unfitting pictures, and where training and validation share a picture. Where
        they share one that was resized, cropped, mirrored or compressed, a warning names both.
        """
        if stage in ("fit", None):
            rank, world = self._share()
            self.sampler().batch(0, 0, world)
            check_apart(self.train_store(), self.val_sets())
            if rank == 0:
                warn_of_copies(self.train_store(), self.val_sets())
        if stage in ("validate", None):
            self.val_sets()
        if stage in ("test", None):
            self.test_sets()

    def train_store(self) -> Store:
        """The training pictures. Raises ValueError where there is no source for them."""
        if self.train is None and self.test is not None:
            raise ValueError(
                f"Data: {self.test.title} is scored, not trained on: train on another set, such as data=div2k or "
                f"data=bsds, and score this one during training by data.val_root={self.test.key()}"
            )
        if self.train is None:
            raise ValueError("Data: there is nothing to train on; name a source by data.train, or take data=builtin")
        if self._train_store is None:
            self._train_store = self._build(self.train)
        return self._train_store

    def val_sets(self) -> dict[str, Store]:
        """The validation sets by name."""
        if self._val_sets is None:
            self._val_sets = self._open(self.val_root)
        return self._val_sets

    def test_sets(self) -> dict[str, Store]:
        """The test sets by name."""
        if self._test_sets is None and self.test is not None:
            self._test_sets = {self.test.name: self._build(self.test)}
        if self._test_sets is None:
            self._test_sets = self.val_sets() if self.root == self.val_root else self._open(self.root)
        return self._test_sets

    def sampler(self) -> Sampler:
        """The training stream. Raises ValueError where a picture is smaller than the patch."""
        return Sampler(self.train_store(), self.patch, self.batch_size, self.seed, self.scale, self.augment)

    def train_dataloader(self) -> "StreamLoader":
        """The batches from the trainer's current step to the end of training."""
        rank, world = self._share()
        total = self._batches()
        order = StepOrder(_resume(self.trainer, total), total)
        device = torch.device("cpu") if self.trainer is None else self.trainer.strategy.root_device
        self._resident = self._reside(device)
        stream = (Stream if self._resident is None else Plans)(self.sampler(), rank, world)
        return StreamLoader(
            stream,
            batch_size=None,
            sampler=order,
            num_workers=self.workers,
            pin_memory=device.type == "cuda",
            persistent_workers=self.workers > 0,
        )

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """Cut the crops that a plan tells of, where the pictures lie on the GPU."""
        return self._resident.batch(batch["plan"]) if self._resident is not None and "plan" in batch else batch

    def val_dataloader(self) -> list[DataLoader[dict[str, Any]]]:
        """One loader per validation set, picture by picture: see Pictures. Several processes share the pictures out."""
        stores = list(self.val_sets().values())
        rank, world = self._share()
        if sum(map(len, stores)) < world:
            # Lightning skips a validation without pictures, and the others would wait for that process for ever.
            rank, world = 0, 1
        before = [sum(map(len, stores[:number])) for number in range(len(stores))]
        return [
            _pictures(store, Share(len(store), start, rank, world)) for store, start in zip(stores, before, strict=True)
        ]

    def test_dataloader(self) -> list[DataLoader[dict[str, Any]]]:
        """One loader per test set, picture by picture: see Pictures."""
        return [_pictures(store) for store in self.test_sets().values()]

    def _reside(self, device: torch.device) -> Resident | None:
        """The training pictures on the GPU that trains, where they shall be and can be."""
        if self.device == "gpu" and device.type != "cuda":
            raise ValueError(
                f"data.device=gpu needs a training on a GPU, and this one is on {device}; take auto or cpu"
            )
        if self.device == "cpu" or device.type != "cuda":
            return None
        store = self.train_store()
        return Resident(store, self.patch, device) if self.device == "gpu" or fits(store, device) else None

    def _build(self, source: Source) -> Store:
        return build(source, self.scale, self.cache_dir, self.skip_broken)

    def _open(self, root: str | list[str] | None) -> dict[str, Store]:
        return {name: self._build(source) for name, source in open_sets(root, self.scale).items()}

    def _share(self) -> tuple[int, int]:
        """This process's rank, and how many there are."""
        return (self.trainer.global_rank, self.trainer.world_size) if self.trainer is not None else (0, 1)

    def _batches(self) -> int:
        """How many batches the whole training takes."""
        if self.trainer is None:
            return self.steps or ENDLESS
        steps = self.steps or self.trainer.max_steps
        return steps * self.trainer.accumulate_grad_batches if steps > 0 else ENDLESS


def check_apart(train: Store, sets: dict[str, Store]) -> None:
    """Raise ValueError, naming both, where a training picture has the very pixels of a picture in one of the sets."""
    trained = dict(zip(train.digests, train.names, strict=True))
    shared = [
        f"{trained[digest]} of {train.name} is {name} of {set_name}"
        for set_name, store in sets.items()
        for digest, name in zip(store.digests, store.names, strict=True)
        if digest in trained
    ]
    if shared:
        told = "; ".join(shared[:3]) + ("; …" if len(shared) > 3 else "")
        raise ValueError(
            f"Data: training and validation share {len(shared)} picture{'s' * (len(shared) > 1)}: {told}; "
            "remove them from one of the two, or the scores mean nothing"
        )


def _pictures(store: Store, order: Share | None = None) -> DataLoader[dict[str, Any]]:
    return DataLoader(Pictures(store), batch_size=None, sampler=order)


def _resume(trainer: pl.Trainer | None, total: int) -> int:
    """The batch to go on with: as many as the optimizer steps done so far have used up.

    A checkpoint written in the middle of a batch, or between the batches whose gradients are accumulated, has lost
    those gradients. The trainer's count of batches is set back to the last whole step, so that they are made again; it
    becomes what a checkpoint written at the end of that step's last batch would have held.
    """
    if trainer is None:
        return 0
    loop = trainer.fit_loop.epoch_loop
    done = trainer.global_step * trainer.accumulate_grad_batches
    counted = loop.batch_progress.state_dict()
    if (counted["current"]["ready"], counted["current"]["processed"]) != (done, done):
        counts = {"ready": done, "started": done, "processed": done, "completed": max(done - 1, 0)}
        loop.batch_progress.load_state_dict({"total": dict(counts), "current": counts, "is_last_batch": False})
        loop._batches_that_stepped = max(trainer.global_step - 1, 0)
    if done < total:  # a finished training goes on where max_steps was raised
        loop.batch_progress.is_last_batch = False
    return done
