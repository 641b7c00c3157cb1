"""Scores of methods, networks and interpolations on every image of a data set."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from support import Compose

from upnet.config import build
from upnet.data import Folder, Store, build_store
from upnet.evaluation.scoring import (
    baseline_method,
    empty_scores,
    evaluate_method,
    evaluate_network,
    network_method,
    prepare_pair,
)
from upnet.inference.tensor import upscale_tensor
from upnet.metrics import BASELINES, EvaluationProtocol, bicubic, downscale
from upnet.models import EncoderDecoder

CPU = torch.device("cpu")


@pytest.fixture
def store(pictures: Path) -> Store:
    """Three colour images, and a grey one whose file is RGB."""
    grey = Image.open(pictures / "picture0.png").convert("L")
    grey.convert("RGB").save(pictures / "grey.png")
    return build_store(Folder(str(pictures)), 2, pictures / "cache")


@pytest.fixture
def net(compose: Compose) -> EncoderDecoder:
    torch.manual_seed(0)
    net = build(compose("model=fsrcnn").model)
    assert isinstance(net, EncoderDecoder)
    return net.eval()


def test_store_records_grey_images_and_the_source_of_lr(store: Store) -> None:
    assert dict(zip(store.names, store.grey, strict=True)) == {
        "grey": True,
        "picture0": False,
        "picture1": False,
        "picture2": False,
    }
    assert store.lr_from == "imresize"


def test_full_grey_changes_the_scores_of_grey_images_only(store: Store) -> None:
    method = baseline_method("bilinear", 2)
    scores = {}
    for grey in ("studio", "full"):
        (tally,) = evaluate_method(method, 2, CPU, {"set": store}, EvaluationProtocol(grey=grey))
        scores[grey] = {**{f"{name} network": one for name, one in tally.method.items()}, **tally.baseline}
    for index, name in enumerate(store.names):
        lr, hr = (torch.from_numpy(np.array(getattr(store, side)(index))).movedim(-1, 0) for side in ("lr", "hr"))
        assert scores["studio"][name] == EvaluationProtocol().evaluate(bicubic(lr, 2), hr, 2)
        if name == "grey":
            assert scores["full"][name] == EvaluationProtocol(grey="full").evaluate(bicubic(lr, 2), hr[:1], 2)
            difference = scores["studio"][name].psnr - scores["full"][name].psnr
            assert difference == pytest.approx(20 * np.log10(255 / 219), abs=1e-6)
    assert [key for key in scores["full"] if scores["full"][key] != scores["studio"][key]] == ["grey network", "grey"]


def test_y_float_uses_the_values_of_a_full_range_grey_image(store: Store) -> None:
    hr = torch.from_numpy(np.array(store.hr(store.names.index("grey")))).movedim(-1, 0)
    small, target = prepare_pair(torch.empty(0), hr, True, 2, EvaluationProtocol("y-float", grey="full"))
    assert torch.equal(target, hr[:1])
    assert small.shape == (1, hr.shape[1] // 2, hr.shape[2] // 2)
    torch.testing.assert_close(small, downscale(hr[:1].to(torch.float64) / 255, 2)[0], rtol=0, atol=1e-12)
    studio, studio_target = prepare_pair(torch.empty(0), hr, True, 2, EvaluationProtocol("y-float"))
    assert torch.equal(studio_target, hr)
    torch.testing.assert_close(studio, (16 + 219 * small) / 255, rtol=0, atol=0.7 / 255)


@pytest.mark.parametrize("name", BASELINES)
@pytest.mark.parametrize("protocol", [EvaluationProtocol(), EvaluationProtocol("y-float")])
def test_baseline_is_scored_together_with_bicubic(name: str, protocol: EvaluationProtocol, store: Store) -> None:
    (tally,) = evaluate_method(baseline_method(name, 2), 2, CPU, {"set": store}, protocol)
    network, baseline = tally.means()
    if name == "bicubic":
        assert network == baseline
    else:
        assert network.psnr != baseline.psnr
    assert list(tally.method) == store.names


def test_tiling_keeps_the_network_output_and_ensemble_averages_flips_and_rotations(net: EncoderDecoder) -> None:
    small = torch.randint(0, 256, (3, 24, 20), dtype=torch.uint8)
    expected = network_method(net)(small)
    assert torch.equal(expected, upscale_tensor(net, small / 255))
    torch.testing.assert_close(network_method(net, tile=16)(small), expected, rtol=0, atol=1e-5)
    ensemble = network_method(net, ensemble="x8")
    torch.testing.assert_close(ensemble(small.flip(2)).flip(2), ensemble(small), rtol=0, atol=1e-5)
    assert (ensemble(small) - expected).abs().max() > 1e-4


def test_image_hash_depends_on_the_protocol(store: Store) -> None:
    tallies = [
        empty_scores("set", store, protocol) for protocol in (EvaluationProtocol(), EvaluationProtocol("y-float"))
    ]
    assert tallies[0].image_hash == store.digest
    assert tallies[1].image_hash not in ("", store.digest)
    assert [tally.lr_from for tally in tallies] == ["imresize", "imresize"]


def test_network_with_three_channels_is_rejected_under_y_float(net: EncoderDecoder, store: Store, compose) -> None:
    colour = build(compose("model=edsr", "model.encoder.width=4", "model.encoder.depth=0").model)
    with pytest.raises(ValueError, match=r"protocol=y-float: the network has model\.channels=3"):
        list(evaluate_network(colour, {"set": store}, EvaluationProtocol("y-float")))


def test_perceptual_metrics_are_stored_with_psnr(store: Store) -> None:
    from upnet.metrics.perceptual import PerceptualMetric

    class Share(PerceptualMetric):
        """The share of values that differ."""

        name = "share"
        smallest = 1

        def __init__(self) -> None:
            self.device = CPU

        def build_network(self) -> torch.nn.Module:
            return torch.nn.Identity()

        def distance(self, output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
            return (output != target).float().mean()

    (tally,) = evaluate_method(
        baseline_method("nearest", 2), 2, CPU, {"set": store}, EvaluationProtocol(), perceptual=[Share()]
    )
    plain = tally.to_dict()
    assert 0 < plain["share"] <= 1
    assert 0 < plain["baseline"]["share"] <= 1
    assert all("share" in image and "share" in image["baseline"] for image in plain["images"].values())
