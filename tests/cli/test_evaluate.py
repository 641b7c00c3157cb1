"""The uses of evaluate.py, without the program around them."""

import csv
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from omegaconf import DictConfig, OmegaConf, open_dict
from PIL import Image
from support import ROOT, Compose
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from upnet.checkpoint import describe
from upnet.cli import evaluate as evaluate_module
from upnet.cli import report as report_module
from upnet.cli.evaluate import evaluate_baseline, evaluate_checkpoints, export_checkpoint
from upnet.cli.report import compare_results, report_study
from upnet.config import ConfigError, build, check
from upnet.config.schema import EvaluateSettings
from upnet.metrics.perceptual import base
from upnet.utils.allocator import INFERENCE_KERNELS

Evaluate = Callable[..., DictConfig]


@pytest.fixture
def evaluate(compose: Compose, pictures: Path, tmp_path: Path) -> Evaluate:
    """The config of an evaluation of three small pictures: evaluate("baseline=nearest", folder="a")."""

    def config(*overrides: str, folder: str = "evaluation") -> DictConfig:
        own = [] if any(word.startswith("data") for word in overrides) else ["data=folder", f"data.root={pictures}"]
        composed = compose("device=cpu", *own, *overrides, command="evaluate")
        with open_dict(composed):
            composed.run_dir = str(tmp_path / folder)
        check(composed, EvaluateSettings)
        return composed

    return config


@pytest.fixture
def checkpoint(compose: Compose, tmp_path: Path) -> Path:
    """An untrained network of luma."""
    torch.manual_seed(0)
    config = compose("model=espcn").model
    net = build(config)
    plain = OmegaConf.to_container(config, resolve=True)
    assert isinstance(plain, dict)
    state = {f"ema.net.{key}": value for key, value in net.state_dict().items()}
    path = tmp_path / "run/checkpoints/last.ckpt"
    path.parent.mkdir(parents=True)
    told = describe({str(key): value for key, value in plain.items()}, {}, 2, 7)
    torch.save({"upnet": told, "state_dict": state}, path)
    return path


@pytest.fixture
def scale_3_checkpoint(checkpoint: Path, compose: Compose, tmp_path: Path) -> Path:
    """Another untrained network, of scale 3."""
    held = torch.load(checkpoint, weights_only=True)
    config = compose("model=espcn", "scale=3").model
    plain = OmegaConf.to_container(config, resolve=True)
    assert isinstance(plain, dict)
    held["upnet"] = describe({str(key): value for key, value in plain.items()}, {}, 3, 7)
    held["state_dict"] = {f"ema.net.{key}": value for key, value in build(config).state_dict().items()}
    other = tmp_path / "other/checkpoints/last.ckpt"
    other.parent.mkdir(parents=True)
    torch.save(held, other)
    return other


def written(tmp_path: Path, folder: str = "evaluation") -> dict[str, Any]:
    return json.loads((tmp_path / folder / "results.json").read_text())


