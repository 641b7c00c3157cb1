"""Published sets are found in each published layout; benchmarks are used for evaluation only."""

import logging
import re
from collections.abc import Callable
from pathlib import Path
from zlib import crc32

import numpy as np
import pytest
from omegaconf import DictConfig
from PIL import Image
from support import CONFIGS, ROOT, Compose

from upnet.config import build as build_config
from upnet.config import check
from upnet.config.schema import EvaluateSettings, TrainSettings
from upnet.data import SRData, build_store, open_sources
from upnet.data import catalogue as package
from upnet.data.catalogue import BSD100, BSDS, DIV2K, DIV2KValid, Flickr2K, Manga109, Set5, Set14, Urban100
from upnet.data.catalogue.base import PublishedSet, published_sets

Noise = Callable[..., np.ndarray]
IMAGES = ROOT.parent / "shared" / "images"

with_images = pytest.mark.skipif(not IMAGES.is_dir(), reason="the shared images are not available")


def _save(root: Path, *names: str, scale: int = 1) -> None:
    """Write noise images of 24 × 36 pixels, divided by the scale."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(crc32(name.encode())).integers(0, 256, (24 // scale, 36 // scale, 3), np.uint8)
        Image.fromarray(pixels).save(path)


def _lr_availability(source: PublishedSet, scale: int = 2) -> dict[str, bool]:
    """Image name -> whether the source has an LR file for it."""
    source.check(scale)
    return {entry.name: entry.read_lr(scale) is not None for entry in source.images()}


def test_every_module_defines_a_set_with_a_yaml_of_its_name() -> None:
    modules = {path.stem for path in Path(package.__file__).parent.glob("*.py")}
    modules -= {
        "__init__",
        "base",
        "layout",
        "archives",
        "archive_members",
        "download",
        "http_request",
        "install",
        "unpack",
    }
    assert set(published_sets()) == modules
    for key, published_set in published_sets().items():
        yaml = (CONFIGS / "data" / f"{key}.yaml").read_text(encoding="utf-8")
        assert f"_target_: upnet.data.catalogue.{published_set.__name__}\n" in yaml
        assert ("train: null" in yaml) is not published_set.training


@pytest.mark.parametrize("key", sorted(published_sets()))
def test_the_attributes_of_a_set_are_well_formed(key: str) -> None:
    published_set = published_sets()[key]
    assert published_set.page.startswith("http")
    assert published_set.licence.endswith(".")
    assert bool(published_set.downloads) is not bool(published_set.instructions)
    assert len(
        {archive.folder for source in published_set.downloads for archive in source.archives if archive.scale}
    ) in (0, 3)
    for source in published_set.downloads:
        for archive in source.archives:
            assert archive.url.startswith("https://") or archive.checksum, "a download without https needs a checksum"
            assert archive.download_bytes > 0
            assert not Path(archive.folder).is_absolute()
            if archive.checksum:
                assert re.fullmatch(r"sha256:[0-9a-f]{64}|md5:[0-9a-f]{32}", archive.checksum)


LAYOUTS = {
    "EDSR": (["HR/a.png", "HR/b.png"], ["LR_bicubic/X2/ax2.png", "LR_bicubic/X2/bx2.png"]),
    "super-image": (["Set5_HR/a.png", "Set5_HR/b.png"], ["Set5_LR_x2/a.png", "Set5_LR_x2/b.png"]),
    "SelfExSR": (
        ["image_SRF_2/a_SRF_2_HR.png", "image_SRF_2/b_SRF_2_HR.png"],
        ["image_SRF_2/a_SRF_2_LR.png", "image_SRF_2/b_SRF_2_LR.png"],
    ),
    "BasicSR": (["GTmod12/a.png", "GTmod12/b.png"], ["LRbicx2/a.png", "LRbicx2/b.png"]),
    "plain": (["a.png", "b.png"], []),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("set_folder", ["Set5", "set5", "benchmark/Set5"])
@pytest.mark.parametrize("root_is_set_folder", [True, False], ids=["its own folder", "its parent folder"])
def test_a_benchmark_is_found_in_each_published_layout(
    tmp_path: Path, layout: str, set_folder: str, root_is_set_folder: bool
) -> None:
    hr_files, lr_files = LAYOUTS[layout]
    _save(tmp_path / set_folder, *hr_files)
    _save(tmp_path / set_folder, *lr_files, scale=2)
    _save(tmp_path / "Set14", "HR/other.png")
    source = Set5(str(tmp_path / set_folder if root_is_set_folder else tmp_path))
    assert _lr_availability(source) == {"a": bool(lr_files), "b": bool(lr_files)}
    assert source.folder == tmp_path / set_folder
    store = build_store(source, 2, tmp_path / "c")
    assert store.name == "Set5"
    assert [store.lr(number).shape for number in range(2)] == [(12, 18, 3)] * 2


def test_lr_is_generated_at_a_scale_without_lr_files(tmp_path: Path) -> None:
    _save(tmp_path / "Set5", "HR/a.png")
    _save(tmp_path / "Set5", "LR_bicubic/X2/ax2.png", scale=2)
    assert _lr_availability(Set5(str(tmp_path)), 2) == {"a": True}
    assert _lr_availability(Set5(str(tmp_path)), 3) == {"a": False}


def test_hr_images_without_lr_partners_are_rejected(tmp_path: Path) -> None:
    _save(tmp_path / "Set5", "HR/a.png", "HR/b.png")
    _save(tmp_path / "Set5", "LR_bicubic/X2/ax2.png", scale=2)
    with pytest.raises(ValueError, match=r"1 HR without LR \(b\)"):
        Set5(str(tmp_path)).check(2)


@pytest.mark.parametrize("parent", ["", "DIV2K"])
def test_div2k_and_div2k_valid_find_their_own_images(tmp_path: Path, parent: str) -> None:
    for part, name in (("train", "0001"), ("valid", "0801")):
        _save(tmp_path / parent, f"DIV2K_{part}_HR/{name}.png")
        _save(tmp_path / parent, f"DIV2K_{part}_LR_bicubic/X2/{name}x2.png", scale=2)
    for root in (tmp_path, tmp_path / parent):
        assert _lr_availability(DIV2K(str(root))) == {"0001": True}
        assert _lr_availability(DIV2KValid(str(root))) == {"0801": True}
    assert _lr_availability(DIV2K(str(tmp_path / parent / "DIV2K_train_HR"))) == {"0001": False}
    with pytest.raises(ValueError, match="DIV2K: its images are not in"):
        DIV2K(str(tmp_path / parent / "DIV2K_valid_HR")).check(2)


def test_flickr2k_is_found_with_and_without_lr(tmp_path: Path) -> None:
    _save(tmp_path / "1/Flickr2K", "Flickr2K_HR/000001.png")
    _save(tmp_path / "1/Flickr2K", "Flickr2K_LR_bicubic/X2/000001x2.png", scale=2)
    _save(tmp_path / "2/Flickr2K", "000001.png")
    assert _lr_availability(Flickr2K(str(tmp_path / "1"))) == {"000001": True}
    assert _lr_availability(Flickr2K(str(tmp_path / "2"))) == {"000001": False}


@pytest.mark.parametrize("depth", range(5))
def test_bsds_and_bsd100_share_no_images(tmp_path: Path, depth: int) -> None:
    image_folder = Path("BSR/BSDS500/data/images")
    _save(tmp_path / image_folder, "train/1.jpg", "test/302003.jpg", "test/2.jpg", "val/3.jpg", "val/4.jpg")
    root = str(tmp_path.joinpath(*image_folder.parts[:depth]))
    assert list(_lr_availability(BSDS(root))) == ["test/2", "train/1"]
    assert list(_lr_availability(BSD100(root))) == ["3", "4"]


def test_an_unexpected_number_of_images_gives_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    _save(tmp_path / "Set5", "HR/a.png")
    with caplog.at_level(logging.WARNING):
        build_store(Set5(str(tmp_path)), 2, tmp_path / "c")
    assert caplog.messages == [f"Set5 has 5 images, and {tmp_path / 'Set5'} contains 1"]


def test_the_folder_of_another_set_is_rejected(tmp_path: Path) -> None:
    _save(tmp_path / "Set14", "HR/a.png")
    assert _lr_availability(Set14(str(tmp_path / "Set14"))) == {"a": False}
    with pytest.raises(ValueError, match="Set5: its images are not in"):
        Set5(str(tmp_path / "Set14")).check(2)


def test_other_images_in_the_data_folder_are_not_used_as_a_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("upnet.data.catalogue.base.data_folder", lambda: tmp_path)
    _save(tmp_path, "holidays.png", "HR/sea.png", "images/val/cat.png")
    for published_set in published_sets().values():
        with pytest.raises(ValueError, match="its images are not in"):
            published_set().check(2)


def test_missing_images_are_reported_with_the_command_and_the_folders(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="its images are not in") as caught:
        Urban100(str(tmp_path)).check(2)
    message = str(caught.value)
    assert f"not in {tmp_path}; expected there: Urban100, benchmark/Urban100 or the images" in message
    assert f"`upnet data download urban100 --root {tmp_path}`" in message
    with pytest.raises(ValueError, match="Apply to its authors"):
        Manga109(str(tmp_path)).check(2)


def test_sets_are_opened_by_folder_and_name(tmp_path: Path) -> None:
    _save(tmp_path / "Set5", "HR/a.png")
    _save(tmp_path / "BSR/BSDS500/data/images/val", "1.jpg")
    sources = open_sources([f"{tmp_path}/set5", f"{tmp_path}/bsd100"], 2)
    assert {name: [entry.name for entry in source.images()] for name, source in sources.items()} == {
        "Set5": ["a"],
        "BSD100": ["1"],
    }
    with pytest.raises(ValueError, match="named 2 times"):
        open_sources([f"{tmp_path}/set5", f"{tmp_path}/Set5"], 2)


def _module(config: DictConfig) -> SRData:
    module = build_config(config.data)
    assert isinstance(module, SRData)
    return module


@pytest.mark.rotating
@pytest.mark.parametrize("key", sorted(published_sets()))
def test_every_yaml_passes_the_check_of_both_commands(compose: Compose, key: str) -> None:
    check(compose(f"data={key}", "run_dir=runs"), TrainSettings)
    config = compose(f"data={key}", "run_dir=runs", command="evaluate")
    config.data.train = None
    check(config, EvaluateSettings)


@pytest.mark.rotating
@pytest.mark.parametrize(
    "key", sorted(key for key, published_set in published_sets().items() if not published_set.training)
)
def test_training_on_a_benchmark_is_rejected(compose: Compose, tmp_path: Path, key: str) -> None:
    module = _module(compose(f"data={key}", f"data.root={tmp_path}"))
    with pytest.raises(ValueError, match=rf"is a benchmark, not a training set. .*data\.val_root={key}$"):
        module.prepare()


@pytest.mark.rotating
@with_images
@pytest.mark.parametrize("root", ["{images}", "{images}/Set5", "{images}/Set5/HR"])
def test_set5_is_evaluated_from_the_given_root(compose: Compose, tmp_path: Path, root: str) -> None:
    overrides = ["data=set5", f"data.root={root.format(images=IMAGES)}", f"data.cache_dir={tmp_path}", "scale=4"]
    config = compose(*overrides, command="evaluate")
    config.data.train = None
    (store,) = _module(config).test_sets().values()
    assert (store.name, store.names) == ("Set5", [f"img_00{number}" for number in range(1, 6)])
    if not root.endswith("HR"):
        lr = np.asarray(Image.open(IMAGES / "Set5/LR_bicubic/X4/img_003x4.png"))
        assert np.array_equal(store.lr(2), lr)


@with_images
@pytest.mark.parametrize(("key", "count"), [("bsds", 399), ("t91", 91)])
def test_training_sets_provide_train_and_test_images_from_the_root(compose: Compose, key: str, count: int) -> None:
    module = _module(compose(f"data={key}", f"data.root={IMAGES}"))
    for source in (module.train, module.test):
        assert source is not None
        source.check(2)
        assert len(source.images()) == count
