import json
from importlib import metadata
from pathlib import Path
from urllib.error import URLError

import pytest
import torch

from upnet.metrics.perceptual import PERCEPTUAL_METRICS, base, load_perceptual_metrics


def photograph(seed: int = 0, side: int = 72) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, 3, 9, 9, generator=generator)
    return (255 * torch.nn.functional.interpolate(coarse, (side, side), mode="bilinear")[0]).to(torch.uint8)


def test_identical_images_have_zero_distance_and_noise_increases_it(untrained: Path) -> None:
    target = photograph()
    noise = torch.randn(target.shape, generator=torch.Generator().manual_seed(1))
    slightly_noisy, noisy = ((target + amount * noise).clamp(0, 255).to(torch.uint8) for amount in (4, 40))
    for metric in load_perceptual_metrics(["lpips", "dists"]):
        assert metric(target, target.clone()) == pytest.approx(0, abs=1e-5), metric.name
        assert 1e-5 < metric(slightly_noisy, target) < metric(noisy, target), metric.name


def test_metrics_equal_those_of_torchmetrics(untrained: Path) -> None:
    from torchmetrics.functional.image.dists import deep_image_structure_and_texture_similarity
    from torchmetrics.functional.image.lpips import learned_perceptual_image_patch_similarity

    output, target = photograph(1), photograph(2)
    lpips, dists = load_perceptual_metrics(["lpips", "dists"])
    pair = output[None] / 255, target[None] / 255
    expected = deep_image_structure_and_texture_similarity(*pair).detach()
    assert lpips(output, target) == pytest.approx(
        float(learned_perceptual_image_patch_similarity(*pair, normalize=True)), rel=1e-6
    )
    assert dists(output, target) == pytest.approx(float(expected), abs=1e-6)


def test_description_is_plain_data_with_version_weights_and_paper(untrained: Path) -> None:
    for metric in load_perceptual_metrics(["lpips", "dists"]):
        description = metric.describe()
        assert json.loads(json.dumps(description)) == description
        assert metadata.version("torchmetrics") in description["implementation"]
        assert metric.weights.rsplit("/", 1)[-1] in description["weights"]
        assert "https://arxiv.org/" in description["paper"]


def test_metric_requested_twice_is_loaded_once(untrained: Path) -> None:
    assert [metric.name for metric in load_perceptual_metrics(["lpips", "lpips"])] == ["lpips"]


def test_image_too_small_for_the_network_is_rejected(untrained: Path) -> None:
    (lpips,) = load_perceptual_metrics(["lpips"])
    with pytest.raises(ValueError, match="at least 32x32 pixels after cropping; got 31x31"):
        lpips(photograph(side=31), photograph(side=31))


def test_unknown_metric_is_rejected_with_the_available_ones() -> None:
    with pytest.raises(ValueError, match=r"perceptual=niqe: is not a perceptual metric.*Allowed: lpips or dists"):
        load_perceptual_metrics(["niqe"])


@pytest.mark.parametrize("name", PERCEPTUAL_METRICS)
def test_failed_download_of_weights_raises_an_error_with_the_cure(
    name: str, hub: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(url: str, dst: str, hash_prefix: str) -> None:
        raise URLError("no route to host")

    monkeypatch.setattr(torch.hub, "download_url_to_file", unreachable)
    with pytest.raises(ValueError, match=rf"needs https://.*no route to host.*put it at {hub}"):
        load_perceptual_metrics([name])


def test_damaged_weights_are_rejected_with_the_cure(hub: Path) -> None:
    hub.mkdir(parents=True)
    (hub / "alexnet-owt-7be5be79.pth").write_bytes(b"not these")
    with pytest.raises(ValueError, match=r"is damaged or another file.*not with 7be5be79. Delete the file"):
        load_perceptual_metrics(["lpips"])


def test_weight_file_with_other_content_is_rejected(hub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.mkdir(parents=True)
    torch.save({"features.0.weight": torch.zeros(3)}, hub / "alexnet-owt-7be5be79.pth")
    monkeypatch.setattr(base, "check_weights", lambda path, name: "untrained")
    with pytest.raises(ValueError, match="doesn't contain the expected weights"):
        load_perceptual_metrics(["lpips"])


def test_missing_library_raises_an_error_with_the_cure(hub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(base.metadata, "version", missing)
    with pytest.raises(
        ValueError, match=r"needs torchmetrics, which is not installed\. Install it: pip install -e '\.\[perceptual\]'"
    ):
        load_perceptual_metrics(["dists"])
