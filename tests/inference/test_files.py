"""Image files are upscaled to image files with their metadata, and failures are reported."""

import os
import sys
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image
from support import Compose

from upnet.cli import upscale
from upnet.config import build
from upnet.imaging.image import Metadata, RasterImage
from upnet.imaging.reading import read_image
from upnet.imaging.writing import write_image
from upnet.inference import files as upscaling
from upnet.inference.files import upscale_file, upscale_files
from upnet.inference.upscaler import Upscaler
from upnet.utils.allocator import INFERENCE_KERNELS
from upnet.utils.errors import InterruptedRunError, RunError, UserError


@pytest.fixture(scope="module")
def upscaler(compose: Compose) -> Upscaler:
    torch.manual_seed(0)
    return Upscaler(build(compose("model=espcn", "model.residual=bicubic").model))


def random(*shape: int, dtype: type = np.uint8) -> np.ndarray:
    return np.random.default_rng(1).integers(0, np.iinfo(dtype).max + 1, shape, dtype)


def save_noise(path: Path, *shape: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(random(*shape)).save(path)
    return path


def files_in(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir())


def test_a_folder_with_a_broken_image_is_upscaled_without_it(upscaler: Upscaler, tmp_path: Path) -> None:
    source = tmp_path / "in"
    save_noise(source / "a.png", 6, 5, 3)
    save_noise(source / "deep/b.jpg", 4, 7, 3)
    (source / "broken.png").write_bytes(b"\x89PNG no picture")
    outcome = upscale_files(upscaler, source, tmp_path / "out")
    written, failed = outcome.written, outcome.failed
    assert [path.relative_to(tmp_path / "out").as_posix() for path in written] == ["a.png", "deep/b.png"]
    assert [Image.open(path).size for path in written] == [(10, 12), (14, 8)]
    assert len(failed) == 1
    assert "broken.png" in failed[0]
    assert files_in(tmp_path / "out") == ["a.png", "deep/b.png"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not allow such names")
def test_control_characters_of_a_file_name_are_escaped_in_messages(upscaler: Upscaler, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in/a\x1b[2J.png").write_bytes(b"no picture")
    (message,) = upscale_files(upscaler, tmp_path / "in", tmp_path / "out").failed
    assert "a\\x1b[2J.png cannot be read as an image" in message
    assert message.isprintable()


def test_images_with_the_same_stem_get_different_output_names(upscaler: Upscaler, tmp_path: Path) -> None:
    save_noise(tmp_path / "in/a.png", 6, 5, 3)
    save_noise(tmp_path / "in/a.bmp", 4, 7, 3)
    outcome = upscale_files(upscaler, tmp_path / "in", tmp_path / "out")
    written, failed = outcome.written, outcome.failed
    assert not failed
    assert [path.name for path in written] == ["a.bmp.png", "a.png.png"]


@pytest.mark.parametrize("folder", ["new", "new/deep/er"])
def test_missing_output_folders_are_created(upscaler: Upscaler, tmp_path: Path, folder: str) -> None:
    save_noise(tmp_path / "a.png", 6, 5, 3)
    upscale_files(upscaler, tmp_path / "a.png", tmp_path / folder / "b.png")
    assert Image.open(tmp_path / folder / "b.png").size == (10, 12)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("source", [".png", ".tif"])
@pytest.mark.parametrize("target", [".png", ".tif"])
def test_16_bit_files_are_upscaled_to_16_bit_files(
    upscaler: Upscaler, tmp_path: Path, channels: int, source: str, target: str
) -> None:
    samples = random(8, 9, channels, dtype=np.uint16)
    samples = samples[..., 0] if channels == 1 else samples
    write_image(RasterImage(samples), tmp_path / f"a{source}")
    assert not upscale_file(upscaler, tmp_path / f"a{source}", tmp_path / f"b{target}")
    expected = upscaler.upscale(samples)
    assert len(np.unique(expected & 0xFF)) > 50
    if target == ".tif":
        assert np.array_equal(tifffile.imread(tmp_path / "b.tif"), expected)
    assert np.array_equal(read_image(tmp_path / f"b{target}").samples, expected)


@pytest.mark.parametrize("suffix", [".jpg", ".webp", ".bmp"])
def test_reduction_of_16_bits_to_8_is_reported(upscaler: Upscaler, tmp_path: Path, suffix: str) -> None:
    write_image(RasterImage(random(8, 9, 3, dtype=np.uint16)), tmp_path / "a.png")
    remarks = upscale_file(upscaler, tmp_path / "a.png", tmp_path / f"b{suffix}")
    assert remarks == (f"has 16 bits per channel, of which {suffix} keeps 8",)
    if suffix == ".bmp":
        exact = upscaler.upscale(read_image(tmp_path / "a.png").samples) / 257
        assert np.array_equal(np.asarray(Image.open(tmp_path / "b.bmp")), np.rint(exact))


@pytest.mark.parametrize("suffix", [".jpg", ".bmp"])
def test_transparency_is_rejected_for_formats_without_alpha(upscaler: Upscaler, tmp_path: Path, suffix: str) -> None:
    save_noise(tmp_path / "a.png", 6, 5, 4)
    with pytest.raises(ValueError, match=r"doesn't support transparency, and the image is transparent. Write a \.png"):
        upscale_files(upscaler, tmp_path / "a.png", tmp_path / f"new/b{suffix}")
    assert not (tmp_path / "new").exists()
    opaque = random(6, 5, 4)
    opaque[..., 3] = 255
    Image.fromarray(opaque).save(tmp_path / "a.png")
    upscale_files(upscaler, tmp_path / "a.png", tmp_path / f"b{suffix}")
    assert Image.open(tmp_path / f"b{suffix}").mode == "RGB"


@pytest.mark.parametrize(("suffix", "limit"), [(".webp", 16383), (".jpg", 65535)])
def test_an_output_larger_than_the_format_allows_is_rejected(
    upscaler: Upscaler, tmp_path: Path, suffix: str, limit: int
) -> None:
    Image.new("L", (limit // 2 + 1, 1)).save(tmp_path / "a.png")
    with pytest.raises(ValueError, match=rf"at most {limit} pixels per side, and this image would have {limit + 1}"):
        upscale_files(upscaler, tmp_path / "a.png", tmp_path / f"b{suffix}")


@pytest.mark.parametrize("source", [".jpg", ".png", ".webp", ".tif"])
@pytest.mark.parametrize("target", [".jpg", ".png", ".webp", ".tif"])
@pytest.mark.parametrize("orientation", [1, 6])
def test_exif_and_colour_profile_are_kept(
    upscaler: Upscaler, tmp_path: Path, source: str, target: str, orientation: int
) -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x010F], exif[0x8298] = orientation, "Maker", "somebody"
    exif[0x8769] = {0x9003: "2024:02:29 12:00:00", 0x829A: (1, 250), 0xA002: 9, 0xA003: 6, 0x927C: b"own \0\1"}
    exif[0x8825] = {1: "N", 2: (48.0, 12.0, 30.5)}
    profile = bytes(range(256)) * 2
    # Pillow writes no Exif directory into a TIFF that other readers find, so write_image is used.
    if source == ".tif":
        write_image(RasterImage(random(6, 9, 3), Metadata(profile, exif.tobytes()[6:])), tmp_path / "a.tif")
    else:
        Image.fromarray(random(6, 9, 3)).save(tmp_path / f"a{source}", exif=exif, icc_profile=profile)
    assert not upscale_file(upscaler, tmp_path / f"a{source}", tmp_path / f"b{target}")
    with Image.open(tmp_path / f"a{source}") as image, Image.open(tmp_path / f"b{target}") as upscaled:
        assert upscaled.size == ((18, 12) if orientation == 1 else (12, 18))
        assert upscaled.info["icc_profile"] == profile
        before, after = image.getexif(), upscaled.getexif()
        for tag in (0x010F, 0x8298):
            assert after[tag] == before[tag]
        assert after.get(0x0112, 1) == 1
        width, height = upscaled.size
        assert after.get_ifd(0x8769) == before.get_ifd(0x8769) | {0xA002: width, 0xA003: height}
        assert after.get_ifd(0x8825) == before.get_ifd(0x8825)


def test_16_bits_alpha_profile_and_exif_are_kept_together(upscaler: Upscaler, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 8, "Maker"
    first = RasterImage(random(6, 9, 4, dtype=np.uint16), Metadata(b"profile" * 9, exif.tobytes()[6:]))
    write_image(first, tmp_path / "a.png")
    upscale_file(upscaler, tmp_path / "a.png", tmp_path / "b.tif")
    upscale_file(upscaler, tmp_path / "b.tif", tmp_path / "c.png")
    last = read_image(tmp_path / "c.png")
    upright = np.ascontiguousarray(np.rot90(first.samples))
    assert np.array_equal(last.samples, upscaler.upscale(upscaler.upscale(upright)))
    assert last.metadata.icc == first.metadata.icc
    with Image.open(tmp_path / "c.png") as image:
        assert dict(image.getexif())[0x010F] == "Maker"


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".bmp"])
def test_grey_stays_grey(upscaler: Upscaler, tmp_path: Path, suffix: str) -> None:
    save_noise(tmp_path / f"a{suffix}", 6, 5)
    upscale_file(upscaler, tmp_path / f"a{suffix}", tmp_path / f"b{suffix}")
    assert Image.open(tmp_path / f"b{suffix}").mode == "L"


def test_many_images_are_upscaled_in_order_in_constant_memory(
    upscaler: Upscaler, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    resource = pytest.importorskip("resource")
    monkeypatch.setattr(os, "fsync", lambda handle: None)  # slower than the rest of the test
    rng = np.random.default_rng(0)
    for number in range(80):
        shape = (*rng.integers(1, 40, 2), *((), (3,), (4,), (2,))[number % 4])
        path = tmp_path / f"in/{number // 20}/{number:03}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_image(RasterImage(random(*shape, dtype=(np.uint8, np.uint16)[number // 4 % 2])), path)
    upscale_files(upscaler, tmp_path / "in/0", tmp_path / "first")
    references: list[weakref.ref[np.ndarray]] = []

    def write_counted(image: RasterImage, path: Path) -> None:
        references[:] = [reference for reference in references if reference() is not None]
        assert not references, "more than one image is in memory"
        references.append(weakref.ref(image.samples))
        write_image(image, path)

    monkeypatch.setattr(upscaling, "write_image", write_counted)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    outcome = upscale_files(upscaler, tmp_path / "in", tmp_path / "out")
    written, failed = outcome.written, outcome.failed
    assert not failed
    assert [int(path.stem) for path in written] == list(range(80))
    growth = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / (1 if sys.platform == "darwin" else 1024)
    assert growth < 30, f"memory grew by {growth} MB"


def test_a_link_out_of_the_output_folder_is_not_followed(upscaler: Upscaler, tmp_path: Path) -> None:
    save_noise(tmp_path / "in/deep/a.png", 4, 4, 3)
    save_noise(tmp_path / "in/z.png", 4, 4, 3)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out/deep").symlink_to(tmp_path / "elsewhere")
    outcome = upscale_files(upscaler, tmp_path / "in", tmp_path / "out")
    written, failed = outcome.written, outcome.failed
    assert [path.name for path in written] == ["z.png"]
    assert "outside the output folder" in failed[0]
    assert not files_in(tmp_path / "elsewhere")


def test_a_full_disk_ends_the_run_and_keeps_written_images(
    upscaler: Upscaler, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "abc":
        save_noise(tmp_path / f"in/{name}.png", 4, 4, 3)

    def write_to_full_disk(image: RasterImage, path: Path) -> None:
        if path.name != "a.png":
            raise OSError(28, "No space left on device", str(path))
        write_image(image, path)

    monkeypatch.setattr(upscaling, "write_image", write_to_full_disk)
    outcome = upscaling.Outcome()
    upscale_files(upscaler, tmp_path / "in", tmp_path / "out", outcome=outcome)
    assert ([path.name for path in outcome.written], len(outcome.failed), outcome.remaining) == (["a.png"], 1, 1)
    assert "No space left" in outcome.failed[0]
    assert outcome.run_failed
    assert files_in(tmp_path / "out") == ["a.png"]
    with pytest.raises(RunError, match=r"b\.png cannot be written: No space left on device"):
        upscale_files(upscaler, tmp_path / "in/b.png", tmp_path / "b.png")


@pytest.fixture
def command(compose: Compose, upscaler: Upscaler, monkeypatch: pytest.MonkeyPatch) -> Any:
    """evaluate.py with input= and a checkpoint in memory instead of one on the disk."""
    settings_passed: dict[str, Any] = {}

    def load(path: str, weights: str, trust: list[str], device: str, tile: Any, ensemble: Any, alpha: Any) -> Upscaler:
        settings_passed.update(path=path, weights=weights, trust=trust, tile=tile, ensemble=ensemble, alpha=alpha)
        return Upscaler(upscaler.net, tile, ensemble, alpha)

    monkeypatch.setattr(upscale, "load", load)

    def run(*overrides: str) -> dict[str, Any]:
        upscale.upscale_images(compose("checkpoint=A.ckpt", "device=cpu", *overrides, command="evaluate"))
        return settings_passed

    return run


def test_the_command_passes_its_settings_on(command: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ONEDNN_PRIMITIVE_CACHE_CAPACITY", raising=False)
    source = save_noise(tmp_path / "a.png", 20, 20, 3)
    settings_passed = command(f"input={source}", "tile=16", "ensemble=x8", "alpha=network", "weights=raw", "trust=mine")
    settings = {"tile": 16, "ensemble": "x8", "alpha": "network"}
    assert settings_passed == {"path": "A.ckpt", "weights": "raw", "trust": ["mine"], **settings}
    assert os.environ["ONEDNN_PRIMITIVE_CACHE_CAPACITY"] == str(INFERENCE_KERNELS)
    assert Image.open(tmp_path / "a_x2.png").size == (40, 40)


def test_the_command_lists_failed_images_at_the_end(
    command: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_noise(tmp_path / "in/good.png", 4, 4, 3)
    Image.new("CMYK", (4, 4)).save(tmp_path / "in/inks.jpg")
    for name in ("bad.png", "worse.jpg"):
        (tmp_path / "in" / name).write_bytes(b"no picture")
    with pytest.raises(UserError, match=r"2 images could not be upscaled:\n.*bad\.png.*\n.*worse\.jpg"):
        command(f"input={tmp_path}/in", f"output={tmp_path}/out")
    output = capsys.readouterr()
    assert "2 images, ×2" in output.out
    assert "inks.jpg was converted from CMYK to sRGB" in output.err
    assert "upscaling: 100%" in output.err


def test_an_interruption_is_reported_and_keeps_written_images(
    command: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in "abc":
        save_noise(tmp_path / f"in/{name}.png", 4, 4, 3)

    def write_interrupted(image: RasterImage, path: Path) -> None:
        if path.name == "b.png":
            raise KeyboardInterrupt
        write_image(image, path)

    monkeypatch.setattr(upscaling, "write_image", write_interrupted)
    with pytest.raises(InterruptedRunError, match="Interrupted: 2 images were not upscaled"):
        command(f"input={tmp_path}/in", f"output={tmp_path}/out")
    assert "1 image, ×2" in capsys.readouterr().out
    assert files_in(tmp_path / "out") == ["a.png"]


@pytest.mark.parametrize(
    ("source", "target", "message"),
    [
        ("missing.png", "out.png", "doesn't exist"),
        ("in.png", "out.xyz", "has no supported suffix"),
        ("in.png", "in.png/out.png", "cannot be written to"),
        ("empty", "out", "contains no image"),
        ("full", "in.png", "is a file"),
        ("full", "in.png/out", "cannot be written to"),
        ("full", "full", "is the input folder"),
        ("broken.png", "out.png", "broken.png cannot be read as an image"),
    ],
)
def test_invalid_sources_and_targets_are_rejected(
    upscaler: Upscaler, tmp_path: Path, source: str, target: str, message: str
) -> None:
    (tmp_path / "empty").mkdir()
    save_noise(tmp_path / "full/in.png", 6, 5, 3)
    save_noise(tmp_path / "in.png", 6, 5, 3)
    (tmp_path / "broken.png").write_bytes(b"no picture")
    before = files_in(tmp_path)
    with pytest.raises(ValueError, match=message):
        upscale_files(upscaler, tmp_path / source, tmp_path / target)
    assert files_in(tmp_path) == before


def test_the_pixel_limit_rejects_large_images_and_can_be_raised(upscaler: Upscaler, tmp_path: Path) -> None:
    source = save_noise(tmp_path / "a.png", 20, 30, 3)
    with pytest.raises(ValueError, match=r"more than max_pixels=599. Raise max_pixels"):
        upscale_files(upscaler, source, tmp_path / "b.png", max_pixels=599)
    upscale_files(upscaler, source, tmp_path / "b.png", max_pixels=600)
    assert Image.open(tmp_path / "b.png").size == (60, 40)
