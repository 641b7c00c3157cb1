"""The files of a folder: which are listed, and which are named as left out."""

import logging
import os
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from upnet.data import Folder, build_store
from upnet.data.sources.files import find_images
from upnet.imaging.listing import BROKEN_LINK, LISTED_BEFORE, UNSUPPORTED, list_images
from upnet.imaging.reading import SUFFIXES, read_image, read_rgb
from upnet.inference.output_names import plan_outputs


def test_linked_folders_and_files_are_followed(hr_folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    (other / "deep").mkdir(parents=True)
    shutil.copy(hr_folder / "a.png", other / "deep/e.png")
    (hr_folder / "linked").symlink_to(other)
    (hr_folder / "f.png").symlink_to(other / "deep/e.png")
    names = ["a", "b", "c", "f", "linked/deep/e", "more/d"]
    assert [entry.name for entry in Folder(str(hr_folder)).images()] == names
    jobs = plan_outputs(hr_folder, tmp_path / "out", 2).jobs
    assert sorted(larger.relative_to(tmp_path / "out").with_suffix("").as_posix() for _, larger in jobs) == names


def test_links_in_a_circle_end_and_a_folder_is_listed_once(hr_folder: Path) -> None:
    (hr_folder / "a_link").symlink_to(hr_folder / "more")  # sorted before the folder itself
    (hr_folder / "circle").symlink_to(hr_folder)
    (hr_folder / "more/up").symlink_to(hr_folder.parent)
    listing = list_images(hr_folder)
    assert [path.name for path in listing.images] == ["a.png", "b.png", "c.png", "d.png"]
    assert {reason: [path.name for path in paths] for reason, paths in listing.skipped.items()} == {
        LISTED_BEFORE: ["a_link", "circle", "up"]
    }


def test_what_is_left_out_is_named(hr_folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (hr_folder / "gone.png").symlink_to(tmp_path / "nowhere")
    for name in ("photo.heic", "notes.txt", "no_ending", "x.svg", "Thumbs.db", ".hidden"):
        (hr_folder / name).write_text("")
    with caplog.at_level(logging.INFO, "upnet.data"):
        build_store(Folder(str(hr_folder)), 2, tmp_path / "c")
        build_store(Folder(str(hr_folder)), 2, tmp_path / "c")
    told = f"skipped: gone.png ({BROKEN_LINK}); no_ending, notes.txt, photo.heic and 1 more ({UNSUPPORTED})"
    assert caplog.text.count(told) == 1
    assert "pictures: 4 images, LR made from HR" in caplog.text


def test_upscaling_names_what_is_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "in").mkdir()
    Image.new("L", (2, 2)).save(tmp_path / "in/a.png")
    (tmp_path / "in/b.heic").write_text("")
    (tmp_path / "in/c.png").symlink_to(tmp_path / "nowhere")
    assert len(plan_outputs(tmp_path / "in", None, 2).jobs) == 1
    assert f"skipped: c.png ({BROKEN_LINK}); b.heic ({UNSUPPORTED})" in caplog.text


def test_a_folder_of_nothing_but_broken_links_says_so(tmp_path: Path) -> None:
    (tmp_path / "gone.png").symlink_to(tmp_path / "nowhere")
    with pytest.raises(ValueError, match=r"there is no image in .*skipped: gone\.png \(a broken link\)"):
        find_images(tmp_path)


SAVED = [suffix for suffix in SUFFIXES if suffix not in (".ras", ".psd")]  # Pillow reads these two only


@pytest.mark.parametrize("suffix", SAVED)
def test_every_listed_format_is_read_by_training_and_upscaling(tmp_path: Path, suffix: str) -> None:
    rng = np.random.default_rng(0)
    image = Image.fromarray(rng.integers(0, 256, (4, 6, 3), np.uint8)).resize((48, 32), Image.Resampling.BICUBIC)
    (tmp_path / "in").mkdir()
    image.save(tmp_path / f"in/a{suffix.upper()}", quality=95)
    (path,) = find_images(tmp_path / "in").values()
    (job,) = plan_outputs(tmp_path / "in", None, 2).jobs
    assert path == job[0] == tmp_path / f"in/a{suffix.upper()}"
    difference = read_rgb(path).astype(int) - np.asarray(image)
    assert np.abs(difference).mean() < 8  # the 256 colours of a GIF are the coarsest
    assert read_image(path).samples.shape[:2] == (32, 48)


@pytest.mark.parametrize("suffix", [".jfif", ".gif", ".avif"])
def test_endings_that_cameras_and_browsers_use_are_known(suffix: str) -> None:
    from PIL import features

    assert suffix in SUFFIXES or (suffix == ".avif" and not features.check("avif"))


def test_of_an_animated_gif_the_first_frame_is_read(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ((200, 0, 0), (0, 200, 0))]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert read_rgb(tmp_path / "a.gif")[0, 0].tolist() == [200, 0, 0]
    assert read_image(tmp_path / "a.gif").remarks == ("has 2 frames, of which only the first is used",)


def test_sixteen_bits_of_a_pgm_become_eight(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, 257 * 100, 65535]], np.uint16)).save(tmp_path / "a.pgm")
    assert read_rgb(tmp_path / "a.pgm")[0, :, 0].tolist() == [0, 100, 255]


@pytest.mark.full
def test_listing_takes_time_in_proportion_to_the_files(tmp_path: Path) -> None:
    """One name that two files share made it quadratic: 20 000 files took ten times as long with it as without."""
    for number in range(20_000):
        os.mknod(tmp_path / f"{number}.png") if hasattr(os, "mknod") else (tmp_path / f"{number}.png").touch()

    def seconds() -> float:
        start = time.process_time()
        assert len(find_images(tmp_path)) >= 20_000
        return time.process_time() - start

    alone = min(seconds() for _ in range(2))
    (tmp_path / "0.jpg").touch()
    assert min(seconds() for _ in range(2)) < 3 * alone
