"""SRData: the sets of a run, and the errors that are reported before a run starts."""

from pathlib import Path

import pytest
from PIL import Image

from upnet.data import Folder, Photographs, SRData


def test_the_default_sets_are_the_four_photographs(tmp_path: Path) -> None:
    module = SRData(2, 1, 8, seed=0, cache_dir=str(tmp_path / "c"))
    assert module.val_sets()["photographs"].names == ["astronaut", "chelsea", "coffee", "rocket"]
    assert module.test_sets() == module.val_sets()


def test_test_sets_are_read_from_root(tmp_path: Path, hr_folder: Path) -> None:
    module = SRData(2, 1, 8, seed=0, root=[str(hr_folder)], cache_dir=str(tmp_path / "c"))
    assert {name: store.names for name, store in module.test_sets().items()} == {"pictures": ["a", "b", "c", "more/d"]}


def test_a_shared_image_is_found_under_another_name_and_format(tmp_path: Path, hr_folder: Path) -> None:
    held_out = tmp_path / "held_out"
    held_out.mkdir()
    Image.open(hr_folder / "b.png").save(held_out / "other.bmp")
    module = SRData(
        2, 1, 8, seed=0, val_root=str(held_out), train=Folder(str(hr_folder)), cache_dir=str(tmp_path / "c")
    )
    with pytest.raises(ValueError, match=r"share 1 image: b of pictures is other of held_out"):
        module.prepare()


def test_training_on_a_validation_image_is_rejected(tmp_path: Path) -> None:
    module = SRData(2, 1, 8, seed=0, train=Photographs(["chelsea"]), cache_dir=str(tmp_path / "c"))
    with pytest.raises(ValueError, match="share 1 image: chelsea"):
        module.prepare()


def test_images_smaller_than_the_patch_are_rejected(tmp_path: Path, hr_folder: Path) -> None:
    module = SRData(2, 1, 17, seed=0, train=Folder(str(hr_folder)), cache_dir=str(tmp_path / "c"))
    with pytest.raises(ValueError, match=r"data\.patch=17: .*at least 34×34.*2 smaller ones: b \(32×46\), c \(64×32\)"):
        module.prepare()


def test_a_module_without_training_images_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"data\.train"):
        SRData(2, 1, 8, seed=0, cache_dir=str(tmp_path / "c")).prepare()
