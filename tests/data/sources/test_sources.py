"""Sources: the folder layouts that are read, the ones that are rejected, and the error messages."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support import ROOT

from upnet.data import Folder, Paired, Photographs, build_store, open_sources

Noise = Callable[..., np.ndarray]


def _save(path: Path, image: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path)


def _benchmark(root: Path, noise: Noise, scales: tuple[int, ...] = (2,), count: int = 3) -> Path:
    """ROOT/HR/img_1.png with ROOT/LR_bicubic/X2/img_1x2.png; HR is 1 pixel higher than scale × LR."""
    for number in range(count):
        _save(root / "HR" / f"img_{number}.png", noise(25, 36, seed=number))
        for scale in scales:
            lr = noise(25 // scale, 36 // scale, seed=100 + number)
            _save(root / "LR_bicubic" / f"X{scale}" / f"img_{number}x{scale}.png", lr)
    return root


def test_a_folder_is_read_recursively_without_hidden_files(hr_folder: Path, noise: Noise) -> None:
    _save(hr_folder / ".upnet" / "x.png", noise(8, 8))
    _save(hr_folder / "._a.png", noise(8, 8))
    (hr_folder / "notes.txt").write_text("no image")
    assert [entry.name for entry in Folder(str(hr_folder)).images()] == ["a", "b", "c", "more/d"]


def test_names_that_differ_only_in_the_suffix_keep_it(hr_folder: Path, noise: Noise) -> None:
    _save(hr_folder / "a.bmp", noise(8, 8))
    assert [entry.name for entry in Folder(str(hr_folder)).images()] == ["a.bmp", "a.png", "b", "c", "more/d"]


def test_a_folder_with_an_hr_subfolder_reads_only_that_subfolder(tmp_path: Path, noise: Noise) -> None:
    folder = Folder(str(_benchmark(tmp_path / "Set3", noise)))
    assert folder.name == "Set3"
    assert [entry.name for entry in folder.images()] == ["img_0", "img_1", "img_2"]


def test_folder_rejects_adjacent_hr_and_lr_folders(tmp_path: Path, noise: Noise) -> None:
    _save(tmp_path / "DIV2K_train_HR" / "0001.png", noise(8, 8))
    _save(tmp_path / "DIV2K_train_LR_bicubic" / "X2" / "0001x2.png", noise(4, 4))
    with pytest.raises(ValueError, match=r"contains HR and LR images. Give the folder .*DIV2K_train_HR"):
        Folder(str(tmp_path))


@pytest.mark.parametrize("make", [lambda root: Folder(root), lambda root: Paired(root)])
def test_missing_folders_and_files_instead_of_folders_are_rejected(
    tmp_path: Path, make: Callable[[str], object]
) -> None:
    with pytest.raises(ValueError, match=r"there is no folder .*nowhere"):
        make(str(tmp_path / "nowhere"))
    (tmp_path / "file.png").write_bytes(b"")
    with pytest.raises(ValueError, match=r"file\.png is a file. Give the folder"):
        make(str(tmp_path / "file.png"))


def test_a_folder_without_images_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"there is no image in {tmp_path}. Allowed: images end in .png"):
        Folder(str(tmp_path)).images()


@pytest.mark.parametrize("lr_name", ["img_{}x2", "img_{}X2", "img_{}"])
@pytest.mark.parametrize("lr_suffix", [".png", ".bmp"])
def test_pairs_are_found_by_name_in_the_benchmark_layout(
    tmp_path: Path, noise: Noise, lr_name: str, lr_suffix: str
) -> None:
    for number in range(3):
        _save(tmp_path / "HR" / f"img_{number}.png", noise(25, 36, seed=number))
        _save(tmp_path / "LR_bicubic" / "X2" / f"{lr_name.format(number)}{lr_suffix}", noise(12, 18, seed=9 + number))
    store = build_store(Paired(str(tmp_path)), 2, tmp_path / "c")
    for number in range(3):
        assert np.array_equal(store.hr(number), noise(25, 36, seed=number)[:24, :36])
        assert np.array_equal(store.lr(number), noise(12, 18, seed=9 + number))


def test_pairs_are_found_in_the_div2k_layout(tmp_path: Path, noise: Noise) -> None:
    for number in (1, 2):
        _save(tmp_path / "DIV2K_train_HR" / f"{number:04d}.png", noise(9, 12, seed=number))
        _save(tmp_path / "DIV2K_train_LR_bicubic" / "X3" / f"{number:04d}x3.png", noise(3, 4, seed=number))
    store = build_store(Paired(str(tmp_path)), 3, tmp_path / "c")
    assert store.names == ["0001", "0002"]
    assert np.array_equal(store.lr(1), noise(3, 4, seed=2))


def test_a_root_with_two_paired_sets_is_rejected(tmp_path: Path, noise: Noise) -> None:
    for part in ("train", "valid"):
        _save(tmp_path / f"DIV2K_{part}_HR" / "1.png", noise(8, 8))
        _save(tmp_path / f"DIV2K_{part}_LR_bicubic" / "X2" / "1x2.png", noise(4, 4))
    with pytest.raises(ValueError, match=r"several sets \(DIV2K_train_HR, DIV2K_valid_HR\)"):
        Paired(str(tmp_path))
    hr, lr = tmp_path / "DIV2K_valid_HR", tmp_path / "DIV2K_valid_LR_bicubic"
    assert len(build_store(Paired(hr=str(hr), lr=str(lr)), 2, tmp_path / "c")) == 1


def test_explicit_hr_and_lr_folders_may_have_any_name(tmp_path: Path, noise: Noise) -> None:
    for number, scale in ((1, 2), (1, 4), (2, 2), (2, 4)):
        _save(tmp_path / "sharp" / f"p{number}.png", noise(16, 8, seed=number))
        _save(tmp_path / "small" / f"p{number}x{scale}.png", noise(16 // scale, 8 // scale, seed=number))
    source = Paired(hr=str(tmp_path / "sharp"), lr=str(tmp_path / "small"))
    for scale in (2, 4):  # a flat folder may hold several scales
        assert np.array_equal(build_store(source, scale, tmp_path / "c").lr(1), noise(16 // scale, 8 // scale, seed=2))
    with pytest.raises(ValueError, match="no LR images of scale 3"):
        source.check(3)


def test_root_and_explicit_folders_are_mutually_exclusive(tmp_path: Path) -> None:
    for wrong in ({}, {"root": str(tmp_path), "hr": "a", "lr": "b"}, {"hr": "a"}, {"lr": "b"}):
        with pytest.raises(ValueError, match="either root, or both hr and lr"):
            Paired(**wrong)


def test_images_without_a_partner_are_listed(tmp_path: Path, noise: Noise) -> None:
    root = _benchmark(tmp_path / "Set3", noise)
    (root / "LR_bicubic" / "X2" / "img_1x2.png").rename(root / "LR_bicubic" / "X2" / "imgx1x2.png")
    with pytest.raises(ValueError, match=r"1 HR without LR \(img_1\) and 1 LR without HR \(imgx1x2\)"):
        Paired(str(root)).check(2)


def test_an_lr_image_of_the_wrong_size_is_rejected(tmp_path: Path, noise: Noise) -> None:
    root = _benchmark(tmp_path / "Set3", noise)
    _save(root / "LR_bicubic" / "X2" / "img_1x2.png", noise(12, 17))
    with pytest.raises(ValueError, match=r"img_1: LR must be HR / 2, .* 12×18 pixels for HR of 25×36; it is 12×17"):
        build_store(Paired(str(root)), 2, tmp_path / "c")


def test_lr_sizes_rounded_up_are_rejected_unless_lr_rounded_up_is_set(tmp_path: Path, noise: Noise) -> None:
    """MATLAB's imresize by 1/2 turns 63×61 into 32×31."""
    root, hr, lr = tmp_path / "Set1", noise(63, 61), noise(32, 31, seed=1)
    _save(root / "HR/a.png", hr)
    _save(root / "LR_bicubic/X2/ax2.png", lr)
    source = Paired(str(root))
    with pytest.raises(ValueError, match=r"a: .*31×30 .*it is 32×31. Set data\.lr_rounded_up=true"):
        build_store(source, 2, tmp_path / "c")
    store = build_store(source, 2, tmp_path / "c", lr_rounded_up=True)
    assert store.lr_rounded_up
    assert np.array_equal(store.hr(0), hr[:62, :60])
    assert np.array_equal(store.lr(0), lr[:31, :30])
    with pytest.raises(ValueError, match=r"Set1: .*rounded up. Set data\.lr_rounded_up=true"):
        build_store(source, 2, tmp_path / "c")  # a store with the rounded sizes exists now


