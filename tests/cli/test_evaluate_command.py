"""`python train.py` and `python evaluate.py` on a multirun of three small images, each command in a forked process."""

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from support import code, command
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

SMALL = [
    *("model.encoder.width=4", "model.block.layers=1", "data.patch=8", "data.batch_size=2"),
    *("steps=2", "validations=1", "callbacks.progress=null", "trainer=cpu"),
]
Run = Callable[..., str]
"""run("evaluate.py", "study=runs", exit_code=2): what the command prints."""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Run a script with settings in a folder of its own and check its exit code."""

    def call(script: str, *settings: str, exit_code: int = 0) -> str:
        output = tmp_path_factory.mktemp("command") / "output.txt"
        ended = code(command(settings, output, script=script))
        printed = output.read_text()
        assert ended == exit_code, printed
        return printed

    return call


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory, run: Run) -> Path:
    """A multirun of two operators; two further runs of it have an invalid setting."""
    root = tmp_path_factory.mktemp("study")
    rng = np.random.default_rng(0)
    for name, number in itertools.product(("train", "val"), range(2)):
        coarse = Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8))
        (root / name).mkdir(exist_ok=True)
        coarse.resize((64, 50), Image.Resampling.BICUBIC).save(root / name / f"{name}{number}.png")
    data = ("data=folder", f"data.root={root}/train", f"data.val_root={root}/val")
    sweep = ("-m", "model/upsampler=nearest,transposed", "model.skip=true,3", f"hydra.sweep.dir={root}/runs")
    printed = run("train.py", *sweep, *SMALL, *data, exit_code=2)
    assert printed.count("model.skip=3: must be") >= 2
    return root


def run_folders(study: Path) -> list[Path]:
    """The folders of the finished runs."""
    return sorted(path.parent for path in (study / "runs").glob("*/results.json"))


def results(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "results.json").read_text())


def test_a_multirun_continues_after_a_failed_run(study: Path) -> None:
    assert len(run_folders(study)) == 2


def test_a_study_is_reported_as_one_table_and_one_figure(study: Path, run: Run) -> None:
    printed = run("evaluate.py", f"study={study}/runs")
    parts = ("Nearest", "Transposed", "parameters", "mult-adds", "PSNR", "SSIM", "left out, not finished")
    assert [part for part in parts if part not in " ".join(printed.split())] == [], printed
    assert Image.open(study / "runs/comparison.png").size[0] > 1000
    written = json.loads((study / "runs/study.json").read_text())
    assert written["footings"]["1"]["protocol"]["name"] == "rgb8"
    by_arm = {row["arm"]: row for row in written["datasets"]["val"]}
    for expected in map(results, run_folders(study)):
        row = by_arm[expected["model"]["upsampler"]["_target_"].rsplit(".", 1)[-1]]
        assert row["psnr"] == pytest.approx(expected["datasets"]["val"]["psnr"])
        assert row["parameters"] == expected["parameters"]


def test_a_checkpoint_is_evaluated_to_the_numbers_of_its_last_validation(study: Path, run: Run, tmp_path: Path) -> None:
    folder = run_folders(study)[0]
    run(
        "evaluate.py", f"checkpoint={folder}/checkpoints/last.ckpt", "data=folder", f"data.root={study}/val",
        "save_images=true", f"hydra.run.dir={tmp_path}",
    )  # fmt: skip
    evaluated, trained = results(tmp_path), results(folder)
    assert evaluated["datasets"] == trained["datasets"]
    assert evaluated["protocol"] == trained["protocol"]
    rows = (tmp_path / "results.csv").read_text().splitlines()
    assert len(rows) == 1 + len(evaluated["datasets"]["val"]["images"])
    assert {path.name for path in (tmp_path / "images/val").glob("*")} == {"val0.png", "val1.png"}
    (events,) = (folder / "tensorboard/evaluation").glob("events*")
    tags = EventAccumulator(str(events)).Reload().Tags()
    assert "evaluation/val/psnr" in tags["scalars"]
    assert set(tags["images"]) == {"evaluation/val/val0", "evaluation/val/val1"}


def test_several_checkpoints_are_evaluated_in_one_table(study: Path, run: Run, tmp_path: Path) -> None:
    checkpoints = ",".join(f"{folder}/checkpoints/last.ckpt" for folder in run_folders(study))
    data = ("data=folder", f"data.root={study}/val")
    printed = run("evaluate.py", f"checkpoint=[{checkpoints}]", *data, f"hydra.run.dir={tmp_path}")
    row = next(line for line in printed.splitlines() if "mean" in line)
    for folder in run_folders(study):
        mean = results(folder)["datasets"]["val"]
        assert f"{mean['psnr']:.2f} / {mean['ssim']:.4f}" in row


def test_results_of_different_protocols_are_not_compared(study: Path, run: Run, tmp_path: Path) -> None:
    data = ("data=folder", f"data.root={study}/val")
    printed = run("evaluate.py", "baseline=lanczos", *data, "protocol=y-float", f"hydra.run.dir={tmp_path}/lanczos")
    assert "lanczos PSNR" in printed
    evaluated = results(tmp_path / "lanczos")
    assert (evaluated["method"]["name"], evaluated["protocol"]["name"]) == ("lanczos", "y-float")
    printed = run("evaluate.py", f"results=[{run_folders(study)[0]},{tmp_path}/lanczos]", exit_code=2)
    assert "name: rgb8 and y-float" in printed
    assert "allow_mixed=true" in printed


def test_an_image_is_upscaled(study: Path, run: Run, tmp_path: Path) -> None:
    checkpoint = f"checkpoint={run_folders(study)[0]}/checkpoints/last.ckpt"
    run("evaluate.py", checkpoint, f"input={study}/val/val0.png", f"output={tmp_path}/large.png")
    assert Image.open(tmp_path / "large.png").size == (128, 100)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["train.py", "stpes=3"], "Did you mean steps"),
        (["train.py", "data=folder", "data.root=nowhere"], "nowhere"),
        (["evaluate.py", "study=nowhere"], "study=nowhere: is not a folder"),
        *(
            pytest.param(*case, marks=pytest.mark.full)
            for case in [
                (["train.py", "model.encoder.widht=3"], "Did you mean width"),
                (["train.py", "model/upsampler=nearset"], "Did you mean nearest"),
                (["train.py", "data=folder"], "data.root: required"),
                (["train.py", "model=edsr", "model/upsampler=max_unpool"], "at the tail requires indices"),
                (["train.py", "model.upsampler.kernel_size=1"], "needs a kernel at least as large as the scale"),
                (["train.py", "ckpt=nowhere.ckpt"], "there is no checkpoint at nowhere.ckpt"),
                (["evaluate.py"], "give exactly one of checkpoint=PATH"),
                (["evaluate.py", "protocol=yfloat"], "y-float"),
                (["evaluate.py", "checkpoint=nowhere.ckpt"], "there is no checkpoint at nowhere.ckpt"),
            ]
        ),
    ],
)
def test_a_wrong_setting_is_reported_without_traceback_and_leaves_no_run(
    words: list[str], expected: str, run: Run, tmp_path: Path
) -> None:
    script, *settings = words
    printed = run(script, *settings, f"hydra.run.dir={tmp_path}/run", exit_code=2)
    assert expected in printed
    assert "Traceback" not in printed
    assert not (tmp_path / "run/checkpoints").exists()


@pytest.mark.parametrize("script", ["train.py", "evaluate.py"])
def test_help_shows_usage_and_options(script: str, run: Run) -> None:
    printed = run(script, "--help")
    assert f"upnet {Path(script).stem}" in printed
    assert "--cfg job" in printed or script == "evaluate.py"


def test_the_resolved_config_is_printed_without_a_run(run: Run) -> None:
    assert "scale: 3" in run("train.py", "--cfg", "job", "--resolve", "scale=3")
