"""LR images are never used as HR images: folders of pairs are recognised by their names or rejected."""

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
    """save(path, seed, scale): write a smooth image of 48×36 pixels, downscaled by scale."""

    def write(path: Path, seed: int = 0, scale: int = 1) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        image = Image.fromarray(noise(6, 8, seed=seed)).resize((48, 36), Image.Resampling.BICUBIC)
        Image.fromarray(imresize(np.asarray(image), 1 / scale)).save(path)

    return write


Save = Callable[..., None]


def _save_pairs(save: Save, hr: Path, lr: Path, lr_suffix: str = "", scale: int = 2) -> None:
    for seed in range(3):
        save(hr / f"{seed}.png", seed)
        save(lr / f"{seed}{lr_suffix}.png", seed, scale)


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
def test_adjacent_hr_and_lr_folders_are_opened_as_pairs(tmp_path: Path, save: Save, hr: str, lr: str) -> None:
    root = tmp_path / "both"
    _save_pairs(save, root / hr, root / lr)
    store = build_store(Paired(str(root)), 2, tmp_path / "c")
    assert (store.name, store.names, store.lr_from) == ("both", ["0", "1", "2"], "files")
    ((name, source),) = open_sources(str(root), 2).items()
    assert (name, type(source)) == ("both", Paired)
    assert list(read_folder(str(root)).hr) == ["0", "1", "2"]


@pytest.mark.parametrize(("hr", "lr"), [("hr", "lr"), ("GT", "LQ"), ("gt", "lr_x2")])
def test_folder_ignores_the_adjacent_lr_folder(
    tmp_path: Path, save: Save, hr: str, lr: str, caplog: pytest.LogCaptureFixture
) -> None:
    _save_pairs(save, tmp_path / hr, tmp_path / lr)
    with caplog.at_level(logging.INFO, "upnet.data"):
        store = build_store(Folder(str(tmp_path)), 2, tmp_path / "c")
    assert store.sizes == [(36, 48)] * 3
    assert f"the LR images in {tmp_path / lr} are not used" in caplog.text


@pytest.mark.parametrize(("hr", "lr"), [("hr", "lr"), ("GT", "LQ"), ("set_HR", "set_LR_bicubic/X2")])
@pytest.mark.parametrize("parent", ["sub", "a/b"])
def test_nested_hr_and_lr_folders_are_rejected_and_named(
    tmp_path: Path, save: Save, parent: str, hr: str, lr: str
) -> None:
    _save_pairs(save, tmp_path / parent / hr, tmp_path / parent / lr)
    save(tmp_path / "other.png", 7)
    with pytest.raises(ValueError, match=rf"in .*{hr} and .*{lr[:2]}.*data=paired data\.root={tmp_path / parent}"):
        Folder(str(tmp_path)).images()
    with pytest.raises(ValueError, match="contains HR and LR images"):
        read_folder(str(tmp_path))


def test_the_lr_folder_of_the_requested_scale_is_used(tmp_path: Path, save: Save) -> None:
    for scale in (2, 3):
        _save_pairs(save, tmp_path / "GTmod12", tmp_path / f"LRbicx{scale}", scale=scale)
    for scale in (2, 3):
        assert build_store(Paired(str(tmp_path)), scale, tmp_path / "c").lr(0).shape == (36 // scale, 48 // scale, 3)
    assert type(open_sources(str(tmp_path), 4)[tmp_path.name]) is Folder


def test_several_lr_folders_of_one_scale_are_rejected_and_named(tmp_path: Path, save: Save) -> None:
    for kind in ("mild", "wild"):
        _save_pairs(save, tmp_path / "HR", tmp_path / f"LR_{kind}")
    with pytest.raises(ValueError, match=r"several folders of LR images for HR: LR_mild, LR_wild. .*data\.train\.lr"):
        open_sources(str(tmp_path), 2)


@pytest.mark.parametrize(
    ("hr", "lr", "lr_suffix"),
    [
        ("large", "small", ""),  # names without a role
        ("X1", "X2", ""),
        ("large", "small", "x2"),
        (".", ".", "x2"),
        (".", ".", "_lr"),
        (".", "lr", ""),
    ],
)
def test_the_same_images_at_two_sizes_are_rejected(
    tmp_path: Path, save: Save, hr: str, lr: str, lr_suffix: str
) -> None:
    _save_pairs(save, tmp_path / hr, tmp_path / lr, lr_suffix)
    with pytest.raises(ValueError, match=rf"0{lr_suffix}\.png is a smaller version of .*0\.png. Move the LR images"):
        Folder(str(tmp_path)).images()


def test_different_images_of_the_same_name_are_not_treated_as_pairs(tmp_path: Path, save: Save) -> None:
    for seed in range(3):
        save(tmp_path / "cats" / f"{seed}.png", seed)
        save(tmp_path / "dogs" / f"{seed}.png", 10 + seed, 2)  # half the size
        save(tmp_path / "dogs" / f"{seed}x2.png", 20 + seed)
        save(tmp_path / "birds" / f"{seed}.png", seed)  # copies of the same size are not a pair
    assert len(Folder(str(tmp_path)).images()) == 12


def test_a_published_set_that_contains_hr_and_lr_images_is_rejected(tmp_path: Path, save: Save) -> None:
    _save_pairs(save, tmp_path / "Set5/photos/hr", tmp_path / "Set5/photos/lr")
    save(tmp_path / "Set5/other.png", 7)
    with pytest.raises(ValueError, match=r"contains HR and LR images"):
        Set5(str(tmp_path)).check(2)


@pytest.mark.parametrize("name", ["chairs", "shore", "X2", "photos", "hrs", "gthing", "lrfoo", "CelebA"])
def test_unrelated_folder_names_have_no_role(name: str) -> None:
    assert folder_role(name) is None


def test_folder_roles_are_parsed_from_names() -> None:
    assert folder_role("DIV2K_train_LR_bicubic") == Role(False, "div2k_train_", "_bicubic")
    assert folder_role("GTmod12") == Role(True, "", "mod12")