@pytest.mark.parametrize(
    ("size", "cure"),
    [
        ((33, 31), "Make LR from HR again"),
        ((32, 32), "Make LR from HR again"),
        ((30, 30), "Make LR from HR again"),
        ((21, 20), "for scale=3: set that scale"),
        ((63, 61), "for scale=1: set that scale"),
    ],
)
def test_any_other_lr_size_is_rejected_with_a_cure(
    tmp_path: Path, noise: Noise, size: tuple[int, int], cure: str
) -> None:
    _save(tmp_path / "HR/a.png", noise(63, 61))
    _save(tmp_path / "LR/a.png", noise(*size))
    for rounded_up in (False, True):
        with pytest.raises(ValueError, match=rf"it is {size[0]}×{size[1]}.*{cure}"):
            build_store(Paired(str(tmp_path)), 2, tmp_path / "c", lr_rounded_up=rounded_up)


def test_lr_rounded_up_does_not_affect_exact_sizes(tmp_path: Path, noise: Noise) -> None:
    root = _benchmark(tmp_path / "Set3", noise)
    with_setting, without = (
        build_store(Paired(str(root)), 2, tmp_path / "c", lr_rounded_up=value) for value in (True, False)
    )
    assert (with_setting.folder, with_setting.digest) == (without.folder, without.digest)
    assert not with_setting.lr_rounded_up


