"""SRData: the training stream, the validation sets and the test sets of a run."""

from typing import Annotated, Literal

from annotated_types import Ge, Le

from upnet.data.catalogue.base import PublishedSet
from upnet.data.crop_sampler import CropSampler
from upnet.data.sources.base import Source
from upnet.data.sources.lookup import open_sources
from upnet.data.store import Store
from upnet.data.store_cache import build_store


class SRData:
    """Training images from one source; validation and test sets, each from a folder.

    scale:       HR size / LR size, a whole number.
    batch_size:  crops per batch, over all processes.
    patch:       side of the LR crops in pixels.
    seed:        of the training stream.
    root:        folder(s) of the test sets, which evaluate.py scores; None means the built-in photographs. A yaml's
                 `train` and `test` usually read the same folder. See open_sources for what else may stand for a folder.
    val_root:    folder(s) of the validation sets; None means the built-in photographs.
    train:       the source of training images; None where nothing is to be trained.
    test:        a published set that is the test set, instead of the folders.
    cache_dir:   where decoded images go; None means beside the originals.
    skip_broken: leave unreadable images out, with a remark, instead of refusing to start.
    copy_check:  seconds that prepare() may take to look for near copies of validation images among the training
                 images; 0 leaves the search out, None sets no limit.
    lr_rounded_up: accept LR images of HR / scale pixels rounded up, and crop them and HR to a multiple of the scale.
    max_pixels:  larger images count as unreadable, against decompression bombs; see `upnet.imaging.reading.read_rgb`.
    workers:     processes that make training batches; 0 means the training process itself.
    augment:     orientation and mirror the training crops.
    steps:       optimizer steps of the whole training; None takes the trainer's max_steps.
    device:      where training crops are cut: "gpu" holds the images there, "cpu" hands crops over, "auto" uses the
                 GPU that trains where they fit into half of its free memory. The batches are the same bit for bit.

    Whatever is wrong with the images raises ValueError in prepare(), before anything is trained.
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
        test: PublishedSet | None = None,
        cache_dir: str | None = None,
        skip_broken: bool = False,
        max_pixels: Annotated[int, Ge(1)] | None = None,
        workers: Annotated[int, Ge(0), Le(256)] = 0,
        augment: bool = True,
        steps: Annotated[int, Ge(1)] | None = None,
        device: Literal["auto", "cpu", "gpu"] = "auto",
        lr_rounded_up: bool = False,
        copy_check: Annotated[float, Ge(0)] | None = 60.0,
    ) -> None:
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
        self.max_pixels = max_pixels
        self.workers = workers
        self.augment = augment
        self.steps = steps
        self.device = device
        self.lr_rounded_up = lr_rounded_up
        self.copy_check = copy_check
        self._train_store: Store | None = None
        self._val_sets: dict[str, Store] | None = None
        self._test_sets: dict[str, Store] | None = None

    def prepare(self, world_size: int = 1) -> None:
        """Decode what training needs, and check it.

        Raises ValueError for unreadable or unfitting images, and where training and validation share an image.
        """
        self._look_ahead()
        self.sampler().batch(0, 0, world_size)
        check_disjoint(self.train_store(), self.val_sets())

    def train_store(self) -> Store:
        """The training images. Raises ValueError where there is no source for them."""
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

    def sampler(self) -> CropSampler:
        """The training stream. Raises ValueError where an image is smaller than the patch."""
        return CropSampler(self.train_store(), self.patch, self.batch_size, self.seed, self.scale, self.augment)

    def check_device(self, kind: str) -> None:
        """Raise ValueError where images shall be on a GPU, and a device of another kind trains: "cpu", say."""
        if self.device == "gpu" and kind != "cuda":
            raise ValueError(f"data.device=gpu needs a training on a GPU, and this one is on {kind}; take auto or cpu")

    def _look_ahead(self) -> None:
        """Raise ValueError for what can be told of the validation sets before the training images are decoded."""
        for source in open_sources(self.val_root, self.scale).values():
            source.images()

    def _build(self, source: Source) -> Store:
        return build_store(
            source,
            self.scale,
            self.cache_dir,
            self.skip_broken,
            self.max_pixels,
            lr_rounded_up=self.lr_rounded_up,
        )

    def _open(self, root: str | list[str] | None) -> dict[str, Store]:
        return {name: self._build(source) for name, source in open_sources(root, self.scale).items()}


def check_disjoint(train: Store, sets: dict[str, Store]) -> None:
    """Raise ValueError, naming both, where a training image has the very pixels of an image in one of the sets."""
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
            f"Data: training and validation share {len(shared)} image{'s' * (len(shared) > 1)}: {told}; "
            "remove them from one of the two, or the scores mean nothing"
        )
