"""SRData: the training stream, the validation sets and the test sets of a run."""

from typing import Annotated, Literal

from annotated_types import Ge, Le

from upnet.data.catalogue.base import PublishedSet
from upnet.data.crop_sampler import CropSampler
from upnet.data.sources.base import Source
from upnet.data.sources.lookup import open_sources
from upnet.data.store import Store
from upnet.data.store_cache import build_store
from upnet.utils.errors import UserError


class SRData:
    """Training images from one source; validation sets and test sets from folders.

    scale:         HR size / LR size, an integer.
    batch_size:    crops per batch, over all processes.
    patch:         side of the LR crops in pixels.
    seed:          seed of the training stream.
    root:          folder(s) of the test sets, which `upnet evaluate` evaluates; None: the built-in photographs. A
                   published set may replace a folder; see `open_sources`. In the yaml files, `train` and `test` usually
                   read the same folder.
    val_root:      folder(s) of the validation sets; None: the built-in photographs.
    train:         the source of training images; None: no training.
    test:          a published set that is the test set instead of `root`.
    cache_dir:     the folder for the stores of decoded images; None: a folder near the images, see `build_store`.
    skip_broken:   skip unreadable images with a warning. Otherwise they are an error.
    max_pixels:    images with more pixels are unreadable; this protects against decompression bombs. See
                   `upnet.imaging.reading.read_rgb`.
    workers:       number of processes that cut training crops; 0: the training process itself.
    augment:       rotate and mirror the training crops.
    steps:         optimizer steps of the complete training; None: the trainer's max_steps.
    device:        where training crops are cut. "cpu": the crops are copied to the GPU. "gpu": all training images are
                   kept in GPU memory. "auto": as "gpu" if the images fit into half of the free memory. The batches are
                   equal bit for bit.
    lr_rounded_up: accept LR images of HR / scale pixels rounded up, and crop them and HR to a multiple of the scale.
    copy_check:    time limit in seconds of the search for near duplicates of validation images among the training
                   images, which the runner starts; 0: no search, None: no limit.

    >>> from tempfile import TemporaryDirectory
    >>> from upnet.data import DeadLeaves
    >>> cache = TemporaryDirectory()
    >>> train = DeadLeaves(count=1, size=64)
    >>> data = SRData(scale=2, batch_size=4, patch=8, seed=0, train=train, cache_dir=cache.name)
    >>> data.sampler().batch(step=0)["lr"].shape
    torch.Size([4, 3, 8, 8])
    """

    def __init__(
        self,
        scale: Annotated[int, Ge(1)],
        batch_size: Annotated[int, Ge(1)],
        patch: Annotated[int, Ge(1)],
        seed: Annotated[int, Ge(0)] = 0,
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
        """Decode and check all images that training needs, before it starts.

        world_size: the number of training processes.

        Raises UserError for images that are unreadable or of unsuitable size, if training and validation share an
        image, and if the batch cannot be divided among the processes.
        """
        self._check_val_folders()
        self.sampler().batch(0, 0, world_size)
        check_disjoint(self.train_store(), self.val_sets())

    def train_store(self) -> Store:
        """The training images. Raises UserError if there is no source for them."""
        if self.train is None and self.test is not None:
            raise UserError(
                f"{self.test.title} is a benchmark, not a training set",
                cure="Train on another set, such as data=div2k or data=bsds, and validate on this one by "
                f"data.val_root={self.test.key()}",
            )
        if self.train is None:
            raise UserError("there are no training images", setting="data.train", cure="Name a source, or data=builtin")
        if self._train_store is None:
            self._train_store = self._build(self.train)
        return self._train_store

    def val_sets(self) -> dict[str, Store]:
        """The validation sets, {name: store}."""
        if self._val_sets is None:
            self._val_sets = self._open(self.val_root)
        return self._val_sets

    def test_sets(self) -> dict[str, Store]:
        """The test sets, {name: store}."""
        if self._test_sets is None and self.test is not None:
            self._test_sets = {self.test.name: self._build(self.test)}
        if self._test_sets is None:
            self._test_sets = self.val_sets() if self.root == self.val_root else self._open(self.root)
        return self._test_sets

    def sampler(self) -> CropSampler:
        """The training stream. Raises UserError if an image is smaller than the patch."""
        return CropSampler(self.train_store(), self.patch, self.batch_size, self.seed, self.scale, self.augment)

    def check_device(self, kind: str) -> None:
        """Raise UserError if data.device=gpu and the training device is not a GPU. kind: its type, such as "cpu"."""
        if self.device == "gpu" and kind != "cuda":
            raise UserError(f"training runs on {kind}", setting="data.device", value="gpu", allowed="auto or cpu")

    def _check_val_folders(self) -> None:
        """Raise UserError for errors in the validation folders, before the training images are decoded."""
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
    """Raise UserError if a training image and an image of one of the sets have exactly equal pixels."""
    train_names = dict(zip(train.digests, train.names, strict=True))
    shared = [
        f"{train_names[digest]} of {train.name} is {name} of {set_name}"
        for set_name, store in sets.items()
        for digest, name in zip(store.digests, store.names, strict=True)
        if digest in train_names
    ]
    if shared:
        examples = "; ".join(shared[:3]) + ("; …" if len(shared) > 3 else "")
        raise UserError(
            f"training and validation share {len(shared)} image{'s' * (len(shared) > 1)}: {examples}",
            cure="Remove them from one of the two sets: scores on training images are too high",
        )
