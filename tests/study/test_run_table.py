"""The table of runs: runs that differ only in the seed form one arm."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf
from support import Compose

from upnet.checkpoint import describe
from upnet.config import build
from upnet.study.finished_runs import comparable_arms, read_study
from upnet.study.run_table import print_study, rows, study_content


@pytest.fixture
def run(compose: Compose, tmp_path: Path):
    """Write a finished run: run("a", seed=0, psnr=30.0, lr=0.1)."""

    def write(name: str, seed: int = 0, psnr: float = 30.0, protocol: str = "rgb8", **settings: Any) -> Path:
        config = compose("model.encoder.width=2", f"model/upsampler={settings.pop('upsampler', 'nearest')}").model
        net = build(config)
        model = OmegaConf.to_container(config, resolve=True)
        assert isinstance(model, dict)
        folder = tmp_path / "study" / name
        (folder / "config").mkdir(parents=True)
        (folder / "config/hydra.yaml").touch()
        score = {"psnr": psnr, "ssim": 0.9}
        content = {
            "schema": 1,
            "protocol": {"name": protocol, "scale": 2, "channel": "y", "crop": 2},
            "datasets": {
                "set": {
                    **score,
                    "pictures": "x",
                    "baseline": {"name": "bicubic", "psnr": 28.0, "ssim": 0.8},
                    "images": {"one": {**score, "baseline": {"psnr": 28.0, "ssim": 0.8}}},
                }
            },
            "model": model,
            "settings": {**settings, "seed": seed},
            "seed": seed,
            "parameters": sum(parameter.numel() for parameter in net.parameters()),
            "minutes": 1.0,
        }
        (folder / "results.json").write_text(json.dumps(content))
        (folder / "checkpoints").mkdir()
        state = {f"ema.net.{key}": value for key, value in net.state_dict().items()}
        plain = {str(key): value for key, value in model.items()}
        torch.save({"upnet": describe(plain, {}, 2, 1), "state_dict": state}, folder / "checkpoints/last.ckpt")
        return tmp_path / "study"

    return write


def test_seeds_of_an_arm_are_averaged_with_their_standard_deviation(run) -> None:
    run("a", seed=0, psnr=30.0)
    study = run("deep/er/b", seed=1, psnr=32.0)
    arms, unfinished = read_study(study)
    (row,) = rows(arms, "set")
    assert not unfinished
    assert row["seeds"] == 2
    assert row["psnr"] == pytest.approx(31.0)
    assert row["psnr_sd"] == pytest.approx(2**0.5)
    assert row["gain"] == pytest.approx(3.0)


def test_gain_is_the_mean_over_counted_images_and_excluded_images_are_listed(
    run, capsys: pytest.CaptureFixture[str]
) -> None:
    """Files of earlier versions, whose means exclude other images, give the same gain."""
    for name, seed in (("a", 0), ("b", 1)):
        path = run(name, seed=seed, psnr=30.0) / name / "results.json"
        content = json.loads(path.read_text())
        scores = content["datasets"]["set"]
        scores["images"]["black"] = {"psnr": 70.0, "ssim": 1.0, "baseline": {"psnr": "inf", "ssim": 1.0}}
        exact = "inf" if seed else 60.0
        scores["images"]["text"] = {"psnr": exact, "ssim": 1.0, "baseline": {"psnr": 58.0, "ssim": 0.8}}
        scores["baseline"]["psnr"] = 43.0
        path.write_text(json.dumps(content))
    arms, _ = read_study(path.parent.parent)
    (row,) = rows(arms, "set")
    assert row["psnr"] == pytest.approx((45.0 + 65.0) / 2)
    assert row["gain"] == pytest.approx(55.0 - 43.0)
    assert study_content(arms)["footings"]["1"]["left_out"] == {"set": ["black"]}
    print_study(arms, [])
    printed = " ".join(capsys.readouterr().out.split())
    assert "Left out of the means, because bicubic equals the target: black." in printed
    assert "because an output of Nearest equals the target: text." in printed


def test_runs_with_different_settings_are_arms_named_by_these_settings(run) -> None:
    run("a", psnr=30.0, lr=0.1)
    run("b", psnr=31.0, lr=0.2)
    study = run("c", psnr=32.0, lr=0.2, upsampler="bilinear")
    arms, _ = read_study(study)
    assert [arm.name for arm in arms] == ["Bilinear, lr=0.2", "Nearest, lr=0.2", "Nearest, lr=0.1"]


def test_repeated_run_is_rejected(run) -> None:
    run("a", seed=3)
    study = run("b", seed=3)
    with pytest.raises(ValueError, match="equal settings and seeds and would count twice"):
        read_study(study)


def test_runs_of_different_protocols_are_rejected(run) -> None:
    run("a", seed=0)
    study = run("b", seed=1, protocol="y-float")
    with pytest.raises(ValueError, match="differ in protocol or images"):
        read_study(study)


def test_allowed_mixed_protocols_form_separate_arms_with_markers(run, capsys: pytest.CaptureFixture[str]) -> None:
    run("a", seed=0, psnr=30.0)
    run("b", seed=1, psnr=31.0)
    study = run("c", seed=0, psnr=40.0, protocol="y-float")
    arms, _ = read_study(study, allow_mixed=True)
    assert [(arm.protocol_group, len(arm.runs)) for arm in arms] == [(0, 2), (1, 1)]
    assert comparable_arms(arms) == arms[:1]
    print_study(arms, [])
    printed = capsys.readouterr().out
    for part in ("Nearest [1]", "Nearest [2]", "rgb8", "y-float"):
        assert part in printed, part
    written = study_content(arms)
    assert {key: one["protocol"]["name"] for key, one in written["footings"].items()} == {"1": "rgb8", "2": "y-float"}
    assert [row["footing"] for row in written["datasets"]["set"]] == [1, 2]


def test_table_states_protocol_images_and_baseline(run, capsys: pytest.CaptureFixture[str]) -> None:
    arms, _ = read_study(run("a"))
    print_study(arms, [])
    printed = capsys.readouterr().out
    for part in ("×2, rgb8, channel y, crop 2", "image hash x", "over bicubic"):
        assert part in printed, part
    assert "[1]" not in printed


def test_unfinished_runs_are_listed(run, tmp_path: Path) -> None:
    study = run("a")
    (study / "b/config").mkdir(parents=True)
    (study / "b/config/hydra.yaml").touch()
    _, unfinished = read_study(study)
    assert unfinished == [study / "b"]