@pytest.mark.parametrize("protocol", ["rgb8", "y-float"])
def test_a_baseline_needs_no_checkpoint_and_leaves_the_same_files(
    protocol: str, evaluate: Evaluate, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    evaluate_baseline(evaluate("baseline=lanczos", "scale=3", f"protocol={protocol}", "protocol.crop=4"))
    told = written(tmp_path)
    assert told["method"] == {"kind": "baseline", "name": "lanczos", "precision": "float64"}
    assert (told["protocol"]["name"], told["protocol"]["crop"], told["protocol"]["scale"]) == (protocol, 4, 3)
    assert set(told["datasets"]["pictures"]["images"]) == {"picture0", "picture1", "picture2"}
    rows = (tmp_path / "evaluation/results.csv").read_text().splitlines()
    assert len(rows) == 4
    shown = capsys.readouterr().out
    assert f"×3, {protocol}, channel y, crop 4" in shown
    assert f"{told['datasets']['pictures']['psnr']:.2f}" in shown


@pytest.mark.parametrize(
    ("scale", "protocol", "printed"),
    [
        (2, "y-float", "33.66/0.9299"),
        (3, "y-float", "30.39/0.8682"),
        (4, "y-float", "28.42/0.8104"),
        (2, "rgb8", "33.68/0.9304"),
    ],
)
def test_bicubic_on_set5_is_the_printed_number(
    scale: int, protocol: str, printed: str, evaluate: Evaluate, tmp_path: Path
) -> None:
    set5 = ROOT / "../shared/images/Set5"
    if not set5.is_dir():
        pytest.skip("Set5 is not in ../shared/images")
    places = ("data=folder", f"data.root={set5}", f"data.cache_dir={tmp_path}/cache")
    evaluate_baseline(evaluate(*places, "baseline=bicubic", f"scale={scale}", f"protocol={protocol}"))
    told = written(tmp_path)["datasets"]["Set5"]
    assert f"{told['psnr']:.2f}/{told['ssim']:.4f}" == printed
    assert told["lr_from"] == ("imresize" if protocol == "y-float" else "files")


def test_lr_sizes_that_are_rounded_up_are_scored_on_request_and_told_below_the_table(
    evaluate: Evaluate, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(0)
    for folder, size in (("HR", (63, 61)), ("LR", (32, 31))):
        (tmp_path / "odd" / folder).mkdir(parents=True)
        Image.fromarray(rng.integers(0, 256, (*size, 3), np.uint8)).save(tmp_path / "odd" / folder / "a.png")
    words = ("data=folder", f"data.root={tmp_path}/odd", f"data.cache_dir={tmp_path}/cache", "baseline=bicubic")
    with pytest.raises(ValueError, match=r"data\.lr_rounded_up=true to accept LR sizes that are rounded up"):
        evaluate_baseline(evaluate(*words))
    evaluate_baseline(evaluate(*words, "data.lr_rounded_up=true"))
    assert written(tmp_path)["datasets"]["odd"]["lr_from"] == "files, rounded up"
    printed = " ".join(capsys.readouterr().out.split())
    assert "LR from files (LR sizes rounded up: LR and HR cropped to whole LR pixels)" in printed


def test_an_ensemble_is_told_apart_from_a_plain_score(
    evaluate: Evaluate, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    evaluate_checkpoints(evaluate(f"checkpoint={checkpoint}", folder="plain"))
    evaluate_checkpoints(evaluate(f"checkpoint={checkpoint}", "ensemble=x8", "tile=16", folder="turned"))
    plain, turned = written(tmp_path, "plain"), written(tmp_path, "turned")
    assert turned["protocol"] == {**plain["protocol"], "ensemble": "x8"}
    assert (plain["tile"], turned["tile"]) == ("auto", 16)
    assert (plain["method"], plain["device"]) == ({"kind": "network", "name": "run"}, "cpu")
    one, other = (told["datasets"]["pictures"] for told in (plain, turned))
    assert one["baseline"] == other["baseline"]
    assert one["psnr"] != other["psnr"]
    assert "ensemble x8" in capsys.readouterr().out
    paths = f"results=[{tmp_path}/plain,{tmp_path}/turned]"
    with pytest.raises(
        ValueError, match=r"plain and turned differ in protocol.*ensemble: none and x8.*allow_mixed=true"
    ):
        compare_results(evaluate(paths))
    compare_results(evaluate(paths, "allow_mixed=true"))
    shown = capsys.readouterr().out
    for part in ("plain [1]", "turned [2]", f"{one['psnr']:.2f} / {one['ssim']:.4f}", "ensemble x8"):
        assert part in shown, part


def test_a_measure_stands_in_tables_and_files(
    evaluate: Evaluate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(base, "fetch", lambda url, name: Path("weights-1234.pth"))
    monkeypatch.setattr(base, "check_weights", lambda path, name: "1234")
    from upnet.metrics.perceptual import LPIPS

    monkeypatch.setattr(LPIPS, "load", lambda self: torch.nn.Identity())
    monkeypatch.setattr(LPIPS, "distance", lambda self, output, target: (output - target).abs().mean())
    evaluate_baseline(evaluate("baseline=nearest", "perceptual=[lpips]"))
    told = written(tmp_path)
    assert "1234" in told["measures"]["lpips"]["weights"]
    assert all(0 < image["lpips"] < 1 for image in told["datasets"]["pictures"]["images"].values())
    assert "lpips_weights" in (tmp_path / "evaluation/results.csv").read_text().splitlines()[0]
    assert "nearest LPIPS" in capsys.readouterr().out


def test_pictures_are_kept_where_asked(evaluate: Evaluate, tmp_path: Path) -> None:
    evaluate_baseline(evaluate("baseline=nearest", "save_images=true", "protocol=y-float"))
    kept = sorted(path.name for path in (tmp_path / "evaluation/images/pictures").iterdir())
    assert kept == ["picture0.png", "picture1.png", "picture2.png"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["perceptual=niqe"], "perceptual=niqe: is not a perceptual metric"),
        (["perceptual=lpips", "protocol=y-float"], "Take protocol=rgb8"),
        (["device=tpu"], "device=tpu: unknown device. Allowed: auto, cpu, cuda"),
        (["protocol.channel=rgb", "protocol=y-float"], "y-float evaluates the Y plane only"),
    ],
)
def test_what_cannot_be_scored_is_refused_before_anything_is_written(
    words: list[str], told: str, evaluate: Evaluate, tmp_path: Path
) -> None:
    config = evaluate("baseline=nearest", *words)
    with pytest.raises(ValueError, match=told):
        evaluate_baseline(config)
    assert not (tmp_path / "evaluation").exists()


class AskedError(Exception):
    """What a function was given, instead of what it does."""


@pytest.mark.parametrize("use", [evaluate_checkpoints, export_checkpoint, report_study])
def test_whose_code_is_trusted_and_which_weights_are_taken_is_handed_on(
    use: Callable[[DictConfig], None], evaluate: Evaluate, monkeypatch: pytest.MonkeyPatch
) -> None:
    def asked(*given: object) -> None:
        raise AskedError(*given)

    monkeypatch.setattr(evaluate_module, "load_network", asked)
    monkeypatch.setattr(report_module, "read_study", asked)
    words = ("export=a.safetensors", "study=runs") if use is report_study else ("export=a.safetensors",)
    with pytest.raises(AskedError) as told:
        use(evaluate("checkpoint=a.ckpt", "weights=raw", "trust=[mine,yours]", *words))
    weights = () if use is report_study else ("raw",)
    assert told.value.args[1 : 2 + len(weights)] == (*weights, ["mine", "yours"])


def test_few_kernels_are_kept_where_pictures_of_all_sizes_are_scored(
    evaluate: Evaluate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ONEDNN_PRIMITIVE_CACHE_CAPACITY", raising=False)
    with pytest.raises(ValueError, match="device=tpu"):
        evaluate_baseline(evaluate("baseline=nearest", "device=tpu"))
    assert os.environ["ONEDNN_PRIMITIVE_CACHE_CAPACITY"] == str(INFERENCE_KERNELS)


def test_an_interpolation_that_there_is_none_of_is_refused(evaluate: Evaluate) -> None:
    with pytest.raises(ConfigError, match="baseline"):
        evaluate("baseline=cubic")


def test_networks_of_different_scales_share_a_table_only_where_asked(
    evaluate: Evaluate, checkpoint: Path, scale_3_checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = (f"checkpoint=[{checkpoint},{scale_3_checkpoint}]",)
    with pytest.raises(ValueError, match=r"scales \[2, 3\].*allow_mixed=true"):
        evaluate_checkpoints(evaluate(*words))
    evaluate_checkpoints(evaluate(*words, "allow_mixed=true"))
    shown = capsys.readouterr().out
    for part in ("run [1]", "other [2]", "run: ×2", "other: ×3"):
        assert part in shown, part


NAMES = {b"caf\xe9": "caf\\xe9", b"A$x_$y": "A$x_$y", "照片".encode(): "照片", "😀".encode(): "😀"}
"""Names of files, and how they are shown."""


def test_names_are_text_in_everything_that_an_evaluation_leaves(
    evaluate: Evaluate, checkpoint: Path, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in NAMES:
        try:
            shutil.copy(pictures / "picture0.png", os.fsdecode(os.fsencode(pictures) + b"/" + name + b".png"))
        except OSError as fault:
            pytest.skip(f"a file can't be called {name!r} here: {fault.strerror}")
    evaluate_checkpoints(evaluate(f"checkpoint={checkpoint}", "save_images=true"))
    told = written(tmp_path)["datasets"]["pictures"]
    assert set(NAMES.values()) < set(told["images"])
    with (tmp_path / "evaluation/results.csv").open(newline="", encoding="utf-8") as file:
        assert {row["image"] for row in csv.DictReader(file)} == set(told["images"])
    kept = {path.stem for path in (tmp_path / "evaluation/images/pictures").iterdir()}
    assert kept == set(told["images"])
    shown = capsys.readouterr().out
    (events,) = (tmp_path / "evaluation/tensorboard/evaluation").iterdir()
    tags = EventAccumulator(str(events)).Reload().Tags()["images"]
    for name in NAMES.values():
        assert name in shown, name
        assert f"evaluation/pictures/{name}" in tags, name


def test_no_failure_of_an_illustration_loses_a_score(
    evaluate: Evaluate,
    checkpoint: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def broken(*arguments: object, **settings: object) -> None:
        raise RuntimeError("out of fonts")

    evaluate_checkpoints(evaluate(f"checkpoint={checkpoint}", folder="whole"))
    monkeypatch.setattr(evaluate_module, "print_results", broken)
    monkeypatch.setattr(evaluate_module, "log_to_run", broken)
    monkeypatch.setattr(Image.Image, "save", broken)
    evaluate_checkpoints(evaluate(f"checkpoint={checkpoint}", "save_images=true"))
    assert written(tmp_path)["datasets"] == written(tmp_path, "whole")["datasets"]
    assert (tmp_path / "evaluation/results.csv").is_file()
    told = [record.getMessage() for record in caplog.records]
    assert len([line for line in told if line.startswith("the output image ")]) == 3
    assert [line.partition(" could")[0] for line in told[3:]] == [
        "the printed table",
        "TensorBoard's log of the evaluation",
    ]
    evaluate_baseline(evaluate("baseline=nearest", folder="baseline"))
    assert written(tmp_path, "baseline")["datasets"]


def test_no_use_changes_its_config(evaluate: Evaluate, scale_3_checkpoint: Path, tmp_path: Path) -> None:
    """The scale of a checkpoint reaches the test sets as an argument; the config keeps its own."""
    config = evaluate(f"checkpoint={scale_3_checkpoint}")
    before = OmegaConf.to_container(config)
    evaluate_checkpoints(config)
    assert written(tmp_path)["scale"] == 3
    assert OmegaConf.to_container(config) == before


def test_evaluation_has_neither_training_images_nor_a_seed(evaluate: Evaluate) -> None:
    config = evaluate("baseline=nearest", "data=builtin")
    assert config.data.train is None
    assert "seed" not in config
    assert "seed" not in config.data
