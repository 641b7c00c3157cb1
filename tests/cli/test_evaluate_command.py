"""The commands, as a user types them."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from support import ROOT, code, command

SMALL = [
    "model.encoder.width=4",
    "data.patch=8",
    "data.batch_size=2",
    "steps=2",
    "validations=1",
    "callbacks.progress=null",
]


def run(*words: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *words], capture_output=True, text=True, cwd=cwd, timeout=300)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study of two operators and one that can't be built, on three small pictures."""
    import numpy as np

    root = tmp_path_factory.mktemp("study")
    rng = np.random.default_rng(0)
    for name in ("train", "val"):
        (root / name).mkdir()
        for number in range(2):
            coarse = Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8))
            coarse.resize((64, 50), Image.Resampling.BICUBIC).save(root / name / f"{name}{number}.png")
    done = run(
        "train.py", "-m", "model/upsampler=nearest,transposed", "model.skip=true,3", *SMALL, "data=folder",
        f"data.root={root}/train", f"data.val_root={root}/val", f"hydra.sweep.dir={root}/runs",
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert done.stderr.count("model.skip=3: must be") >= 2
    return root


def runs(study: Path) -> list[Path]:
    return sorted(path.parent for path in (study / "runs").glob("*/results.json"))


def test_a_multirun_goes_on_past_a_run_that_fails_and_ends_with_an_error(study: Path) -> None:
    assert len(runs(study)) == 2


def test_a_study_is_one_table_and_one_picture(study: Path) -> None:
    done = run("evaluate.py", f"study={study}/runs", f"hydra.run.dir={study}/e")
    assert done.returncode == 0, done.stderr
    for word in (
        "Nearest",
        "Transposed",
        "parameters",
        "mult-adds",
        "PSNR",
        "SSIM",
        "left out, since it didn't finish",
    ):
        assert word in done.stdout, word
    assert Image.open(study / "runs/comparison.png").size[0] > 1000
    written = json.loads((study / "runs/study.json").read_text())
    assert written["footings"]["1"]["protocol"]["name"] == "rgb8"
    rows = written["datasets"]["val"]
    by_arm = {row["arm"]: row for row in rows}
    for path in runs(study):
        told = json.loads((path / "results.json").read_text())
        arm = told["model"]["upsampler"]["_target_"].rsplit(".", 1)[-1]
        assert by_arm[arm]["psnr"] == pytest.approx(told["datasets"]["val"]["psnr"])
        assert by_arm[arm]["parameters"] == told["parameters"]


def test_evaluating_a_checkpoint_gives_the_numbers_of_the_last_validation(study: Path, tmp_path: Path) -> None:
    folder = runs(study)[0]
    done = run(
        "evaluate.py", f"checkpoint={folder}/checkpoints/last.ckpt", "data=folder", f"data.root={study}/val",
        "save_images=true", f"hydra.run.dir={tmp_path}",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    ours, theirs = (json.loads((path / "results.json").read_text()) for path in (tmp_path, folder))
    assert ours["datasets"] == theirs["datasets"]
    assert ours["protocol"] == theirs["protocol"]
    rows = (tmp_path / "results.csv").read_text().splitlines()
    assert len(rows) == 1 + len(ours["datasets"]["val"]["images"])
    assert {path.name for path in (tmp_path / "images/val").glob("*")} == {"val0.png", "val1.png"}
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    (events,) = (folder / "tensorboard/evaluation").glob("events*")
    tags = EventAccumulator(str(events)).Reload().Tags()
    assert "evaluation/val/psnr" in tags["scalars"]
    assert set(tags["images"]) == {"evaluation/val/val0", "evaluation/val/val1"}


def test_several_checkpoints_make_one_table(study: Path, tmp_path: Path) -> None:
    checkpoints = ",".join(f"{folder}/checkpoints/last.ckpt" for folder in runs(study))
    done = run(
        "evaluate.py",
        f"checkpoint=[{checkpoints}]",
        "data=folder",
        f"data.root={study}/val",
        f"hydra.run.dir={tmp_path}",
    )
    assert done.returncode == 0, done.stderr
    row = next(line for line in done.stdout.splitlines() if "mean" in line)
    for folder in runs(study):
        mean = json.loads((folder / "results.json").read_text())["datasets"]["val"]
        assert f"{mean['psnr']:.2f} / {mean['ssim']:.4f}" in row


def test_stored_results_of_different_protocols_share_no_table(study: Path, tmp_path: Path) -> None:
    done = run(
        "evaluate.py", "baseline=lanczos", "data=folder", f"data.root={study}/val", "protocol=y-float",
        f"hydra.run.dir={tmp_path}/lanczos",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "lanczos PSNR" in done.stdout
    told = json.loads((tmp_path / "lanczos/results.json").read_text())
    assert (told["method"]["name"], told["protocol"]["name"]) == ("lanczos", "y-float")
    done = run("evaluate.py", f"results=[{runs(study)[0]},{tmp_path}/lanczos]", f"hydra.run.dir={tmp_path}/e")
    assert done.returncode == 2
    assert "name: rgb8 and y-float" in done.stderr
    assert "allow_mixed=true" in done.stderr


def test_a_picture_is_upscaled(study: Path, tmp_path: Path) -> None:
    done = run(
        "evaluate.py", f"checkpoint={runs(study)[0]}/checkpoints/last.ckpt", f"input={study}/val/val0.png",
        f"output={tmp_path}/large.png", f"hydra.run.dir={tmp_path}/e",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert Image.open(tmp_path / "large.png").size == (128, 100)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["train.py", "stpes=3"], "Did you mean steps"),
        (["train.py", "model.encoder.widht=3"], "Did you mean width"),
        (["train.py", "model/upsampler=nearset"], "Did you mean nearest"),
        (["train.py", "data=folder"], "data.root: required"),
        (["train.py", "data=folder", "data.root=nowhere"], "nowhere"),
        (["train.py", "model=edsr", "model/upsampler=max_unpool"], "at the tail requires indices"),
        (["train.py", "model.upsampler.kernel_size=1"], "needs a kernel at least as large as the scale"),
        (["train.py", "ckpt=nowhere.ckpt"], "there is no checkpoint at nowhere.ckpt"),
        (["evaluate.py"], "give exactly one of checkpoint=PATH"),
        (["evaluate.py", "protocol=yfloat"], "y-float"),
        (["evaluate.py", "checkpoint=nowhere.ckpt"], "there is no checkpoint at nowhere.ckpt"),
        (["evaluate.py", "study=nowhere"], "study=nowhere: is not a folder"),
    ],
)
def test_a_mistake_gets_one_sentence_and_exit_code_2(words: list[str], told: str, tmp_path: Path) -> None:
    script, *settings = words
    said = tmp_path / "said.txt"
    assert code(command([*settings, f"hydra.run.dir={tmp_path}/run"], said, script=script)) == 2, said.read_text()
    assert told in said.read_text()
    assert "Traceback" not in said.read_text()
    assert not (tmp_path / "run/checkpoints").exists()


@pytest.mark.parametrize("script", ["train.py", "evaluate.py"])
def test_help_reads_like_a_manual(script: str) -> None:
    done = run(script, "--help")
    assert done.returncode == 0
    assert f"upnet {Path(script).stem}" in done.stdout
    assert "--cfg job" in done.stdout or script == "evaluate.py"


def test_the_resolved_config_is_shown_without_a_run() -> None:
    done = run("train.py", "--cfg", "job", "--resolve", "scale=3")
    assert done.returncode == 0, done.stderr
    assert "scale: 3" in done.stdout
