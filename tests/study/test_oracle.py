"""The closed-form fit of linear operators recovers known weights and reproduces published scores."""

import json
from collections.abc import Callable
from functools import cache, partial
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from support import ROOT
from torch import Tensor
from torch.nn.utils.convert_parameters import parameters_to_vector, vector_to_parameters

from upnet.cli.main import main as upnet
from upnet.metrics import EvaluationProtocol
from upnet.study.oracle.experiment import FittedOperator, OracleSettings, fit, run_oracle, upsample_channels
from upnet.study.oracle.moments import Moments
from upnet.study.oracle.structures import RADIUS, STRUCTURES, Structure, measure_response
from upnet.upsample import BedOfNails, Bilinear, PixelShuffle, ResizeConv, Transposed, Upsampler

IMAGES = ROOT.parent / "shared/images"

BY_NAME = {structure.name: structure for structure in STRUCTURES}

OPERATORS = {
    "transposed k4 s2": partial(Transposed, scale=2, kernel_size=4),
    "transposed k5 s3, asymmetric padding": partial(Transposed, scale=3, kernel_size=5),
    "transposed k3 s2, half-pixel shift": partial(Transposed, scale=2, kernel_size=3),
    "conv3 + pixel shuffle s3": partial(PixelShuffle, scale=3, kernel_size=3),
    "conv9 + pixel shuffle s2": partial(PixelShuffle, scale=2, kernel_size=9),
    "bilinear + conv3 s2": partial(ResizeConv, scale=2, fixed=Bilinear),
    "bed of nails + conv5 s2": partial(ResizeConv, scale=2, fixed=BedOfNails, kernel_size=5),
}


@pytest.fixture(params=OPERATORS)
def operator(request: pytest.FixtureRequest) -> Upsampler:
    """An operator of one channel in float64 with random weights and no bias."""
    torch.manual_seed(0)
    operator = OPERATORS[request.param](channels=1).double()
    for name, parameter in operator.named_parameters():
        torch.nn.init.zeros_(parameter) if name.endswith("bias") else torch.nn.init.normal_(parameter)
    return operator


def noise(height: int = 30, width: int = 34) -> Tensor:
    return torch.rand(1, height, width, dtype=torch.float64)


@cache
def smooth_moments(scale: int) -> Moments:
    """The moments of images that no linear operator can restore: LR is the box average of HR."""
    torch.manual_seed(1)
    moments = Moments(scale)
    for _ in range(2):
        fine = torch.nn.functional.avg_pool2d(noise(scale * 40 + 4, scale * 44 + 4), 5, stride=1)
        moments.add(torch.nn.functional.avg_pool2d(fine, scale)[0], fine[0])
    return moments


@cache
def fitted(name: str, scale: int) -> FittedOperator:
    return fit(BY_NAME[name], smooth_moments(scale))


def interior(image: Tensor, scale: int) -> Tensor:
    edge = scale * RADIUS
    return image[..., edge:-edge, edge:-edge]


def test_measured_kernels_reproduce_the_operator_on_any_image(operator: Upsampler) -> None:
    scale = int(operator.scale)
    lr = noise()
    response = measure_response(operator)
    kernels = response.kernels(parameters_to_vector(operator.parameters()).detach())
    patches = torch.nn.functional.unfold(lr[None], 2 * RADIUS + 1)[0]
    phases = (kernels @ patches).unflatten(1, (lr.shape[1] - 2 * RADIUS, -1))
    expected = interior(upsample_channels(operator, lr), scale)
    torch.testing.assert_close(torch.nn.functional.pixel_shuffle(phases, scale), expected, rtol=0, atol=1e-12)


def test_weights_are_recovered_from_noiseless_images(operator: Upsampler) -> None:
    truth = parameters_to_vector(operator.parameters()).detach()
    moments = Moments(int(operator.scale))
    for _ in range(2):
        lr = noise()
        moments.add(lr[0], upsample_channels(operator, lr)[0])
    found = fit(Structure("same", lambda channels, scale: operator), moments)
    torch.testing.assert_close(parameters_to_vector(operator.parameters()).detach(), truth, rtol=0, atol=1e-8)
    assert found.train_psnr > 120


