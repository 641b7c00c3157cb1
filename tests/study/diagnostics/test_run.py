"""All diagnostics of a network at once, and the command that prints them."""

import json
import math
import statistics
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf
from support import Compose
from torch import Tensor

from upnet.checkpoint import describe as describe_checkpoint
from upnet.cli.main import main as upnet
from upnet.config import build
from upnet.evaluation.scoring import baseline_method
from upnet.imaging.colour import rounded_luma
from upnet.imaging.imresize import imresize
from upnet.inference.tensor import upscale_tensor
from upnet.metrics import EvaluationProtocol
from upnet.models import EncoderDecoder
from upnet.study.diagnostics import diagnostics, measure, measure_method
from upnet.study.diagnostics.phase_bias import PhaseBias
from upnet.study.diagnostics.run import as_json, format_number

Network = Callable[..., EncoderDecoder]
Pairs = Sequence[tuple[Tensor, Tensor]]

SIZE = (48, 64)
EDSR = ("model=edsr", "model.encoder.width=4", "model.block.blocks=1")


@pytest.fixture
def pairs() -> Pairs:
    """Two pairs of LR and HR images, uint8."""
    generator = torch.Generator().manual_seed(0)
    large = [torch.randint(0, 256, (3, h, w), generator=generator, dtype=torch.uint8) for h, w in ((64, 72), (80, 66))]
    return [(imresize(hr, Fraction(1, 2)), hr) for hr in large]


def test_every_diagnostic_has_a_value_and_arrays_are_lists(network: Network, pairs: Pairs) -> None:
    values = measure(network(*EDSR), pairs, size=SIZE)
    assert list(values) == list(diagnostics())
    for name, one in diagnostics().items():
        assert isinstance(values[name], float if one.scalar else list), name
    assert torch.tensor(values["impulse_response"]).shape == (2, 2, 9, 9)


def test_image_diagnostic_is_the_mean_over_images(network: Network, pairs: Pairs) -> None:
    net = network(*EDSR)
    each = [PhaseBias().compute_for_image(upscale_tensor(net, lr / 255), hr, lr, 2) for lr, hr in pairs]
    assert measure(net, pairs, only=["phase_bias"]) == {"phase_bias": pytest.approx(statistics.fmean(each))}


def test_y_float_downscales_and_compares_y_planes(network: Network, pairs: Pairs) -> None:
    net = network(*EDSR, "model.channels=1")
    (lr, hr), protocol = pairs[0], EvaluationProtocol("y-float")
    small, _ = protocol.degrade(hr, 2)
    expected = PhaseBias().compute_for_image(upscale_tensor(net, small), rounded_luma(hr) / 255, small, 2)
    found = measure(net, [(lr, hr)], protocol, only=["phase_bias"])
    assert found["phase_bias"] == pytest.approx(expected)


def test_interpolation_has_all_diagnostics_except_costs(pairs: Pairs) -> None:
    values = measure_method(baseline_method("bicubic", 2), 2, pairs)
    assert set(diagnostics()) - set(values) == {
        "activations",
        "latency_p50",
        "multiply_adds",
        "parameters",
        "peak_memory",
    }
    assert values["step_overshoot"] == pytest.approx(7.03125)
    assert values["shift_whole"] == math.inf


def test_measuring_keeps_the_network_in_training_mode(network: Network, pairs: Pairs) -> None:
    net = network(*EDSR).train()
    measure(net, pairs, only=["phase_variance", "phase_bias"])
    assert net.training


def test_invalid_images_and_protocols_are_rejected(network: Network, pairs: Pairs) -> None:
    net = network(*EDSR)
    with pytest.raises(ValueError, match="Give at least one image"):
        measure(net, [], only=["phase_bias"])
    with pytest.raises(ValueError, match=r"image 1: a spectrum needs larger images .* at scale 2 16 pixels"):
        measure(net, [(lr[:, :8, :8], hr[:, :16, :16]) for lr, hr in pairs], only=["comb_ratio"])
    with pytest.raises(ValueError, match="protocol=rgb8"):
        measure(net, pairs, EvaluationProtocol("y-float"))


@pytest.fixture
def checkpoint(compose: Compose, tmp_path: Path) -> Path:
    """A checkpoint of a network with random weights."""
    config = compose(*EDSR).model
    model = OmegaConf.to_container(config, resolve=True)
    assert isinstance(model, dict)
    state = {f"ema.net.{key}": value for key, value in build(config).state_dict().items()}
    plain = {str(key): value for key, value in model.items()}
    torch.save({"upnet": describe_checkpoint(plain, {}, 2, 1), "state_dict": state}, tmp_path / "last.ckpt")
    return tmp_path / "last.ckpt"


def test_command_prints_and_writes_values_with_units(
    checkpoint: Path, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "diagnostics.json"
    words = ["--data", str(pictures), "--json", str(output), "--size", "48x64", "--cache-dir", str(tmp_path / "cache")]
    assert upnet(["study", "diagnose", str(checkpoint), "--device", "cpu", *words]) == 0
    content = json.loads(output.read_text(encoding="utf-8"))
    assert content["data"]["pictures"] == 3
    assert content["size"] == [48, 64]
    assert list(content["diagnostics"]) == list(diagnostics())
    assert content["diagnostics"]["comb_ratio"]["unit"] == "dB"
    printed = capsys.readouterr().out
    for name, one in diagnostics().items():
        assert (one.heading in printed) == one.scalar, name
    assert f"{content['diagnostics']['lr_consistency']['value']:.4g}" in printed


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--data", "nowhere"], "there is no folder nowhere"),
        (["--json", "nowhere/told.json"], "there is no folder nowhere"),
        (["--json", "."], "is a folder"),
        (["--only", "comb_ration"], "Did you mean comb_ratio"),
        (["--size", "big"], "HEIGHTxWIDTH"),
        (["--device", "toaster"], "Allowed: auto, cpu, cuda, cuda:N or mps"),
    ],
)
def test_invalid_arguments_are_one_line_and_exit_code_2(
    checkpoint: Path, words: list[str], message: str, study_error: Callable[..., str]
) -> None:
    assert message in study_error("diagnose", str(checkpoint), *words)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.75123, "0.7512"),
        (3.14e-7, "3.1e-07"),
        (1891.2, "1891"),
        (88310.0, "88.31 k"),
        (26.5e9, "26.5 G"),
        (0.0, "0"),
        (math.inf, "inf"),
        (math.nan, "–"),
    ],
)
def test_value_is_formatted_with_four_digits(value: float, expected: str) -> None:
    assert format_number(value) == expected


def test_json_encodes_infinity_as_inf_and_nan_as_null() -> None:
    content = as_json({"shift_whole": math.inf, "step_rise": math.nan, "impulse_response": [[1.0, math.inf]]})
    assert [one["value"] for one in content.values()] == ["inf", None, [[1.0, "inf"]]]
