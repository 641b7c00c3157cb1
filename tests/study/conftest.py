"""Studies small enough for a test."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from quick import compose_training_quickly, draw_no_comparison, multiply_adds_once
from support import Compose

from upnet.cli.main import main as upnet
from upnet.study import expansion, finished_runs
from upnet.study.plan import Plan
from upnet.training import run_summary

Words = Callable[..., list[str]]


@pytest.fixture(autouse=True)
def quick_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plans compose each choice of components and count equal networks once; cells draw no comparison image."""
    monkeypatch.setattr(run_summary, "draw_comparison", draw_no_comparison)
    monkeypatch.setattr(expansion, "compose_training", compose_training_quickly)
    for module in (expansion, finished_runs):
        monkeypatch.setattr(module, "multiply_adds", multiply_adds_once)


@pytest.fixture
def study_error(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """study_error("oracle", "--scale", "9"): the error of `upnet study`, which is one line with exit code 2."""

    def run(*words: str) -> str:
        try:
            code = upnet(["study", *words])
        except SystemExit as end:
            code = end.code
        assert code == 2
        message = capsys.readouterr().err
        assert len(message.splitlines()) == 1
        return message

    return run


@pytest.fixture(scope="session")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `train`, which has two small images, and `scene`, which has one other image."""
    folder = tmp_path_factory.mktemp("photographs")
    rng = np.random.default_rng(1)
    for name in ("train/one.png", "train/two.png", "scene/three.png"):
        (folder / name).parent.mkdir(exist_ok=True)
        coarse = Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8))
        coarse.resize((64, 64), Image.Resampling.BICUBIC).save(folder / name)
    return folder


@pytest.fixture(scope="session")
def words(photographs: Path) -> Words:
    """The overrides of a study: words("steps=4", arms={"a": "model/upsampler=nearest"})."""

    def overrides(*more: str, arms: Mapping[str, str | Sequence[str]], seeds: Sequence[int] = (0,)) -> list[str]:
        quoted = {name: [words] if isinstance(words, str) else words for name, words in arms.items()}
        listed = {name: ",".join(f'"{word}"' for word in words) for name, words in quoted.items()}
        return [
            "experiment=study",
            "study.name=tiny",
            *(f"+study.arms.{name}=[{words}]" for name, words in listed.items()),
            f"study.reference={next(iter(arms))}",
            f"study.seeds={list(seeds)}",
            "data=folder",
            f"data.root={photographs}/train",
            f"data.val_root={photographs}/scene",
            "data.patch=8",
            "data.batch_size=2",
            "model.encoder.width=4",
            "model.encoder.depth=1",
            "callbacks.progress=null",
            "callbacks.grid=null",
            "trainer=cpu",
            "steps=4",
            "validations=2",
            *more,
        ]

    return overrides


@pytest.fixture(scope="session")
def plan(compose: Compose) -> Callable[[Sequence[str], Path], Plan]:
    """The plan of a study: plan(words(arms=…), tmp_path)."""
    from omegaconf import OmegaConf

    from upnet.study.design import Design
    from upnet.study.expansion import Planner

    def make(overrides: Sequence[str], folder: Path) -> Plan:
        plain = OmegaConf.to_container(compose(*overrides).study, resolve=True)
        assert isinstance(plain, dict)
        return Planner(Design.from_config({str(key): value for key, value in plain.items()}), overrides, folder).plan()

    return make
