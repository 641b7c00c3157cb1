"""`upnet evaluate baseline=…`: results, tables, perceptual metrics, and settings that are rejected."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from omegaconf import DictConfig
from PIL import Image
from support import IMAGES

from upnet.cli.evaluate import evaluate_baseline
from upnet.config import ConfigError
from upnet.metrics.perceptual import LPIPS, base
from upnet.utils.allocator import INFERENCE_KERNELS
from upnet.utils.errors import UserError

Config = Callable[..., DictConfig]
Results = Callable[..., dict[str, Any]]


@pytest.mark.parametrize("protocol", ["rgb8", "y-float"])
def test_a_baseline_is_evaluated_without_a_checkpoint(
    protocol: str, evaluate_config: Config, results: Results, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    evaluate_baseline(evaluate_config("baseline=lanczos", "scale=3", f"protocol={protocol}", "protocol.crop=4"))
    found = results()
    assert found["method"] == {"kind": "baseline", "name": "lanczos", "precision": "float64"}
    assert (found["protocol"]["name"], found["protocol"]["crop"], found["protocol"]["scale"]) == (protocol, 4, 3)
    assert set(found["datasets"]["pictures"]["images"]) == {"picture0", "picture1", "picture2"}
    assert len((tmp_path / "evaluation/results.csv").read_text().splitlines()) == 4
    printed = capsys.readouterr().out
    assert f"×3, {protocol}, channel y, crop 4" in printed
    assert f"{found['datasets']['pictures']['psnr']:.2f}" in printed


@pytest.mark.parametrize(
    ("scale", "protocol", "published"),
    [
        (2, "y-float", "33.66/0.9299"),
        (3, "y-float", "30.39/0.8682"),
        (4, "y-float", "28.42/0.8104"),
        (2, "rgb8", "33.68/0.9304"),
    ],
)
def test_bicubic_on_set5_has_its_published_psnr_and_ssim(
    scale: int, protocol: str, published: str, evaluate_config: Config, results: Results, tmp_path: Path
) -> None:
    if not (IMAGES / "Set5").is_dir():
        pytest.skip("Set5 is not in ../shared/images")
    config = evaluate_config(
        "data=folder", "data.root=SET5", "baseline=bicubic", f"scale={scale}", f"protocol={protocol}"
    )
    config.data.root, config.data.cache_dir = str(IMAGES / "Set5"), str(tmp_path / "cache")
    evaluate_baseline(config)
    found = results()["datasets"]["Set5"]
    assert f"{found['psnr']:.2f}/{found['ssim']:.4f}" == published
    assert found["lr_from"] == ("imresize" if protocol == "y-float" else "files")


def test_lr_sizes_that_are_rounded_up_are_accepted_on_request_and_mentioned(
    evaluate_config: Config, results: Results, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(0)
    for folder, size in (("HR", (63, 61)), ("LR", (32, 31))):
        (tmp_path / "odd" / folder).mkdir(parents=True)
        Image.fromarray(rng.integers(0, 256, (*size, 3), np.uint8)).save(tmp_path / "odd" / folder / "a.png")
    words = ("data=folder", f"data.root={tmp_path}/odd", f"data.cache_dir={tmp_path}/cache", "baseline=bicubic")
    with pytest.raises(UserError) as caught:
        evaluate_baseline(evaluate_config(*words))
    assert "data.lr_rounded_up=true to accept LR sizes that are rounded up" in caught.value.cure
    evaluate_baseline(evaluate_config(*words, "data.lr_rounded_up=true"))
    assert results()["datasets"]["odd"]["lr_from"] == "files, rounded up"
    printed = " ".join(capsys.readouterr().out.split())
    assert "LR from files (LR sizes rounded up: LR and HR cropped to whole LR pixels)" in printed


def test_a_perceptual_metric_is_in_tables_and_files(
    evaluate_config: Config,
    results: Results,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(base, "cached_weights", lambda url, name: Path("weights-1234.pth"))
    monkeypatch.setattr(base, "check_weights", lambda path, name: "1234")
    monkeypatch.setattr(LPIPS, "build_network", lambda self: torch.nn.Identity())
    monkeypatch.setattr(LPIPS, "distance", lambda self, output, target: (output - target).abs().mean())
    evaluate_baseline(evaluate_config("baseline=nearest", "perceptual=[lpips]"))
    found = results()
    assert "1234" in found["measures"]["lpips"]["weights"]
    assert all(0 < image["lpips"] < 1 for image in found["datasets"]["pictures"]["images"].values())
    assert "lpips_weights" in (tmp_path / "evaluation/results.csv").read_text().splitlines()[0]
    assert "nearest LPIPS" in capsys.readouterr().out


def test_output_images_are_saved_on_request(evaluate_config: Config, tmp_path: Path) -> None:
    evaluate_baseline(evaluate_config("baseline=nearest", "save_images=true", "protocol=y-float"))
    saved = sorted(path.name for path in (tmp_path / "evaluation/images/pictures").iterdir())
    assert saved == ["picture0.png", "picture1.png", "picture2.png"]


@pytest.mark.parametrize(
    ("words", "setting", "problem"),
    [
        (["perceptual=niqe"], "perceptual", "is not a perceptual metric"),
        (["perceptual=lpips", "protocol=y-float"], "perceptual", "need colour images"),
        (["device=tpu"], "device", "unknown device"),
        (["protocol.channel=rgb", "protocol=y-float"], "protocol.channel", "y-float evaluates the Y plane only"),
    ],
)
def test_invalid_settings_are_rejected_before_anything_is_written(
    words: list[str], setting: str, problem: str, evaluate_config: Config, tmp_path: Path
) -> None:
    config = evaluate_config("baseline=nearest", *words)
    with pytest.raises(UserError, match=problem) as caught:
        evaluate_baseline(config)
    assert caught.value.setting == setting
    assert not (tmp_path / "evaluation").exists()


def test_the_cache_of_kernels_is_limited(evaluate_config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ONEDNN_PRIMITIVE_CACHE_CAPACITY", raising=False)
    with pytest.raises(UserError, match="device"):
        evaluate_baseline(evaluate_config("baseline=nearest", "device=tpu"))
    assert os.environ["ONEDNN_PRIMITIVE_CACHE_CAPACITY"] == str(INFERENCE_KERNELS)


def test_an_unknown_interpolation_is_rejected(evaluate_config: Config) -> None:
    with pytest.raises(ConfigError) as caught:
        evaluate_config("baseline=cubic")
    assert (caught.value.setting, caught.value.value) == ("baseline", "cubic")


def test_evaluation_has_no_training_images_and_no_seed(evaluate_config: Config) -> None:
    config = evaluate_config("baseline=nearest", "data=builtin")
    assert config.data.train is None
    assert "seed" not in config
    assert "seed" not in config.data
