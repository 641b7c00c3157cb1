"""Images with alpha: their edges equal those of the opaque image, for any colour of the transparent pixels."""

from typing import Literal

import numpy as np
import pytest
import torch
from PIL import Image
from support import Compose

from upnet.config import build
from upnet.imaging.alpha import fill_transparent, upscale_alpha
from upnet.inference.upscaler import Upscaler
from upnet.models import EncoderDecoder

Mode = Literal["bicubic", "network"]
SIDE = 48
ROWS, COLUMNS = np.mgrid[:SIDE, :SIDE].astype(float)
DISTANCE = np.hypot(ROWS - 24, COLUMNS - 23)
EDGES = {
    "hard": np.where(DISTANCE < 15, 1.0, 0.0),
    "antialiased": np.clip(15.5 - DISTANCE, 0, 1),
    "soft": np.clip((15 - DISTANCE) / 8 + 0.5, 0, 1),
}
COLOURS = {
    "even": np.broadcast_to(np.array([200.0, 40.0, 90.0]), (SIDE, SIDE, 3)),
    "gradient": np.stack((3 * COLUMNS, 3 * ROWS, 1.5 * (ROWS + COLUMNS)), axis=-1),
}
BACKGROUNDS = (0.0, 100.0, 255.0)


@pytest.fixture(scope="module", params=["model=unet", "model=espcn"])
def net(request: pytest.FixtureRequest, compose: Compose) -> EncoderDecoder:
    torch.manual_seed(0)
    width = ["model.encoder.width=4"] if request.param == "model=unet" else []
    return build(compose(request.param, "model.residual=bicubic", *width).model)


def cutout(colour: str, edge: str) -> tuple[np.ndarray, np.ndarray]:
    """The opaque image and a disc cut out of it, in uint8. Transparent pixels of the cut-out are black."""
    alpha = np.rint(EDGES[edge] * 255)[..., None]
    opaque = np.rint(COLOURS[colour])
    cut = np.concatenate((opaque * (alpha > 0), alpha), axis=-1)
    return opaque.astype(np.uint8), cut.astype(np.uint8)


def composited_error(upscaled: np.ndarray, opaque: np.ndarray, max_value: int = 255) -> float:
    """The largest difference of the composited cut-out and opaque image, in 8-bit levels."""
    alpha = upscaled[..., -1:] / max_value
    colours = (upscaled[..., :-1] * (255 / max_value), opaque * (255 / max_value))
    composites = [[background * (1 - alpha) + colour * alpha for background in BACKGROUNDS] for colour in colours]
    return max(float(np.abs(one - other).max()) for one, other in zip(*composites, strict=True))


@pytest.mark.covering
@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("edge", EDGES)
@pytest.mark.parametrize("alpha", ["bicubic", "network"])
def test_edges_on_transparent_black_have_no_fringe(net: EncoderDecoder, colour: str, edge: str, alpha: Mode) -> None:
    upscaler = Upscaler(net, alpha=alpha)
    opaque, cut = cutout(colour, edge)
    upscaled = upscaler.upscale(cut)
    assert composited_error(upscaled, upscaler.upscale(opaque)) <= 2
    # Alpha is unchanged inside the disc and far outside it.
    assert (upscaled[40:52, 40:52, 3] == 255).all()
    assert (upscaled[:8, :8, 3] == 0).all()


@pytest.mark.parametrize("alpha", ["bicubic", "network"])
def test_edges_with_16_bits_have_no_fringe(net: EncoderDecoder, alpha: Mode) -> None:
    upscaler = Upscaler(net, alpha=alpha)
    opaque, cut = (image.astype(np.uint16) * 257 for image in cutout("gradient", "hard"))
    assert composited_error(upscaler.upscale(cut), upscaler.upscale(opaque), 65535) <= 2


@pytest.mark.parametrize("alpha", ["bicubic", "network"])
def test_edges_of_grey_images_with_alpha_have_no_fringe(net: EncoderDecoder, alpha: Mode) -> None:
    upscaler = Upscaler(net, alpha=alpha)
    opaque, cut = cutout("gradient", "antialiased")
    upscaled = upscaler.upscale(np.ascontiguousarray(cut[..., [0, 3]]))
    assert composited_error(upscaled, upscaler.upscale(opaque[..., 0])[..., None]) <= 2


@pytest.mark.parametrize("mode", ["P", "RGB", "RGBA", "LA"])
def test_edges_have_no_fringe_for_every_kind_of_transparency(net: EncoderDecoder, mode: str) -> None:
    """A transparent palette entry, a transparent colour key, and the two modes with alpha."""
    upscaler = Upscaler(net)
    opaque, cut = cutout("even", "hard")
    image = Image.fromarray(cut)
    if mode in ("P", "RGB"):
        image = Image.fromarray(np.ascontiguousarray(cut[..., :3]))
        image.info["transparency"] = (0, 0, 0)
    if mode == "P":
        indices = (cut[..., 3] > 0).astype(np.uint8)
        image = Image.frombytes("P", (SIDE, SIDE), indices.tobytes())
        image.putpalette([0, 0, 0, 200, 40, 90])
        image.info["transparency"] = 0
    image = image.convert("LA") if mode == "LA" else image
    reference = Image.fromarray(opaque).convert("L") if mode == "LA" else Image.fromarray(opaque)
    expected = np.asarray(upscaler.upscale(reference)).reshape(2 * SIDE, 2 * SIDE, -1)
    assert composited_error(np.asarray(upscaler.upscale(image)), expected) <= 2


