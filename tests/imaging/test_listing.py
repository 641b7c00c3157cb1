"""Listing of image files in folders, and the log of skipped files."""

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


def test_links_to_folders_and_files_are_followed(hr_folder: Path, tmp_path: Path) -> None:
    linked_folder = tmp_path / "linked_folder"
    (linked_folder / "deep").mkdir(parents=True)
    shutil.copy(hr_folder / "a.png", linked_folder / "deep/e.png")
    (hr_folder / "linked").symlink_to(linked_folder)
    (hr_folder / "f.png").symlink_to(linked_folder / "deep/e.png")
    names = ["a", "b", "c", "f", "linked/deep/e", "more/d"]
    assert [entry.name for entry in Folder(str(hr_folder)).images()] == names
    jobs = plan_outputs(hr_folder, tmp_path / "out", 2).jobs
    assert sorted(output.relative_to(tmp_path / "out").with_suffix("").as_posix() for _, output in jobs) == names


def test_circular_links_are_skipped_and_a_folder_is_listed_once(hr_folder: Path) -> None:
    (hr_folder / "a_link").symlink_to(hr_folder / "more")  # sorted before the folder itself
    (hr_folder / "circle").symlink_to(hr_folder)
    (hr_folder / "more/up").symlink_to(hr_folder.parent)
    listing = list_images(hr_folder)
    assert [path.name for path in listing.images] == ["a.png", "b.png", "c.png", "d.png"]
    assert {reason: [path.name for path in paths] for reason, paths in listing.skipped.items()} == {
        LISTED_BEFORE: ["a_link", "circle", "up"]
    }


def test_skipped_files_are_logged_once(hr_folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (hr_folder / "gone.png").symlink_to(tmp_path / "nowhere")
    for name in ("photo.heic", "notes.txt", "no_ending", "x.svg", "Thumbs.db", ".hidden"):
        (hr_folder / name).write_text("")
    with caplog.at_level(logging.INFO, "upnet.data"):
        build_store(Folder(str(hr_folder)), 2, tmp_path / "c")
        build_store(Folder(str(hr_folder)), 2, tmp_path / "c")
    message = f"skipped: gone.png ({BROKEN_LINK}); no_ending, notes.txt, photo.heic and 1 more ({UNSUPPORTED})"
    assert caplog.text.count(message) == 1
    assert "pictures: 4 images, LR made from HR" in caplog.text


def test_upscaling_logs_skipped_files(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "in").mkdir()
    Image.new("L", (2, 2)).save(tmp_path / "in/a.png")
    (tmp_path / "in/b.heic").write_text("")
    (tmp_path / "in/c.png").symlink_to(tmp_path / "nowhere")
    assert len(plan_outputs(tmp_path / "in", None, 2).jobs) == 1
    assert f"skipped: c.png ({BROKEN_LINK}); b.heic ({UNSUPPORTED})" in caplog.text


def test_a_folder_of_broken_links_is_rejected_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "gone.png").symlink_to(tmp_path / "nowhere")
    with pytest.raises(ValueError, match=r"there is no image in .*skipped: gone\.png \(a broken link\)"):
        find_images(tmp_path)


SAVED = [suffix for suffix in SUFFIXES if suffix not in (".ras", ".psd")]  # Pillow only reads these two


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
    assert np.abs(difference).mean() < 8  # the 256 colours of a GIF have the largest error
    assert read_image(path).samples.shape[:2] == (32, 48)


@pytest.mark.parametrize("suffix", [".jfif", ".gif", ".avif"])
def test_common_suffixes_are_supported(suffix: str) -> None:
    from PIL import features

    assert suffix in SUFFIXES or (suffix == ".avif" and not features.check("avif"))


def test_the_first_frame_of_an_animated_gif_is_read(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ((200, 0, 0), (0, 200, 0))]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert read_rgb(tmp_path / "a.gif")[0, 0].tolist() == [200, 0, 0]
    assert read_image(tmp_path / "a.gif").remarks == ("has 2 frames, of which only the first is used",)


def test_a_16_bit_pgm_is_reduced_to_8_bits(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, 257 * 100, 65535]], np.uint16)).save(tmp_path / "a.pgm")
    assert read_rgb(tmp_path / "a.pgm")[0, :, 0].tolist() == [0, 100, 255]


@pytest.mark.full
def test_listing_time_is_linear_in_the_number_of_files(tmp_path: Path) -> None:
    """Regression: two files with the same stem made the listing quadratic (20 000 files took ten times as long)."""
    for number in range(20_000):
        os.mknod(tmp_path / f"{number}.png") if hasattr(os, "mknod") else (tmp_path / f"{number}.png").touch()

    def seconds() -> float:
        start = time.process_time()
        assert len(find_images(tmp_path)) >= 20_000
        return time.process_time() - start

    without_duplicate = min(seconds() for _ in range(2))
    (tmp_path / "0.jpg").touch()
    assert min(seconds() for _ in range(2)) < 3 * without_duplicate
