"""last.ckpt holds the last trained step and has the scores of results.json, however the run ends."""

import json
import math
import re
import signal
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.demos.boring_classes import BoringModel
from support import interrupt_at, scalars, score_by, state

from upnet.checkpoint import load_network
from upnet.data import build_store, open_sources
from upnet.evaluation.scoring import evaluate_network
from upnet.metrics import EvaluationProtocol
from upnet.training import train
from upnet.training.callbacks import Checkpoints
from upnet.utils.errors import InterruptedRunError

LEAN = ("ema=0", "callbacks.grid=null")
EARLY = "{_target_:pytorch_lightning.callbacks.EarlyStopping,monitor:val/psnr,mode:max,patience:1}"


def check_last(run: Path, content: dict[str, Any], step: int) -> None:
    """Check that the last checkpoint and the results have the same step and the same scores."""
    last = run / "checkpoints/last.ckpt"
    assert state(last)["global_step"] == load_network(last).step == content["step"] == step
    written = json.loads((run / "results.json").read_text())
    assert written["step"] == step
    stores = {name: build_store(source, 2) for name, source in open_sources(content["val_root"], 2).items()}
    scores = {
        tally.name: tally.means()[0].psnr
        for tally in evaluate_network(load_network(last).net, stores, EvaluationProtocol())
    }
    assert scores == pytest.approx({name: dataset["psnr"] for name, dataset in written["datasets"].items()}, abs=1e-6)


