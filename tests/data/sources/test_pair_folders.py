"""LR images are never taken for HR images: pairs are recognised by their folders' names, or refused."""

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from upnet.audit.pairs import read_folder
from upnet.data import Folder, Paired, build_store, open_sources
from upnet.data.catalogue.set5 import Set5
from upnet.data.sources.pair_folders import Role, folder_role
from upnet.imaging.imresize import imresize


@pytest.fixture
def save(noise: Callable[..., np.ndarray]) -> Callable[..., None]:
    """save(path, seed, scale): a smooth image of 48×36 pixels by its seed, reduced."""

    def written(path: Path, seed: int = 0, scale: int = 1) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        image = Image.fromarray(noise(6, 8, seed=seed)).resize((48, 36), Image.Resampling.BICUBIC)
        Image.fromarray(imresize(np.asarray(image), 1 / scale)).save(path)

    return written


Save = Callable[..., None]


def _pairs(save: Save, hr: Path, lr: Path, mark: str = "", scale: int = 2) -> None:
    for seed in range(3):
        save(hr / f"{seed}.png", seed)
        save(lr / f"{seed}{mark}.png", seed, scale)


@pytest.mark.parametrize(
    ("hr", "lr"),
    [
        ("hr", "lr"),
        ("HR", "LR"),
        ("GT", "LQ"),
        ("gt", "lq"),
        ("HR", "LR_x2"),
        ("GTmod12", "LRbicx2"),
        ("high_res", "low_res"),
        ("DIV2K_train_HR", "DIV2K_train_LR_unknown/X2"),
        ("my-hr", "my-lr"),
    ],
)
def test_pairs_side_by_side_are_used_by_paired_and_by_scoring(tmp_path: Path, save: Save, hr: str, lr: str) -> None:
    root = tmp_path / "both"
    _pairs(save, root / hr, root / lr)
    store = build_store(Paired(str(root)), 2, tmp_path / "c")
    assert (store.name, store.names, store.lr_from) == ("both", ["0", "1", "2"], "files")
    ((name, source),) = open_sources(str(root), 2).items()
    assert (name, type(source)) == ("both", Paired)
    assert list(read_folder(str(root)).hr) == ["0", "1", "2"]


@pytest.mark.parametrize(("hr", "lr"), [("hr", "lr"), ("GT", "LQ"), ("gt", "lr_x2")])
def test_training_on_hr_alone_takes_none_of_the_lr_images(
    tmp_path: Path, save: Save, hr: str, lr: str, caplog: pytest.LogCaptureFixture
) -> None:
    _pairs(save, tmp_path / hr, tmp_path / lr)
    with caplog.at_level(logging.INFO, "upnet.data"):
        store = build_store(Folder(str(tmp_path)), 2, tmp_path / "c")
    assert store.sizes == [(36, 48)] * 3
    assert f"the LR images in {tmp_path / lr} are not used" in caplog.text


@pytest.mark.parametrize(("hr", "lr"), [("hr", "lr"), ("GT", "LQ"), ("set_HR", "set_LR_bicubic/X2")])
@pytest.mark.parametrize("above", ["sub", "a/b"])
def test_pairs_further_below_are_refused_with_both_folders(
    tmp_path: Path, save: Save, above: str, hr: str, lr: str
) -> None:
    _pairs(save, tmp_path / above / hr, tmp_path / above / lr)
    save(tmp_path / "other.png", 7)
    with pytest.raises(ValueError, match=rf"in .*{hr} and .*{lr[:2]}.*data=paired data\.root={tmp_path / above}"):
        Folder(str(tmp_path)).images()
    with pytest.raises(ValueError, match="contains HR and LR images"):
        read_folder(str(tmp_path))


def test_lr_folders_of_several_scales_are_taken_by_their_scale(tmp_path: Path, save: Save) -> None:
    for scale in (2, 3):
        _pairs(save, tmp_path / "GTmod12", tmp_path / f"LRbicx{scale}", scale=scale)
    for scale in (2, 3):
        assert build_store(Paired(str(tmp_path)), scale, tmp_path / "c").lr(0).shape == (36 // scale, 48 // scale, 3)
    assert type(open_sources(str(tmp_path), 4)[tmp_path.name]) is Folder


def test_one_of_several_lr_folders_has_to_be_named(tmp_path: Path, save: Save) -> None:
    for kind in ("mild", "wild"):
        _pairs(save, tmp_path / "HR", tmp_path / f"LR_{kind}")
    with pytest.raises(ValueError, match=r"several folders of LR images for HR: LR_mild, LR_wild. .*data\.train\.lr"):
        open_sources(str(tmp_path), 2)


@pytest.mark.parametrize(
    ("hr", "lr", "mark"),
    [
        ("large", "small", ""),  # names that say nothing
        ("X1", "X2", ""),
        ("large", "small", "x2"),
        (".", ".", "x2"),
        (".", ".", "_lr"),
        (".", "lr", ""),
    ],
)
def test_the_same_images_at_two_sizes_are_refused(tmp_path: Path, save: Save, hr: str, lr: str, mark: str) -> None:
    _pairs(save, tmp_path / hr, tmp_path / lr, mark)
    with pytest.raises(ValueError, match=rf"0{mark}\.png is a smaller version of .*0\.png. Move the LR images"):
        Folder(str(tmp_path)).images()


def test_other_images_of_the_same_names_are_no_pairs(tmp_path: Path, save: Save) -> None:
    for seed in range(3):
        save(tmp_path / "cats" / f"{seed}.png", seed)
        save(tmp_path / "dogs" / f"{seed}.png", 10 + seed, 2)  # of half the size
        save(tmp_path / "dogs" / f"{seed}x2.png", 20 + seed)
        save(tmp_path / "birds" / f"{seed}.png", seed)  # a copy is no pair
    assert len(Folder(str(tmp_path)).images()) == 12


def test_a_published_set_is_not_mixed_with_its_lr_images(tmp_path: Path, save: Save) -> None:
    _pairs(save, tmp_path / "Set5/photos/hr", tmp_path / "Set5/photos/lr")
    save(tmp_path / "Set5/other.png", 7)
    with pytest.raises(ValueError, match=r"contains HR and LR images"):
        Set5(str(tmp_path)).check(2)


@pytest.mark.parametrize("name", ["chairs", "shore", "X2", "photos", "hrs", "gthing", "lrfoo", "CelebA"])
def test_other_folders_have_no_role(name: str) -> None:
    assert folder_role(name) is None


def test_roles_are_read_from_names() -> None:
    assert folder_role("DIV2K_train_LR_bicubic") == Role(False, "div2k_train_", "_bicubic")
    assert folder_role("GTmod12") == Role(True, "", "mod12")
