"""A resumed run equals an uninterrupted run; finished, damaged or different runs are rejected."""

import json
import random
import re
import shlex
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra.core.override_parser.overrides_parser import OverridesParser
from support import Compose, interrupt_at, same, scalars, state

from upnet.checkpoint import DamagedCheckpointError, load_network
from upnet.training import train
from upnet.training.history import read_history
from upnet.training.resume import find_checkpoint
from upnet.utils.errors import InterruptedRunError
from upnet.utils.overrides import quote_path_overrides


@pytest.mark.rotating
@pytest.mark.parametrize(
    ("precision", "accumulate", "step", "beyond", "number"),
    [
        ("32", 1, 4, 0, signal.SIGINT),
        ("bf16", 2, 4, 0, signal.SIGTERM),
        ("bf16", 1, 3, 0, signal.SIGUSR1),  # a step after which validation is due
        ("32", 2, 3, 0, signal.SIGINT),
        ("32", 2, 4, 1, signal.SIGTERM),  # a batch whose accumulated gradients are discarded
    ],
)
def test_a_resumed_run_equals_an_uninterrupted_run_bit_for_bit(
    tiny,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    precision: str,
    accumulate: int,
    step: int,
    beyond: int,
    number: int,
) -> None:
    settings = (f"precision={precision}", f"trainer.accumulate_grad_batches={accumulate}", "scheduler.warmup=2")
    train(tiny(*settings, run="reference"))
    interrupt_at(monkeypatch, step, number, beyond)
    with pytest.raises(InterruptedRunError, match=rf"saved step {step} of 6.*ckpt=.*last.ckpt") as interrupted:
        train(tiny(*settings, run="interrupted"))
    assert interrupted.value.signal == number
    monkeypatch.undo()
    last = tmp_path / "interrupted/checkpoints/last.ckpt"
    train(tiny(*settings, f"ckpt={last}", run="interrupted"))
    reference, resumed = state(tmp_path / "reference/checkpoints/last.ckpt"), state(last)
    assert same(reference["state_dict"], resumed["state_dict"])
    assert same(reference["optimizer_states"], resumed["optimizer_states"])
    assert same(reference["lr_schedulers"], resumed["lr_schedulers"])
    results = [json.loads((tmp_path / run / "results.json").read_text()) for run in ("reference", "interrupted")]
    assert results[0]["datasets"] == results[1]["datasets"]
    logged = [scalars(tmp_path / run / "tensorboard")["validation/psnr"] for run in ("reference", "interrupted")]
    assert sorted(logged[0]) == sorted(logged[1])