def test_sets_with_lr_images_are_opened_as_pairs(tmp_path: Path, noise: Noise, hr_folder: Path) -> None:
    paired = _benchmark(tmp_path / "Set3", noise, scales=(2, 4))
    roots = [str(paired), str(hr_folder)]
    assert {name: type(source) for name, source in open_sources(roots, 2).items()} == {
        "Set3": Paired,
        "pictures": Folder,
    }
    assert {name: type(source) for name, source in open_sources(roots, 3).items()} == {
        "Set3": Folder,
        "pictures": Folder,
    }
    assert [entry.name for entry in open_sources(str(paired), 3)["Set3"].images()] == ["img_0", "img_1", "img_2"]
    assert {name: type(source) for name, source in open_sources(None, 2).items()} == {"photographs": Photographs}


def test_sets_of_the_same_name_are_renamed_after_their_parent_folders(tmp_path: Path, noise: Noise) -> None:
    for parent in ("x", "y"):
        _benchmark(tmp_path / parent / "Set3", noise)
    sources = open_sources([str(tmp_path / "x" / "Set3"), str(tmp_path / "y" / "Set3")], 2)
    assert list(sources) == ["x-Set3", "y-Set3"]
    assert [source.name for source in sources.values()] == ["x-Set3", "y-Set3"]


def test_a_folder_given_twice_is_rejected(hr_folder: Path) -> None:
    with pytest.raises(ValueError, match="named 2 times"):
        open_sources([str(hr_folder), f"{hr_folder}/more/.."], 2)


def test_photographs_defaults_to_four_images_and_accepts_other_names() -> None:
    assert [entry.name for entry in Photographs().images()] == ["astronaut", "chelsea", "coffee", "rocket"]
    assert [entry.read().shape for entry in Photographs(["camera"]).images()] == [(512, 512, 3)]
    with pytest.raises(ValueError, match=r"names=\['lena'\]: scikit-image contains no image lena.*astronaut"):
        Photographs(["lena"])


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("name", ["Set5", "Set14"])
def test_benchmark_folders_are_opened_as_pairs(tmp_path: Path, name: str, scale: int) -> None:
    root = ROOT.parent / "shared" / "images" / name
    if not root.is_dir():
        pytest.skip(f"{root.name} is not available")
    source = open_sources(str(root), scale)[name]
    assert isinstance(source, Paired)
    store = build_store(source, scale, tmp_path)
    assert len(store) == {"Set5": 5, "Set14": 14}[name]