@pytest.fixture
def falling_psnr(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each validation has a lower PSNR than the one before it."""
    score_by(monkeypatch, lambda step: -step)


def best_step(run: Path) -> int:
    """The step of the best checkpoint."""
    return load_network(run / "checkpoints/best.ckpt").step


@pytest.mark.usefixtures("falling_psnr")
def test_the_last_checkpoint_is_the_last_step_if_psnr_falls(
    tiny, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = train(tiny(*LEAN, "steps=6", "validations=3"))
    assert best_step(tmp_path / "run") == 2
    check_last(tmp_path / "run", content, 6)
    assert f"evaluate.py checkpoint={tmp_path}/run/checkpoints/last.ckpt" in capsys.readouterr().out


@pytest.mark.full
@pytest.mark.usefixtures("falling_psnr")
def test_the_last_checkpoint_is_the_last_step_if_psnr_falls_in_several_validation_sets(
    tiny, pictures: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (pictures / "picture1.png").rename(other / "another.png")
    sets = f"data.val_root=[{tmp_path}/validation,{other}]"
    content = train(tiny(*LEAN, "steps=6", "validations=3", sets))
    assert set(content["datasets"]) == {"validation", "other"}
    check_last(tmp_path / "run", content, 6)
    assert best_step(tmp_path / "run") == 2


@pytest.mark.full
@pytest.mark.usefixtures("falling_psnr")
def test_the_last_checkpoint_is_the_last_step_after_early_stopping(tiny, tmp_path: Path) -> None:
    content = train(tiny(*LEAN, "steps=60", "validations=30", f"+callbacks.early={EARLY}"))
    assert best_step(tmp_path / "run") == 2
    check_last(tmp_path / "run", content, 4)


def test_the_last_checkpoint_is_the_last_step_after_a_time_limit(tiny, tmp_path: Path) -> None:
    overrides = (*LEAN, "steps=100000", "validations=1", "+trainer.max_time={milliseconds:400}")
    content = train(tiny(*overrides))
    assert 0 < content["step"] < 100000
    check_last(tmp_path / "run", content, content["step"])
    before = (tmp_path / "run/results.json").read_bytes()
    # The limit applies to the total time of a run, including resumed parts.
    message = r"trainer\.max_time: used up: training up to step \d+ of .*last\.ckpt took \d+ s\. Raise it"
    with pytest.raises(ValueError, match=message):
        train(tiny(*overrides, f"ckpt={tmp_path}/run/checkpoints/last.ckpt"))
    assert (tmp_path / "run/results.json").read_bytes() == before
    assert scalars(tmp_path / "run/tensorboard")["final/validation/psnr"]


@pytest.mark.rotating
@pytest.mark.usefixtures("falling_psnr")
@pytest.mark.parametrize(
    ("step", "earlier"), [(1, []), (4, [2]), (5, [4, 2])], ids=["unvalidated", "validated", "between"]
)
def test_a_signal_saves_the_last_step_once(
    tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int, earlier: list[int]
) -> None:
    """A step that was just validated is already saved and is not saved again."""
    interrupt_at(monkeypatch, step, signal.SIGINT)
    with pytest.raises(InterruptedRunError, match=f"saved step {step} of 6"):
        train(tiny(*LEAN, "steps=6", "validations=3"))
    folder = tmp_path / "run/checkpoints"
    assert [load_network(folder / f"last{age}.ckpt").step for age in ("", "-1", "-2")[: 1 + len(earlier)]] == [
        step,
        *earlier,
    ]
    assert len(list(folder.glob("last*"))) == 1 + len(earlier)


def test_a_signal_saves_a_checkpoint_without_a_checkpoint_callback(
    tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupt_at(monkeypatch, 2, signal.SIGINT)
    last = tmp_path / "run/checkpoints/last.ckpt"
    with pytest.raises(
        InterruptedRunError, match=re.escape(f"saved step 2 of 6. Continue with the same command and ckpt={last}")
    ):
        train(tiny("callbacks.checkpoints=null"))
    assert load_network(last).step == 2


@pytest.mark.full
def test_a_signal_saves_to_the_folder_of_the_checkpoint_callback(
    tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupt_at(monkeypatch, 2, signal.SIGINT)
    last = tmp_path / "elsewhere/last.ckpt"
    with pytest.raises(InterruptedRunError, match=re.escape(f"ckpt={last} hydra.run.dir={tmp_path}/run")):
        train(tiny(f"callbacks.checkpoints.folder={tmp_path}/elsewhere"))
    assert load_network(last).step == 2
    assert not (tmp_path / "run/checkpoints").exists()


def test_a_resumed_run_updates_the_best_and_the_last_checkpoint(
    tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The best step is after the resume and before the last step."""
    score_by(monkeypatch, lambda step: -abs(step - 4.0))
    train(tiny(*LEAN, "steps=2", "validations=1"))
    content = train(tiny(*LEAN, "steps=8", "validations=4", f"ckpt={tmp_path}/run/checkpoints/last.ckpt"))
    assert best_step(tmp_path / "run") == 4
    check_last(tmp_path / "run", content, 8)


@pytest.mark.rotating
@pytest.mark.parametrize("limits", [{"max_steps": 3}, {"max_steps": -1, "max_epochs": 1, "limit_train_batches": 3}])
def test_the_last_step_is_saved_without_validation(tmp_path: Path, limits: dict[str, int]) -> None:
    trainer = pl.Trainer(
        **limits,  # pyright: ignore[reportArgumentType]
        accelerator="cpu",
        limit_val_batches=0,
        callbacks=[Checkpoints(str(tmp_path))],
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(BoringModel())
    assert state(tmp_path / "last.ckpt")["global_step"] == 3
    assert [path.name for path in tmp_path.iterdir()] == ["last.ckpt"]


def test_each_saved_step_is_written_once(tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[int] = []
    original = torch.save

    def save(content: dict[str, Any], *rest: Any) -> None:
        if "global_step" in content:  # skip the test save before the run
            written.append(content["global_step"])
        original(content, *rest)

    monkeypatch.setattr(torch, "save", save)
    train(tiny("steps=6", "validations=3"))
    assert written == [2, 4, 6]


def test_a_nan_score_is_lower_than_any_other(tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    score_by(monkeypatch, lambda step: 30.0 if step == 2 else math.nan)
    train(tiny("steps=3", "validations=3"))
    assert state(tmp_path / "run/checkpoints/best.ckpt")["global_step"] == 2
    assert state(tmp_path / "run/checkpoints/last.ckpt")["global_step"] == 3