@pytest.mark.rotating
@pytest.mark.parametrize("alpha", ["bicubic", "network"])
def test_edges_have_no_fringe_with_tiles_or_the_ensemble(net: EncoderDecoder, alpha: Mode) -> None:
    opaque, cut = cutout("gradient", "antialiased")
    for upscaler in (Upscaler(net, tile=16, alpha=alpha), Upscaler(net, ensemble="x8", alpha=alpha)):
        assert composited_error(upscaler.upscale(cut), upscaler.upscale(opaque)) <= 2
    untiled, tiled = (Upscaler(net, tile, alpha=alpha).upscale(cut) for tile in ("none", 16))
    assert np.abs(untiled.astype(int) - tiled).max() <= 1


def test_edges_of_tensors_have_no_fringe(net: EncoderDecoder) -> None:
    upscaler = Upscaler(net)
    opaque, cut = cutout("even", "hard")
    batch = torch.from_numpy(cut).movedim(-1, 0)[None] / 255
    upscaled = upscaler.upscale(batch)[0].movedim(0, -1).numpy() * 255
    assert composited_error(upscaled, upscaler.upscale(opaque)) <= 2


def test_nearly_transparent_colours_cause_no_fringe(net: EncoderDecoder) -> None:
    """Black with alpha 1/255, as division by a small alpha can produce."""
    upscaler = Upscaler(net)
    opaque, cut = cutout("even", "hard")
    cut[(cut[..., 3] == 0) & (DISTANCE < 18)] = (0, 0, 0, 1)
    assert composited_error(upscaler.upscale(cut), upscaler.upscale(opaque)) <= 2


def test_a_faint_colour_far_from_opaque_pixels_is_kept(net: EncoderDecoder) -> None:
    """Blue with alpha 5/255, at a distance from opaque red."""
    image = np.zeros((32, 32, 4), np.uint8)
    image[:, :8] = (255, 0, 0, 255)
    image[:, 20:] = (0, 0, 255, 5)
    upscaled = Upscaler(net).upscale(image)
    opaque = Upscaler(net).upscale(np.broadcast_to(np.array([0, 0, 255], np.uint8), (32, 32, 3)))
    assert np.abs(upscaled[:, 48:, :3].astype(int) - opaque[:, 48:]).max() <= 2


def test_filling_keeps_visible_colours_and_fully_transparent_images_exactly() -> None:
    colour, alpha = torch.rand(3, 9, 14), torch.zeros(1, 9, 14)
    assert torch.equal(fill_transparent(colour, alpha), colour)
    alpha[:, 2:5, 3:9] = 1
    alpha[:, 2, 3] = 16 / 255
    filled = fill_transparent(colour, alpha)
    assert torch.equal(filled[:, 2:5, 3:9], colour[:, 2:5, 3:9])
    assert (filled >= colour[:, 2:5, 3:9].amin((1, 2), keepdim=True) - 1e-6).all()
    assert (filled <= colour[:, 2:5, 3:9].amax((1, 2), keepdim=True) + 1e-6).all()


def test_filling_is_equivariant_to_rotations_and_flips() -> None:
    colour, alpha = torch.rand(3, 40, 57), (torch.rand(1, 40, 57) > 0.97).float()
    expected = fill_transparent(colour, alpha).rot90(1, (1, 2)).flip(2)
    filled_after = fill_transparent(colour.rot90(1, (1, 2)).flip(2), alpha.rot90(1, (1, 2)).flip(2))
    torch.testing.assert_close(filled_after, expected, atol=1e-5, rtol=0)


def test_pixels_far_from_visible_ones_are_filled_with_the_mean_colour() -> None:
    colour, alpha = torch.rand(3, 1, 300), torch.zeros(1, 1, 300)
    alpha[..., :5] = 1
    torch.testing.assert_close(fill_transparent(colour, alpha)[..., -1], colour[..., :5].mean(2))


def test_the_network_upscales_alpha_as_a_grey_image(net: EncoderDecoder) -> None:
    upscaler = Upscaler(net, alpha="network")
    noise = np.random.default_rng(0).integers(0, 256, (20, 21, 4), dtype=np.uint8)
    assert np.array_equal(upscaler.upscale(noise)[..., 3], upscaler.upscale(noise[..., 3]))
    assert not np.array_equal(Upscaler(net).upscale(noise)[..., 3], upscaler.upscale(noise)[..., 3])


def test_opaque_areas_stay_opaque_for_any_output_of_the_network() -> None:
    alpha = torch.ones(1, 9, 9)
    assert torch.equal(upscale_alpha(alpha, 3, lambda plane: plane * 0.5), torch.ones(1, 27, 27))
    alpha[:, :, 0] = 0
    upscaled = upscale_alpha(alpha, 2, lambda plane: torch.full((1, 18, 18), 0.5))
    assert (upscaled[:, :, 6:] == 1).all()
    assert (upscaled[:, :, :6] == 0.5).all()


def test_an_unknown_alpha_is_rejected(net: EncoderDecoder) -> None:
    with pytest.raises(ValueError, match="alpha=premultiplied: is unknown"):
        Upscaler(net, alpha="premultiplied")  # pyright: ignore[reportArgumentType]