def test_fit_equals_least_squares_over_explicit_forward_passes(operator: Upsampler) -> None:
    scale, count = int(operator.scale), sum(parameter.numel() for parameter in operator.parameters())
    lr = noise(16, 18)
    hr = noise(scale * 16, scale * 18)
    columns = []
    for unit in torch.eye(count, dtype=torch.float64):
        vector_to_parameters(unit, operator.parameters())
        columns.append(
            interior(
                upsample_channels(operator, lr) - upsample_channels(operator, torch.zeros_like(lr)), scale
            ).flatten()
        )
    matrix = torch.stack(columns, dim=1)
    direct = torch.linalg.lstsq(matrix, interior(hr, scale).flatten(), driver="gelsd").solution
    moments = Moments(scale)
    moments.add(lr[0], hr[0])
    found = moments.solve(measure_response(operator))
    best, residual = (matrix @ solution - interior(hr, scale).flatten() for solution in (direct, found))
    assert float(residual.square().sum()) == pytest.approx(float(best.square().sum()), rel=1e-9)
    assert moments.mse(measure_response(operator).kernels(found)) == pytest.approx(
        float(best.square().mean()), rel=1e-9
    )


@pytest.mark.parametrize("scale", [2, 3])
@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("transposed, k = 3s", "conv3 + pixel shuffle"),
        ("transposed, k = s", "conv1 + pixel shuffle"),
    ],
)
def test_structures_of_equal_support_have_the_same_optimum(one: str, other: str, scale: int) -> None:
    first, second = fitted(one, scale), fitted(other, scale)
    lr = noise()
    expected = interior(upsample_channels(first.operator, lr), scale)
    torch.testing.assert_close(interior(upsample_channels(second.operator, lr), scale), expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize(
    "chain",
    [
        ["nearest", "conv1 + pixel shuffle", "conv3 + pixel shuffle", "conv5 + pixel shuffle", "conv9 + pixel shuffle"],
        ["nearest", "nearest + conv3", "nearest + conv5", "conv5 + pixel shuffle"],
        ["transposed, k = s", "transposed, k = ⌈3s/2⌉", "transposed, k = 2s", "transposed, k = 3s"],
        ["bilinear", "bilinear + conv3", "conv5 + pixel shuffle"],
        ["bicubic, a = −0.5", "bicubic, a = −0.5, + conv3", "conv9 + pixel shuffle"],
    ],
    ids=lambda chain: chain[-2],
)
def test_larger_support_does_not_lower_the_training_score(chain: list[str], scale: int) -> None:
    scores = [fitted(name, scale).train_psnr for name in chain]
    for smaller, larger in pairwise(scores):
        assert larger >= smaller - 1e-9


@pytest.mark.parametrize(
    ("name", "scale", "taps", "weights"),
    [
        ("nearest", 3, (1, 1), 0),
        ("bilinear", 2, (4, 4), 0),
        ("bilinear", 3, (1, 4), 0),
        ("bicubic, a = −0.5", 2, (16, 16), 0),
        ("transposed, k = ⌈3s/2⌉", 2, (1, 4), 9),
        ("transposed, k = 2s", 2, (4, 4), 16),
        ("nearest + conv3", 2, (4, 4), 9),
        ("nearest + conv5", 2, (9, 9), 25),
        ("conv3 + pixel shuffle", 4, (9, 9), 144),
        ("conv5 + pixel shuffle", 2, (25, 25), 100),
    ],
)
def test_taps_and_weights_are_counted(name: str, scale: int, taps: tuple[int, int], weights: int) -> None:
    response = measure_response(BY_NAME[name].build_operator(scale))
    assert response.tap_counts() == taps
    assert response.weight_count() == weights


def test_phases_without_shared_weights_are_solved_separately() -> None:
    shuffled = measure_response(BY_NAME["conv3 + pixel shuffle"].build_operator(2)).blocks()
    assert [len(phases) for phases, _ in shuffled] == [1, 1, 1, 1]
    assert sorted(member for _, members in shuffled for member in members) == list(range(36))
    resized = measure_response(BY_NAME["bilinear + conv3"].build_operator(2)).blocks()
    assert resized == [([0, 1, 2, 3], list(range(9)))]


def test_measuring_does_not_change_the_weights(operator: Upsampler) -> None:
    before = parameters_to_vector(operator.parameters()).clone()
    measure_response(operator)
    assert torch.equal(parameters_to_vector(operator.parameters()), before)


@pytest.mark.parametrize("name", ["nearest", "bilinear", "bicubic, a = −0.5"])
def test_interpolations_replicate_the_border(name: str) -> None:
    operator, lr = BY_NAME[name].build_operator(3), noise()
    torch.testing.assert_close(
        upsample_channels(operator, lr, margin=RADIUS), upsample_channels(operator, lr), rtol=0, atol=1e-12
    )


def test_operator_with_a_too_large_support_is_rejected() -> None:
    with pytest.raises(ValueError, match="more than 4 away"):
        measure_response(PixelShuffle(1, 2, kernel_size=11).double())


def test_images_too_small_for_a_fit_are_rejected() -> None:
    moments = Moments(2)
    moments.add(noise(8, 40)[0], noise(16, 80)[0])
    with pytest.raises(ValueError, match="smaller than 18×18 pixels"):
        fit(BY_NAME["transposed, k = 2s"], moments)


@pytest.fixture
def command(tmp_path: Path, pictures: Path) -> Callable[..., int]:
    """`python -m upnet.study oracle` on three small images: command("--scale", "2")."""
    folders = ["--train", str(pictures), "--test", str(pictures), "--cache-dir", str(tmp_path / "cache")]
    return lambda *words: upnet(["study", "oracle", *folders, *words])


def test_command_prints_and_writes_the_table(
    command: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, page = tmp_path / "oracle.json", tmp_path / "oracle.md"
    assert command("--scale", "3", "2", "--images", "2", "--json", str(data), "--markdown", str(page)) == 0
    content = json.loads(data.read_text(encoding="utf-8"))
    assert list(content["scales"]) == ["2", "3"]
    two = content["scales"]["2"]
    assert two["trained_on"] == 2
    assert two["protocol"]["crop"] == 2
    best = max(row["tests"]["pictures"]["psnr"] for row in two["structures"])
    printed = capsys.readouterr().out
    for text in (printed, page.read_text(encoding="utf-8")):
        assert f"{best:.2f}" in text
        assert all(structure.name in text for structure in STRUCTURES)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--train", "nowhere"], "there is no folder nowhere"),
        (["--json", "nowhere/oracle.json"], "there is no folder nowhere"),
        (["--markdown", "."], "is a folder"),
        (["--images", "0"], "at least 1"),
        (["--scale", "9"], "invalid choice: 9"),
    ],
)
def test_invalid_arguments_are_one_line_and_exit_code_2(
    words: list[str], message: str, study_error: Callable[..., str]
) -> None:
    assert message in study_error("oracle", *words)


