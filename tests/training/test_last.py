"""However a run ends, last.ckpt holds the last step that was trained, and scores what results.json says."""

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
    """The last checkpoint, the results and the printed command are of one step, and the scores are the same."""
    last = run / "checkpoints/last.ckpt"
    assert state(last)["global_step"] == load_network(last).step == content["step"] == step
    written = json.loads((run / "results.json").read_text())
    assert written["step"] == step
    stores = {name: build_store(source, 2) for name, source in open_sources(content["val_root"], 2).items()}
    scores = {
        tally.name: tally.means()[0].psnr
        for tally in evaluate_network(load_network(last).net, stores, EvaluationProtocol())
    }
    assert scores == pytest.approx({name: told["psnr"] for name, told in written["datasets"].items()}, abs=1e-6)


@pytest.fixture
def falling(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every validation counts as worse than the one before it."""
    score_by(monkeypatch, lambda step: -step)


def best_step(run: Path) -> int:
    """The step of the best checkpoint."""
    return load_network(run / "checkpoints/best.ckpt").step


@pytest.mark.usefixtures("falling")
def test_psnr_that_falls(tiny, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = train(tiny(*LEAN, "steps=6", "validations=3"))
    assert best_step(tmp_path / "run") == 2
    check_last(tmp_path / "run", content, 6)
    assert f"evaluate.py checkpoint={tmp_path}/run/checkpoints/last.ckpt" in capsys.readouterr().out


@pytest.mark.full
@pytest.mark.usefixtures("falling")
def test_psnr_that_falls_in_several_validation_sets(tiny, pictures: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (pictures / "picture1.png").rename(other / "another.png")
    sets = f"data.val_root=[{tmp_path}/validation,{other}]"
    content = train(tiny(*LEAN, "steps=6", "validations=3", sets))
    assert set(content["datasets"]) == {"validation", "other"}
    check_last(tmp_path / "run", content, 6)
    assert best_step(tmp_path / "run") == 2


@pytest.mark.full
@pytest.mark.usefixtures("falling")
def test_early_stopping(tiny, tmp_path: Path) -> None:
    content = train(tiny(*LEAN, "steps=60", "validations=30", f"+callbacks.early={EARLY}"))
    assert best_step(tmp_path / "run") == 2
    check_last(tmp_path / "run", content, 4)


def test_a_time_limit(tiny, tmp_path: Path) -> None:
    words = (*LEAN, "steps=100000", "validations=1", "+trainer.max_time={milliseconds:400}")
    content = train(tiny(*words))
    assert 0 < content["step"] < 100000
    check_last(tmp_path / "run", content, content["step"])
    before = (tmp_path / "run/results.json").read_bytes()
    # The limit holds for all starts of a run together.
    sentence = r"trainer\.max_time: used up: training up to step \d+ of .*last\.ckpt took \d+ s\. Raise it"
    with pytest.raises(ValueError, match=sentence):
        train(tiny(*words, f"ckpt={tmp_path}/run/checkpoints/last.ckpt"))
    assert (tmp_path / "run/results.json").read_bytes() == before
    assert scalars(tmp_path / "run/tensorboard")["final/validation/psnr"]


@pytest.mark.rotating
@pytest.mark.usefixtures("falling")
@pytest.mark.parametrize(
    ("step", "earlier"), [(1, []), (4, [2]), (5, [4, 2])], ids=["unvalidated", "validated", "between"]
)
def test_a_signal(tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int, earlier: list[int]) -> None:
    """Also at a step that has just been validated, which is saved once."""
    interrupt_at(monkeypatch, step, signal.SIGINT)
    with pytest.raises(InterruptedRunError, match=f"saved step {step} of 6"):
        train(tiny(*LEAN, "steps=6", "validations=3"))
    folder = tmp_path / "run/checkpoints"
    assert [load_network(folder / f"last{age}.ckpt").step for age in ("", "-1", "-2")[: 1 + len(earlier)]] == [
        step,
        *earlier,
    ]
    assert len(list(folder.glob("last*"))) == 1 + len(earlier)


def test_a_signal_where_no_callback_saves(tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    interrupt_at(monkeypatch, 2, signal.SIGINT)
    last = tmp_path / "run/checkpoints/last.ckpt"
    with pytest.raises(
        InterruptedRunError, match=re.escape(f"saved step 2 of 6. Continue with the same command and ckpt={last}")
    ):
        train(tiny("callbacks.checkpoints=null"))
    assert load_network(last).step == 2


@pytest.mark.full
def test_a_signal_where_checkpoints_go_to_another_folder(tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    interrupt_at(monkeypatch, 2, signal.SIGINT)
    last = tmp_path / "elsewhere/last.ckpt"
    with pytest.raises(InterruptedRunError, match=re.escape(f"ckpt={last} hydra.run.dir={tmp_path}/run")):
        train(tiny(f"callbacks.checkpoints.folder={tmp_path}/elsewhere"))
    assert load_network(last).step == 2
    assert not (tmp_path / "run/checkpoints").exists()


def test_a_resumed_run(tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The best step is one of the resumed run's own, and not its last."""
    score_by(monkeypatch, lambda step: -abs(step - 4.0))
    train(tiny(*LEAN, "steps=2", "validations=1"))
    content = train(tiny(*LEAN, "steps=8", "validations=4", f"ckpt={tmp_path}/run/checkpoints/last.ckpt"))
    assert best_step(tmp_path / "run") == 4
    check_last(tmp_path / "run", content, 8)


@pytest.mark.rotating
@pytest.mark.parametrize("limits", [{"max_steps": 3}, {"max_steps": -1, "max_epochs": 1, "limit_train_batches": 3}])
def test_no_validation(tmp_path: Path, limits: dict[str, int]) -> None:
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


def test_every_saved_step_is_written_once(tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[int] = []
    honest = torch.save

    def save(content: dict[str, Any], *rest: Any) -> None:
        if "global_step" in content:  # and not a state that is tried before the run
            written.append(content["global_step"])
        honest(content, *rest)

    monkeypatch.setattr(torch, "save", save)
    train(tiny("steps=6", "validations=3"))
    assert written == [2, 4, 6]


def test_a_score_that_is_not_a_number_is_below_any_other(tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    score_by(monkeypatch, lambda step: 30.0 if step == 2 else math.nan)
    train(tiny("steps=3", "validations=3"))
    assert state(tmp_path / "run/checkpoints/best.ckpt")["global_step"] == 2
    assert state(tmp_path / "run/checkpoints/last.ckpt")["global_step"] == 3