def test_resume_reads_the_checkpoint_once(tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train(tiny("steps=2", "validations=1"))
    last = tmp_path / "run/checkpoints/last.ckpt"
    read: list[Path] = []
    load = torch.load

    def record_read(file: Any, *rest: Any, **named: Any) -> Any:
        if isinstance(file, str | Path):
            read.append(Path(file).resolve())
        return load(file, *rest, **named)

    monkeypatch.setattr(torch, "load", record_read)
    train(tiny("steps=4", "validations=1", f"ckpt={last}"))
    # best.ckpt is a hard link to the same file and is not read.
    assert read == [last.resolve()]


def test_the_history_of_a_resumed_run_equals_that_of_an_uninterrupted_run(
    tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    overrides = ("trainer.log_every_n_steps=1", "logger=none")
    train(tiny(*overrides, run="reference"))
    interrupt_at(monkeypatch, 5, signal.SIGINT)
    with pytest.raises(InterruptedRunError):
        train(tiny(*overrides, run="interrupted"))
    monkeypatch.undo()
    train(tiny(*overrides, f"ckpt={tmp_path}/interrupted/checkpoints/last-1.ckpt", run="interrupted"))
    times = ("train/images_per_second", "train/data_share")
    reference, interrupted = (
        [(step, {name: value for name, value in values.items() if name not in times}) for step, values in history]
        for history in (read_history(tmp_path / run) for run in ("reference", "interrupted"))
    )
    assert reference == interrupted
    assert {"train/loss", "validation/psnr"} <= {name for _, values in reference for name in values}


def test_the_resume_hint_quotes_special_characters_of_the_run_folder(
    tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compose: Compose
) -> None:
    interrupt_at(monkeypatch, 5, signal.SIGINT)
    with pytest.raises(InterruptedRunError) as interrupted:
        train(tiny(run="a b, [c] it's café $HOME"))
    _, _, hint = str(interrupted.value).partition("Continue with the same command and ")
    ckpt, folder = quote_path_overrides(shlex.split(hint))
    assert compose(ckpt).ckpt == f"{tmp_path}/a b, [c] it's café $HOME/checkpoints/last.ckpt"
    parsed = OverridesParser.create().parse_override(folder)
    assert (parsed.key_or_group, parsed.value()) == ("hydra.run.dir", f"{tmp_path}/a b, [c] it's café $HOME")


def test_a_damaged_checkpoint_is_reported_and_the_one_before_it_is_used(
    tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    train(tiny(run="reference"))
    interrupt_at(monkeypatch, 5, signal.SIGINT)
    with pytest.raises(InterruptedRunError):
        train(tiny(run="interrupted"))
    monkeypatch.undo()
    last = tmp_path / "interrupted/checkpoints/last.ckpt"
    last.write_bytes(last.read_bytes()[:-100])
    train(tiny(f"ckpt={last}", run="interrupted"))
    assert re.search(
        r"last\.ckpt is damaged.*Resuming from the checkpoint before it, .*last-1\.ckpt, step 3", caplog.text
    )
    reference = state(tmp_path / "reference/checkpoints/last.ckpt")
    assert same(reference["state_dict"], state(last)["state_dict"])


def test_resume_is_rejected_if_all_checkpoints_are_damaged(tiny, tmp_path: Path) -> None:
    train(tiny("steps=2", "validations=2"))
    for path in (tmp_path / "run/checkpoints").iterdir():
        path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(DamagedCheckpointError, match=r"last\.ckpt is damaged"):
        train(tiny("steps=4", f"ckpt={tmp_path}/run/checkpoints/last.ckpt"))


def test_the_set_number_of_earlier_checkpoints_is_kept(tiny, tmp_path: Path) -> None:
    train(tiny("steps=4", "validations=4", "callbacks.checkpoints.keep=2"))
    kept = {path.name: load_network(path).step for path in (tmp_path / "run/checkpoints").glob("last*")}
    assert kept == {"last.ckpt": 4, "last-1.ckpt": 3, "last-2.ckpt": 2}


def test_resume_of_a_finished_run_or_with_other_settings_is_rejected(tiny, tmp_path: Path) -> None:
    train(tiny("steps=2", "validations=1"))
    before = (tmp_path / "run/results.json").read_bytes()
    ckpt = f"ckpt={tmp_path}/run/checkpoints/last.ckpt"
    with pytest.raises(ValueError, match=r"is finished: 2 of 2 steps are done\. Raise steps="):
        train(tiny("steps=2", "validations=1", ckpt))
    with pytest.raises(ValueError, match=r"other settings; they differ in loss, optimizer, seed\."):
        train(tiny("steps=4", "optimizer.lr=0.1", "loss=mse", "seed=9", ckpt))
    assert (tmp_path / "run/results.json").read_bytes() == before
    assert train(tiny("steps=3", "validations=1", ckpt))["step"] == 3


@pytest.mark.rotating(per=None)
@pytest.mark.parametrize(("scheduler", "rates"), [("cosine", ("1e-05", "0.000419")), ("constant", ("0.001", "0.001"))])
def test_resume_with_more_steps_logs_the_change_of_the_learning_rate(
    tiny, tmp_path: Path, caplog: pytest.LogCaptureFixture, scheduler: str, rates: tuple[str, str]
) -> None:
    caplog.set_level("INFO")
    overrides = (f"scheduler={scheduler}", "optimizer.lr=0.001", "callbacks.grid=null", "trainer.log_every_n_steps=1")
    train(tiny(*overrides, "steps=4", "validations=2"))
    last = f"ckpt={tmp_path}/run/checkpoints/last.ckpt"
    assert "the learning rate" not in caplog.text
    train(tiny(*overrides, "steps=9", "validations=1", last))
    assert (
        "steps was 4 and is 9: the learning rate follows the schedule of 9 steps, and changes from "
        f"{rates[0]} to {rates[1]}"
    ) in caplog.text
    logged = dict(scalars(tmp_path / "run/tensorboard")["train/learning_rate"])
    assert f"{logged[4]:.3g}" == rates[0]
    assert f"{logged[5]:.3g}" == rates[1]


def test_resume_from_a_link_writes_the_results_of_a_run_without_results(tiny, tmp_path: Path) -> None:
    train(tiny("steps=2", "validations=1", "callbacks.grid=null"))
    (tmp_path / "link.ckpt").symlink_to("run/checkpoints/last.ckpt")
    (tmp_path / "run/results.json").unlink()
    # Without results the run isn't finished, and there is no earlier checkpoint to resume from.
    content = train(tiny("steps=2", "validations=1", "callbacks.grid=null", f"ckpt={tmp_path}/link.ckpt"))
    assert content["step"] == 2
    assert (tmp_path / "run/results.json").exists()


def test_resume_with_another_network_is_rejected(tiny, tmp_path: Path) -> None:
    train(tiny("steps=2", "validations=1"))
    with pytest.raises(ValueError, match=r"another network.*differ in encoder"):
        train(tiny(f"ckpt={tmp_path}/run/checkpoints/last.ckpt", "model.encoder.width=5", run="other"))


@pytest.mark.full
def test_a_flipped_bit_in_a_checkpoint_has_no_effect_or_the_one_before_it_is_used(
    tiny, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    train(tiny("steps=2", "validations=2", "callbacks.grid=null"))
    run = tmp_path / "run"
    last, before = run / "checkpoints/last.ckpt", run / "checkpoints/last-1.ckpt"
    reference, content = state(last), last.read_bytes()
    metadata = reference["upnet"]
    seed = random.randrange(2**32)
    rng, fallbacks = random.Random(seed), 0
    # Half of the positions are in the last bytes, which contain the directory of the archive.
    for position in [rng.randrange(len(content)) for _ in range(30)] + [-rng.randrange(1, 2000) for _ in range(30)]:
        corrupted = bytearray(content)
        corrupted[position] ^= 1 << rng.randrange(8)
        last.write_bytes(corrupted)
        caplog.clear()
        found = find_checkpoint("last", run, metadata["model"], metadata["settings"], 4)
        if found is not None and found.path == last:
            assert same(state(last), reference), (seed, position)
        else:
            fallbacks += 1
            assert found is not None, (seed, position)
            assert found.path == before, (seed, position)
            assert f"Resuming from the checkpoint before it, {before}, step 1" in caplog.text, (seed, position)
            assert str(last) in caplog.text, (seed, position)
    assert fallbacks > 0, seed