def test_interrupted_command_writes_nothing_and_exits_with_130(
    command: Callable[..., int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(settings: OracleSettings, scale: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("upnet.study.oracle.experiment.run_oracle", interrupt)
    assert command("--json", str(tmp_path / "oracle.json")) == 130
    assert not (tmp_path / "oracle.json").exists()


@pytest.mark.full
@pytest.mark.skipif(not (IMAGES / "BSDS399").is_dir(), reason="needs the photographs of ../shared/images")
def test_set5_scores_at_scale_2_equal_the_published_table(tmp_path: Path) -> None:
    """The operators are fitted on 20 photographs of BSDS500."""
    photographs = tmp_path / "BSDS20"
    photographs.mkdir()
    for path in sorted((IMAGES / "BSDS399/HR").iterdir())[::20]:
        (photographs / path.name).symlink_to(path)
    settings = OracleSettings(
        EvaluationProtocol("y-float"), [str(photographs)], [str(IMAGES / "Set5")], cache=tmp_path / "cache"
    )
    scores = {row["structure"]: row["tests"]["Set5"]["psnr"] for row in run_oracle(settings, 2)["structures"]}
    expected = {
        "nearest": 30.84,
        "bilinear": 32.23,
        "bicubic, a = −0.5": 33.65,
        "bicubic, a = −0.75": 33.94,
        "transposed, k = s": 30.84,
        "conv1 + pixel shuffle": 30.84,
        "transposed, k = ⌈3s/2⌉": 31.52,
        "transposed, k = 2s": 32.25,
        "nearest + conv3": 32.25,
        "nearest + conv5": 34.26,
        "bilinear + conv3": 34.02,
        "bicubic, a = −0.5, + conv3": 34.26,
        "transposed, k = 3s": 34.26,
        "conv3 + pixel shuffle": 34.26,
        "conv5 + pixel shuffle": 35.00,
        "conv9 + pixel shuffle": 35.24,
    }
    assert scores == pytest.approx(expected, abs=0.05)
