"""A finished study, built and reported once, and copies of it that a test may change."""

import json
import os
import shutil
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from PIL import Image
from quick import multiply_adds_once
from reported_study import IMAGE_NAMES, SPECIAL_NAME, Rendered, Study
from support import Compose

from upnet.checkpoint import describe, loading
from upnet.config import build
from upnet.data import Folder, Store, build_store
from upnet.study import finished_runs
from upnet.study.finished_runs import read_study
from upnet.study.report import assemble_report, draw_details, write_report


@pytest.fixture(scope="session")
def evaluated_images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three small images, with names of `IMAGE_NAMES` where the file system allows them."""
    folder = tmp_path_factory.mktemp("evaluated") / "images"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number, (name, (height, width)) in enumerate(zip(IMAGE_NAMES, ((64, 72), (70, 66), (81, 65)), strict=True)):
        coarse = Image.fromarray(rng.integers(0, 256, (9, 9, 3), dtype=np.uint8))
        path = folder / f"image{number}.png"
        coarse.resize((width, height), Image.Resampling.NEAREST).save(path)
        try:
            path.rename(os.fsdecode(os.fsencode(folder) + b"/" + name + b".png"))
        except OSError:
            continue
    return folder


@pytest.fixture(scope="session")
def finished_study(compose: Compose, evaluated_images: Path, tmp_path_factory: pytest.TempPathFactory) -> Study:
    """The original of all copies of the study. No test changes it."""
    from torch.utils.tensorboard.writer import SummaryWriter

    root = tmp_path_factory.mktemp("finished")
    store = build_store(Folder(str(evaluated_images)), 2, str(root / "cache"))
    for number, (upsampler, seed) in enumerate((u, s) for u in ("transposed", "nearest") for s in (0, 1)):
        torch.manual_seed(seed)
        config = compose("model.encoder.width=2", "model.encoder.depth=1", f"model/upsampler={upsampler}").model
        net, model = build(config), OmegaConf.to_container(config, resolve=True)
        assert isinstance(model, dict)
        folder = root / "study" / f"{number}-run"
        (folder / "config").mkdir(parents=True)
        (folder / "config/hydra.yaml").touch()
        (folder / "checkpoints").mkdir()
        content = _results(store, 30.0 + (upsampler == "nearest"), seed)
        content |= {"model": model, "parameters": sum(one.numel() for one in net.parameters())}
        content |= {"val_root": str(evaluated_images)}
        (folder / "results.json").write_text(json.dumps(content))
        plain = {str(key): value for key, value in model.items()}
        state = {f"ema.net.{key}": value for key, value in net.state_dict().items()}
        torch.save({"upnet": describe(plain, {}, 2, 1), "state_dict": state}, folder / "checkpoints/last.ckpt")
        with SummaryWriter(str(folder / "tensorboard")) as writer:
            for step in (1, 2, 3):
                writer.add_scalar("images/psnr", 28.0 + step + seed / 10, step)
    return Study(root / "study", {"images": store})


def _results(store: Store, psnr: float, seed: int) -> dict[str, Any]:
    baseline = {"psnr": 28.0, "ssim": 0.8}
    images = {
        name: {"psnr": psnr + seed / 100 + place / 10, "ssim": 0.9, "baseline": baseline}
        for place, name in enumerate(store.names)
    }
    mean = sum(one["psnr"] for one in images.values()) / len(images)
    scores = {"psnr": mean, "ssim": 0.9, "pictures": store.digest, "images": images}
    return {
        "schema": 1,
        "protocol": {"name": "rgb8", "scale": 2, "channel": "y", "crop": 2},
        "datasets": {"images": {**scores, "baseline": {"name": "bicubic", **baseline}}},
        "settings": {"steps": 3, "note": SPECIAL_NAME, "seed": seed},
        "seed": seed,
        "scale": 2,
        "step": 3,
        "minutes": 1.0,
    }


@pytest.fixture
def study(finished_study: Study, tmp_path: Path) -> Study:
    """A copy of the study, for a test to change."""
    shutil.copytree(finished_study.folder, tmp_path / "study")
    return Study(tmp_path / "study", finished_study.stores)


@pytest.fixture(scope="session")
def rendered(finished_study: Study, tmp_path_factory: pytest.TempPathFactory) -> Rendered:
    """The study with a plan, a failed arm, its report and its comparison image. No test changes it."""
    folder = tmp_path_factory.mktemp("rendered") / "study"
    shutil.copytree(finished_study.folder, folder)
    study = Study(folder, finished_study.stores)
    study.write_plan(failure="no <memory> left")
    reads: list[Path] = []
    read = loading.read_torch_file

    def counted(path: Path, *rest: Any) -> Any:
        reads.append(path)
        return read(path, *rest)

    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        patch.setattr(loading, "read_torch_file", counted)
        patch.setattr(finished_runs, "multiply_adds", multiply_adds_once)
        warnings.filterwarnings("error", message=".*(Glyph|glyph|findfont).*")
        arms, unfinished = read_study(folder)
        draw_details(arms, study.stores, folder / "comparison.png")
        write_report(assemble_report(folder, arms, unfinished, study.stores), folder)
    return Rendered(folder, reads, [arm.runs[0].checkpoint for arm in arms])
