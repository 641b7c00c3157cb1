"""Pictures of every kind come back larger, and of their kind."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from support import Compose

from upnet.config import build
from upnet.models.enlarge import enlarge
from upnet.upscaler import Upscaler
from upnet.upscaling import upscale_files


@pytest.fixture(scope="module", params=["model=unet", "model=espcn"])
def upscaler(request: pytest.FixtureRequest, compose: Compose) -> Upscaler:
    torch.manual_seed(0)
    width = ["model.encoder.width=4"] if request.param == "model=unet" else []
    net = build(compose(request.param, "model.residual=bicubic", *width).model)
    return Upscaler(net)


def random(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16"])
def test_a_picture_of_any_mode_comes_back_twice_as_large(upscaler: Upscaler, mode: str) -> None:
    if mode == "I;16":
        picture = Image.fromarray(random(9, 13).astype(np.uint16) * 257)
    else:
        picture = Image.fromarray(random(9, 13, 3)).convert(mode)
    larger = upscaler.upscale(picture)
    assert larger.size == (26, 18)
    expected = {"1": "L", "P": "RGB", "CMYK": "RGB"}.get(mode, mode)
    assert larger.mode == expected


def test_arrays_tensors_and_pictures_get_the_same_pixels(upscaler: Upscaler) -> None:
    array = random(8, 11, 3)
    larger = upscaler.upscale(array)
    assert larger.dtype == np.uint8
    assert np.array_equal(larger, np.asarray(upscaler.upscale(Image.fromarray(array))))
    planes = torch.from_numpy(array).movedim(-1, 0)
    assert torch.equal(upscaler.upscale(planes), torch.from_numpy(larger).movedim(-1, 0))
    floating = upscaler.upscale(array.astype(np.float32) / 255)
    assert np.abs(floating * 255 - larger).max() <= 0.5 + 1e-3
    assert torch.equal(upscaler.upscale(planes[None])[0], upscaler.upscale(planes))


def test_sixteen_bits_are_kept(upscaler: Upscaler) -> None:
    deep = (random(6, 7, 3).astype(np.uint16) << 8) + random(6, 7, 3)
    larger = upscaler.upscale(deep)
    exact = enlarge(upscaler.net, torch.from_numpy(deep.astype(np.float32) / 65535).movedim(-1, 0))
    assert larger.dtype == np.uint16
    expected = exact.clamp(0, 1).movedim(0, -1).numpy() * 65535
    assert np.abs(larger.astype(float) - expected).max() <= 1


def test_alpha_is_enlarged_by_bicubic(upscaler: Upscaler) -> None:
    from upnet.imresize import imresize

    picture = random(8, 9, 4)
    larger = upscaler.upscale(picture)
    expected = imresize(picture[..., 3].astype(np.float64) / 255, 2).clip(0, 1) * 255
    assert np.abs(larger[..., 3] - expected).max() <= 0.5 + 1e-3
    assert np.array_equal(larger[..., :3], upscaler.upscale(picture[..., :3]))


@pytest.mark.parametrize("image", [np.zeros((4, 4, 5), np.uint8), np.zeros((4, 4), np.int64), torch.zeros(2, 4, 4)])
def test_what_is_no_picture_is_refused(upscaler: Upscaler, image) -> None:
    with pytest.raises(ValueError, match="upscale:"):
        upscaler.upscale(image)


def test_a_network_on_luma_leaves_colour_to_bicubic(compose: Compose) -> None:
    from upnet.imresize import imresize
    from upnet.metrics import ycbcr

    net = build(compose("model=espcn").model)
    rgb = torch.rand(3, 9, 8)
    colour = ycbcr(enlarge(net, rgb))[1:]
    torch.testing.assert_close(colour, imresize(ycbcr(rgb)[1:], 2).float(), atol=1e-5, rtol=0)


def test_a_folder_is_upscaled_past_a_broken_picture(upscaler: Upscaler, tmp_path: Path) -> None:
    source = tmp_path / "in"
    (source / "deep").mkdir(parents=True)
    Image.fromarray(random(6, 5, 3)).save(source / "a.png")
    Image.fromarray(random(4, 7, 3)).save(source / "deep/b.jpg")
    (source / "broken.png").write_bytes(b"\x89PNG no picture")
    written, failed = upscale_files(upscaler, source, tmp_path / "out")
    assert [path.relative_to(tmp_path / "out").as_posix() for path in written] == ["a.png", "deep/b.png"]
    assert [Image.open(path).size for path in written] == [(10, 12), (14, 8)]
    assert len(failed) == 1
    assert "broken.png" in failed[0]
    assert sorted(path.name for path in (tmp_path / "out").rglob("*") if path.is_file()) == ["a.png", "b.png"]


def test_pictures_of_one_name_and_two_endings_are_both_kept(upscaler: Upscaler, tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.mkdir()
    Image.fromarray(random(6, 5, 3)).save(source / "a.png")
    Image.fromarray(random(4, 7, 3)).save(source / "a.bmp")
    written, failed = upscale_files(upscaler, source, tmp_path / "out")
    assert not failed
    assert sorted(path.name for path in written) == ["a.bmp.png", "a.png.png"]


def test_a_picture_is_turned_as_its_exif_says(upscaler: Upscaler, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(random(6, 10, 3)).save(tmp_path / "turned.jpg", exif=exif)
    written, _ = upscale_files(upscaler, tmp_path / "turned.jpg", tmp_path / "out.png")
    assert Image.open(written[0]).size == (12, 20)


@pytest.mark.parametrize(
    ("source", "target", "told"),
    [
        ("missing.png", "out.png", "doesn't exist"),
        ("in.png", "out.xyz", "must end in one of"),
        ("empty", "out", "holds no"),
    ],
)
def test_what_cannot_be_upscaled_is_refused(
    upscaler: Upscaler, tmp_path: Path, source: str, target: str, told: str
) -> None:
    (tmp_path / "empty").mkdir()
    Image.fromarray(random(6, 5, 3)).save(tmp_path / "in.png")
    with pytest.raises(ValueError, match=told):
        upscale_files(upscaler, tmp_path / source, tmp_path / target)
