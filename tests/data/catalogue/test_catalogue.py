"""Published sets: found in every layout they are handed round in, and used as what they are."""

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

with_images = pytest.mark.skipif(not IMAGES.is_dir(), reason="the shared photographs are not there")


def _save(root: Path, *names: str, scale: int = 1) -> None:
    """Images of 24 × 36 pixels, or as many times smaller."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(crc32(name.encode())).integers(0, 256, (24 // scale, 36 // scale, 3), np.uint8)
        Image.fromarray(pixels).save(path)


def _found(source: PublishedSet, scale: int = 2) -> dict[str, bool]:
    """Name -> whether it has an LR image of its own."""
    source.check(scale)
    return {entry.name: entry.read_lr(scale) is not None for entry in source.images()}


def test_every_module_is_a_set_with_a_yaml_of_its_name() -> None:
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
    for key, chosen in published_sets().items():
        yaml = (CONFIGS / "data" / f"{key}.yaml").read_text(encoding="utf-8")
        assert f"_target_: upnet.data.catalogue.{chosen.__name__}\n" in yaml
        assert ("train: null" in yaml) is not chosen.training


@pytest.mark.parametrize("key", sorted(published_sets()))
def test_the_facts_of_a_set_are_well_formed(key: str) -> None:
    chosen = published_sets()[key]
    assert chosen.page.startswith("http")
    assert chosen.licence.endswith(".")
    assert bool(chosen.downloads) is not bool(chosen.instructions)
    assert len({archive.folder for offer in chosen.downloads for archive in offer.archives if archive.scale}) in (0, 3)
    for offer in chosen.downloads:
        for archive in offer.archives:
            assert archive.url.startswith("https://") or archive.checksum, "nothing vouches for what comes"
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
@pytest.mark.parametrize("place", ["Set5", "set5", "benchmark/Set5"])
@pytest.mark.parametrize("named", [True, False], ids=["its own folder", "the one around it"])
def test_a_benchmark_is_found_as_it_is_handed_round(tmp_path: Path, layout: str, place: str, named: bool) -> None:
    large, small = LAYOUTS[layout]
    _save(tmp_path / place, *large)
    _save(tmp_path / place, *small, scale=2)
    _save(tmp_path / "Set14", "HR/other.png")
    source = Set5(str(tmp_path / place if named else tmp_path))
    assert _found(source) == {"a": bool(small), "b": bool(small)}
    assert source.folder == tmp_path / place
    store = build_store(source, 2, tmp_path / "c")
    assert store.name == "Set5"
    assert [store.lr(number).shape for number in range(2)] == [(12, 18, 3)] * 2


def test_lr_is_made_at_a_scale_that_has_no_files(tmp_path: Path) -> None:
    _save(tmp_path / "Set5", "HR/a.png")
    _save(tmp_path / "Set5", "LR_bicubic/X2/ax2.png", scale=2)
    assert _found(Set5(str(tmp_path)), 2) == {"a": True}
    assert _found(Set5(str(tmp_path)), 3) == {"a": False}


def test_lr_that_does_not_pair_off_is_refused(tmp_path: Path) -> None:
    _save(tmp_path / "Set5", "HR/a.png", "HR/b.png")
    _save(tmp_path / "Set5", "LR_bicubic/X2/ax2.png", scale=2)
    with pytest.raises(ValueError, match=r"1 HR without LR \(b\)"):
        Set5(str(tmp_path)).check(2)


@pytest.mark.parametrize("around", ["", "DIV2K"])
def test_div2k_is_told_from_its_validation_pictures(tmp_path: Path, around: str) -> None:
    for part, name in (("train", "0001"), ("valid", "0801")):
        _save(tmp_path / around, f"DIV2K_{part}_HR/{name}.png")
        _save(tmp_path / around, f"DIV2K_{part}_LR_bicubic/X2/{name}x2.png", scale=2)
    for root in (tmp_path, tmp_path / around):
        assert _found(DIV2K(str(root))) == {"0001": True}
        assert _found(DIV2KValid(str(root))) == {"0801": True}
    assert _found(DIV2K(str(tmp_path / around / "DIV2K_train_HR"))) == {"0001": False}
    with pytest.raises(ValueError, match="DIV2K: its images are not in"):
        DIV2K(str(tmp_path / around / "DIV2K_valid_HR")).check(2)


def test_flickr2k_is_found_with_and_without_lr(tmp_path: Path) -> None:
    _save(tmp_path / "1/Flickr2K", "Flickr2K_HR/000001.png")
    _save(tmp_path / "1/Flickr2K", "Flickr2K_LR_bicubic/X2/000001x2.png", scale=2)
    _save(tmp_path / "2/Flickr2K", "000001.png")
    assert _found(Flickr2K(str(tmp_path / "1"))) == {"000001": True}
    assert _found(Flickr2K(str(tmp_path / "2"))) == {"000001": False}


@pytest.mark.parametrize("depth", range(5))
def test_bsds_trains_on_what_no_benchmark_holds(tmp_path: Path, depth: int) -> None:
    inside = Path("BSR/BSDS500/data/images")
    _save(tmp_path / inside, "train/1.jpg", "test/302003.jpg", "test/2.jpg", "val/3.jpg", "val/4.jpg")
    root = str(tmp_path.joinpath(*inside.parts[:depth]))
    assert list(_found(BSDS(root))) == ["test/2", "train/1"]
    assert list(_found(BSD100(root))) == ["3", "4"]


def test_other_numbers_of_pictures_than_published_are_remarked_upon(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    _save(tmp_path / "Set5", "HR/a.png")
    with caplog.at_level(logging.WARNING):
        build_store(Set5(str(tmp_path)), 2, tmp_path / "c")
    assert caplog.messages == [f"Set5 has 5 images, and {tmp_path / 'Set5'} contains 1"]


def test_the_folder_of_another_set_is_not_taken(tmp_path: Path) -> None:
    _save(tmp_path / "Set14", "HR/a.png")
    assert _found(Set14(str(tmp_path / "Set14"))) == {"a": False}
    with pytest.raises(ValueError, match="Set5: its images are not in"):
        Set5(str(tmp_path / "Set14")).check(2)


def test_what_lies_loose_in_the_data_folder_is_not_taken_for_a_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("upnet.data.catalogue.base.data_folder", lambda: tmp_path)
    _save(tmp_path, "holidays.png", "HR/sea.png", "images/val/cat.png")
    for chosen in published_sets().values():
        with pytest.raises(ValueError, match="its images are not in"):
            chosen().check(2)


def test_missing_pictures_are_told_with_the_command_and_the_places(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="its images are not in") as caught:
        Urban100(str(tmp_path)).check(2)
    told = str(caught.value)
    assert f"not in {tmp_path}; expected there: Urban100, benchmark/Urban100 or the images" in told
    assert f"`upnet data download urban100 --root {tmp_path}`" in told
    with pytest.raises(ValueError, match="Apply to its authors"):
        Manga109(str(tmp_path)).check(2)


def test_sets_are_opened_by_name_in_a_folder(tmp_path: Path) -> None:
    _save(tmp_path / "Set5", "HR/a.png")
    _save(tmp_path / "BSR/BSDS500/data/images/val", "1.jpg")
    opened = open_sources([f"{tmp_path}/set5", f"{tmp_path}/bsd100"], 2)
    assert {name: [entry.name for entry in source.images()] for name, source in opened.items()} == {
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
@pytest.mark.parametrize("key", sorted(key for key, chosen in published_sets().items() if not chosen.training))
def test_a_benchmark_is_not_trained_on(compose: Compose, tmp_path: Path, key: str) -> None:
    module = _module(compose(f"data={key}", f"data.root={tmp_path}"))
    with pytest.raises(ValueError, match=rf"is a benchmark, not a training set. .*data\.val_root={key}$"):
        module.prepare()


@pytest.mark.rotating
@with_images
@pytest.mark.parametrize("root", ["{images}", "{images}/Set5", "{images}/Set5/HR"])
def test_set5_is_scored_from_where_it_lies(compose: Compose, tmp_path: Path, root: str) -> None:
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
def test_a_training_set_is_trained_on_and_scored_from_where_it_lies(compose: Compose, key: str, count: int) -> None:
    module = _module(compose(f"data={key}", f"data.root={IMAGES}"))
    for source in (module.train, module.test):
        assert source is not None
        source.check(2)
        assert len(source.images()) == count
