"""Both protocols against a second implementation in NumPy and scikit-image, and against published scores."""

import math
from fractions import Fraction
from pathlib import Path
from typing import cast

import numpy as np
import pytest
import torch
from PIL import Image
from skimage.metrics import structural_similarity
from support import ROOT
from torch import Tensor

from upnet.imaging.imresize import imresize
from upnet.metrics import EvaluationProtocol, bicubic, downscale, mean, psnr

IMAGES = ROOT.parent / "shared/images"


def photograph(height: int = 48, width: int = 40, channels: int = 3, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, channels, 7, 7, generator=generator)
    smooth = torch.nn.functional.interpolate(coarse, (height, width), mode="bilinear")[0]
    noise = 0.1 * torch.randn(channels, height, width, generator=generator)
    return (255 * (smooth + noise)).round().clamp(0, 255).to(torch.uint8)


def add_noise(target: Tensor, amount: float = 0.05) -> Tensor:
    noise = torch.randn(target.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return target / 255 + amount * noise


def numpy_scores(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    decibels = 10 * math.log10(255.0**2 / np.mean((x - y) ** 2))
    similarity = structural_similarity(
        x, y, data_range=255.0, channel_axis=0, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    )
    return decibels, cast(float, similarity)


def luma(rgb: np.ndarray) -> np.ndarray:
    rgb = rgb.astype(np.float64) / 255
    return (65.481 * rgb[0] + 128.553 * rgb[1] + 24.966 * rgb[2] + 16)[None]


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("channel", ["y", "rgb"])
def test_rgb8_equals_its_definition(channel, scale: int) -> None:
    target = photograph()
    output = add_noise(target)
    rounded = np.rint(output.clamp(0, 1).numpy() * 255)
    x, y = rounded[:, scale:-scale, scale:-scale], target.numpy()[:, scale:-scale, scale:-scale].astype(np.float64)
    expected = numpy_scores(luma(x), luma(y)) if channel == "y" else numpy_scores(x, y)
    score = EvaluationProtocol(channel=channel).evaluate(output, target, scale)
    assert (score.psnr, score.ssim) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("colour", [False, True])
def test_y_float_equals_its_definition(colour: bool) -> None:
    target = photograph()
    output = add_noise(target)
    plane = luma(output.numpy() * 255)
    x = np.rint(plane).clip(0, 255)[:, 2:-2, 2:-2]
    y = np.rint(luma(target.numpy()))[:, 2:-2, 2:-2]
    score = EvaluationProtocol("y-float").evaluate(output if colour else torch.from_numpy(plane / 255), target, 2)
    assert (score.psnr, score.ssim) == pytest.approx(numpy_scores(x, y), abs=1e-9)


def test_protocols_give_different_scores() -> None:
    target = photograph()
    output = add_noise(target)
    assert (
        abs(
            EvaluationProtocol().evaluate(output, target, 2).psnr
            - EvaluationProtocol("y-float").evaluate(output, target, 2).psnr
        )
        > 1e-3
    )


def test_output_is_clamped_and_rounded_once() -> None:
    target = photograph()
    output = add_noise(target, 0.3)
    rounded = (output.clamp(0, 1) * 255).round() / 255
    assert EvaluationProtocol().evaluate(output, target, 2) == EvaluationProtocol().evaluate(rounded, target, 2)


@pytest.mark.parametrize(("crop", "margin"), [(None, 3), (0, 0), (7, 7)])
def test_cropped_pixels_do_not_affect_the_score(crop: int | None, margin: int) -> None:
    target = photograph()
    output = add_noise(target)
    changed = torch.rand(output.shape, dtype=output.dtype)
    height, width = target.shape[1:]
    inner = (slice(None), slice(margin, height - margin), slice(margin, width - margin))
    changed[inner] = output[inner]
    protocol = EvaluationProtocol(crop=crop)
    assert protocol.evaluate(changed, target, 3) == protocol.evaluate(output, target, 3)
    if margin:
        worse = changed.clone()
        worse[:, margin, margin] += 0.5
        assert protocol.evaluate(worse, target, 3) != protocol.evaluate(output, target, 3)


@pytest.mark.parametrize(
    "protocol",
    [
        EvaluationProtocol(),
        EvaluationProtocol(channel="rgb"),
        EvaluationProtocol("y-float"),
        EvaluationProtocol(grey="full"),
    ],
)
@pytest.mark.parametrize("channels", [1, 3])
def test_output_equal_to_the_target_scores_infinity_and_one(protocol: EvaluationProtocol, channels: int) -> None:
    target = photograph(channels=channels)
    output = target / 255
    if protocol.name == "y-float" and channels == 1:
        output = (16 + 219 * output) / 255
    score = protocol.evaluate(output, target, 2)
    assert (score.psnr, score.ssim) == (math.inf, 1.0)


def test_grey_conventions_differ_by_1_32_decibels() -> None:
    target = photograph(channels=1)
    output = add_noise(target)
    studio, full = (EvaluationProtocol(grey=grey).evaluate(output, target, 2).psnr for grey in ("studio", "full"))
    assert studio - full == pytest.approx(20 * math.log10(255 / 219), abs=1e-9)


@pytest.mark.parametrize("name", ["rgb8", "y-float"])
def test_studio_grey_image_scores_like_the_equal_colour_image(name) -> None:
    target = photograph(channels=1)
    output = add_noise(target).expand(3, -1, -1)
    protocol = EvaluationProtocol(name)
    as_colour = protocol.evaluate(output, target.expand(3, -1, -1), 2)
    score = protocol.evaluate(output, target, 2)
    assert (score.psnr, score.ssim) == pytest.approx((as_colour.psnr, as_colour.ssim), abs=1e-12)


@pytest.mark.parametrize("name", ["rgb8", "y-float"])
def test_full_range_grey_image_is_scored_by_its_values(name) -> None:
    target = photograph(channels=1)
    output = add_noise(target)
    expected = numpy_scores(
        np.rint(output.numpy() * 255).clip(0, 255)[:, 2:-2, 2:-2], target.numpy()[:, 2:-2, 2:-2].astype(np.float64)
    )
    score = EvaluationProtocol(name, grey="full").evaluate(output, target, 2)
    assert (score.psnr, score.ssim) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_rgb8_downscales_the_cropped_image_as_uint8(scale: int) -> None:
    hr = photograph(49, 43)
    lr, cut = EvaluationProtocol(border="replicate").degrade(hr, scale)
    assert torch.equal(cut, hr[:, : 49 // scale * scale, : 43 // scale * scale])
    assert lr.dtype == torch.uint8
    assert torch.equal(lr, imresize(cut, Fraction(1, scale), "replicate"))


@pytest.mark.parametrize("channels", [1, 3])
def test_y_float_downscales_the_rounded_plane_without_rounding_again(channels: int) -> None:
    hr = photograph(49, 43, channels)
    lr, cut = EvaluationProtocol("y-float").degrade(hr, 2)
    plane = np.rint(luma(cut.numpy().repeat(4 - channels, axis=0)[:3]))
    expected = imresize(plane[0], 0.5) / 255
    np.testing.assert_allclose(lr[0].numpy(), expected, rtol=0, atol=1e-14)
    assert (lr * 255 != (lr * 255).round()).any()


def test_bicubic_equals_imresize_without_rounding_or_clamping() -> None:
    lr = torch.randint(0, 2, (3, 9, 8), dtype=torch.uint8) * 255
    enlarged = bicubic(lr, 3)
    torch.testing.assert_close(enlarged, imresize(lr.to(torch.float64) / 255, 3), rtol=0, atol=1e-14)
    assert enlarged.min() < 0
    assert enlarged.max() > 1
    torch.testing.assert_close(bicubic(lr / 255, 3), enlarged, rtol=0, atol=1e-6)


def test_downscaling_a_bicubic_enlargement_approximately_restores_the_image() -> None:
    lr = photograph(20, 24)
    restored, _ = downscale(bicubic(lr, 4), 4)
    assert psnr(restored * 255, lr) > 25


def load(file: Path) -> Tensor:
    array = np.array(Image.open(file))
    return torch.from_numpy(array).reshape(*array.shape[:2], -1).permute(2, 0, 1)


def hr_files(name: str) -> list[Path]:
    files = sorted((IMAGES / name / "HR").glob("*.png"))
    if not files:
        pytest.skip(f"{name} is not in ../shared/images")
    return files


@pytest.mark.rotating
@pytest.mark.parametrize(("scale", "expected"), [(2, "33.66/0.9299"), (3, "30.39/0.8682"), (4, "28.42/0.8104")])
def test_bicubic_scores_on_set5_under_y_float_equal_the_published_table(scale: int, expected: str) -> None:
    protocol = EvaluationProtocol("y-float")
    scores = []
    for file in hr_files("Set5"):
        lr, hr = protocol.degrade(load(file), scale)
        scores.append(protocol.evaluate(bicubic(lr, scale), hr, scale))
    result = mean(scores)
    assert f"{result.psnr:.2f}/{result.ssim:.4f}" == expected


@pytest.mark.rotating
@pytest.mark.parametrize(
    ("name", "scale", "expected"),
    [
        ("Set5", 2, "33.68/0.9304"),
        ("Set5", 3, "30.41/0.8690"),
        ("Set5", 4, "28.43/0.8113"),
        ("Set14", 2, "30.33/0.8700"),
        ("Set14", 3, "27.63/0.7760"),
        ("Set14", 4, "26.09/0.7049"),
    ],
)
def test_bicubic_scores_of_the_published_lr_images_under_rgb8(name: str, scale: int, expected: str) -> None:
    scores = []
    for file in hr_files(name):
        lr = load(IMAGES / name / "LR_bicubic" / f"X{scale}" / f"{file.stem}x{scale}.png")
        hr = load(file)[:, : scale * lr.shape[1], : scale * lr.shape[2]]
        scores.append(EvaluationProtocol().evaluate(bicubic(lr, scale), hr, scale))
    result = mean(scores)
    assert f"{result.psnr:.2f}/{result.ssim:.4f}" == expected


def test_description_is_plain_data_and_differs_between_protocols() -> None:
    protocols = [
        EvaluationProtocol(),
        EvaluationProtocol(channel="rgb"),
        EvaluationProtocol("y-float"),
        EvaluationProtocol(crop=0),
        EvaluationProtocol(grey="full"),
    ]
    protocols.append(EvaluationProtocol(border="replicate"))
    descriptions = [protocol.describe(2) for protocol in protocols]
    assert all(isinstance(value, (str, int)) for description in descriptions for value in description.values())
    assert len({str(description) for description in descriptions}) == len(protocols)
    assert EvaluationProtocol().describe(4)["crop"] == 4


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"name": "rgb"}, "protocol.name=rgb: is unknown. Allowed: rgb8 or y-float"),
        ({"channel": "Y"}, "protocol.channel=Y: is unknown. Allowed: y or rgb"),
        ({"grey": "none"}, "protocol.grey=none: .*studio or full"),
        ({"border": "zero"}, "protocol.border=zero: .*symmetric or replicate"),
        ({"crop": -1}, "protocol.crop=-1: is not a number of pixels. Allowed: integers of at least 0"),
        ({"crop": 1.5}, "crop=1.5: is not"),
        ({"crop": True}, "crop=true: is not"),
        (
            {"name": "y-float", "channel": "rgb"},
            "protocol.channel=rgb: the protocol y-float evaluates the Y plane only",
        ),
    ],
)
def test_invalid_protocol_settings_are_rejected(settings, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        EvaluationProtocol(**settings)


@pytest.mark.parametrize(
    ("output", "target", "message"),
    [
        (torch.zeros(3, 20, 20), torch.zeros(3, 20, 20), "target must be uint8; got torch"),
        (torch.zeros(3, 20, 20), torch.zeros(20, 20).byte(), r"target must be \(3, H, W\).*got \(20, 20\)"),
        (torch.zeros(3, 20, 20).byte(), torch.zeros(3, 20, 20).byte(), "output must be floating point"),
        (torch.zeros(3, 20, 21), torch.zeros(3, 20, 20).byte(), r"\(3 or 1, 20, 20\).*got \(3, 20, 21\)"),
        (torch.zeros(1, 3, 20, 20), torch.zeros(3, 20, 20).byte(), r"got \(1, 3, 20, 20\)"),
        (torch.zeros(1, 20, 20), torch.zeros(3, 20, 20).byte(), "rgb8 needs an RGB output"),
        (torch.full((3, 20, 20), math.nan), torch.zeros(3, 20, 20).byte(), "contains NaN"),
        (
            torch.zeros(3, 14, 20),
            torch.zeros(3, 14, 20).byte(),
            "protocol.crop=2: an image has 14x20 pixels, of which the crop leaves less than SSIM.s 11x11",
        ),
    ],
)
def test_invalid_images_are_rejected(output: Tensor, target: Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        EvaluationProtocol().evaluate(output, target, 2)


def test_invalid_images_cannot_be_degraded() -> None:
    with pytest.raises(ValueError, match="2x9 pixels is smaller than one LR pixel at scale 3"):
        EvaluationProtocol().degrade(torch.zeros(3, 2, 9, dtype=torch.uint8), 3)
    with pytest.raises(ValueError, match="must be uint8"):
        EvaluationProtocol().degrade(torch.zeros(3, 20, 20), 2)
    with pytest.raises(ValueError, match="got torch"):
        bicubic(torch.zeros(3, 4, 4, dtype=torch.int32), 2)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
@pytest.mark.parametrize(
    "protocol", [EvaluationProtocol(), EvaluationProtocol(channel="rgb"), EvaluationProtocol("y-float")]
)
def test_gpu_equals_cpu(protocol: EvaluationProtocol) -> None:
    target = photograph(131, 97)
    output = add_noise(target)
    on_gpu, on_cpu = protocol.evaluate(output.cuda(), target, 2), protocol.evaluate(output, target, 2)
    assert (on_gpu.psnr, on_gpu.ssim) == pytest.approx((on_cpu.psnr, on_cpu.ssim), abs=1e-9)
