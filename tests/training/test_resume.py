"""A run that was broken off goes on as if nothing had been; others are refused."""

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
        ("32", 2, 4, 1, signal.SIGTERM),  # a batch whose gradients are lost
    ],
)
def test_a_resumed_run_ends_bit_for_bit_as_an_undisturbed_one(
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
    train(tiny(*settings, run="whole"))
    interrupt_at(monkeypatch, step, number, beyond)
    with pytest.raises(InterruptedRunError, match=rf"saved step {step} of 6.*ckpt=.*last.ckpt") as broken:
        train(tiny(*settings, run="broken"))
    assert broken.value.signal == number
    monkeypatch.undo()
    last = tmp_path / "broken/checkpoints/last.ckpt"
    train(tiny(*settings, f"ckpt={last}", run="broken"))
    whole, resumed = state(tmp_path / "whole/checkpoints/last.ckpt"), state(last)
    assert same(whole["state_dict"], resumed["state_dict"])
    assert same(whole["optimizer_states"], resumed["optimizer_states"])
    assert same(whole["lr_schedulers"], resumed["lr_schedulers"])
    results = [json.loads((tmp_path / run / "results.json").read_text()) for run in ("whole", "broken")]
    assert results[0]["datasets"] == results[1]["datasets"]
    told = [scalars(tmp_path / run / "tensorboard")["validation/psnr"] for run in ("whole", "broken")]
    assert sorted(told[0]) == sorted(told[1])


def test_a_resume_reads_the_checkpoint_once(tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train(tiny("steps=2", "validations=1"))
    last = tmp_path / "run/checkpoints/last.ckpt"
    read: list[Path] = []
    load = torch.load

    def counted(file: Any, *rest: Any, **named: Any) -> Any:
        if isinstance(file, str | Path):
            read.append(Path(file).resolve())
        return load(file, *rest, **named)

    monkeypatch.setattr(torch, "load", counted)
    train(tiny("steps=4", "validations=1", f"ckpt={last}"))
    # best.ckpt is a second name of the same file, and is not read either.
    assert read == [last.resolve()]


def test_the_history_of_a_resumed_run_equals_that_of_an_undisturbed_one(
    tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("trainer.log_every_n_steps=1", "logger=none")
    train(tiny(*words, run="whole"))
    interrupt_at(monkeypatch, 5, signal.SIGINT)
    with pytest.raises(InterruptedRunError):
        train(tiny(*words, run="broken"))
    monkeypatch.undo()
    train(tiny(*words, f"ckpt={tmp_path}/broken/checkpoints/last-1.ckpt", run="broken"))
    times = ("train/images_per_second", "train/data_share")
    whole, broken = (
        [(step, {name: value for name, value in values.items() if name not in times}) for step, values in history]
        for history in (read_history(tmp_path / run) for run in ("whole", "broken"))
    )
    assert whole == broken
    assert {"train/loss", "validation/psnr"} <= {name for _, values in whole for name in values}


def test_the_hint_after_ctrl_c_goes_on_in_any_folder(
    tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compose: Compose
) -> None:
    interrupt_at(monkeypatch, 5, signal.SIGINT)
    with pytest.raises(InterruptedRunError) as broken:
        train(tiny(run="a b, [c] it's café $HOME"))
    _, _, hint = str(broken.value).partition("Continue with the same command and ")
    ckpt, folder = quote_path_overrides(shlex.split(hint))
    assert compose(ckpt).ckpt == f"{tmp_path}/a b, [c] it's café $HOME/checkpoints/last.ckpt"
    parsed = OverridesParser.create().parse_override(folder)
    assert (parsed.key_or_group, parsed.value()) == ("hydra.run.dir", f"{tmp_path}/a b, [c] it's café $HOME")


def test_a_damaged_checkpoint_is_named_and_the_one_before_it_is_used(
    tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    train(tiny(run="whole"))
    interrupt_at(monkeypatch, 5, signal.SIGINT)
    with pytest.raises(InterruptedRunError):
        train(tiny(run="broken"))
    monkeypatch.undo()
    last = tmp_path / "broken/checkpoints/last.ckpt"
    last.write_bytes(last.read_bytes()[:-100])
    train(tiny(f"ckpt={last}", run="broken"))
    assert re.search(
        r"last\.ckpt is damaged.*Resuming from the checkpoint before it, .*last-1\.ckpt, step 3", caplog.text
    )
    whole = state(tmp_path / "whole/checkpoints/last.ckpt")
    assert same(whole["state_dict"], state(last)["state_dict"])


def test_where_no_checkpoint_is_whole_nothing_is_resumed(tiny, tmp_path: Path) -> None:
    train(tiny("steps=2", "validations=2"))
    for path in (tmp_path / "run/checkpoints").iterdir():
        path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(DamagedCheckpointError, match=r"last\.ckpt is damaged"):
        train(tiny("steps=4", f"ckpt={tmp_path}/run/checkpoints/last.ckpt"))


def test_earlier_states_of_the_last_checkpoint_stay(tiny, tmp_path: Path) -> None:
    train(tiny("steps=4", "validations=4", "callbacks.checkpoints.keep=2"))
    kept = {path.name: load_network(path).step for path in (tmp_path / "run/checkpoints").glob("last*")}
    assert kept == {"last.ckpt": 4, "last-1.ckpt": 3, "last-2.ckpt": 2}


def test_a_finished_run_and_one_under_other_settings_are_not_resumed(tiny, tmp_path: Path) -> None:
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
def test_more_steps_are_logged_with_the_learning_rate_before_and_after(
    tiny, tmp_path: Path, caplog: pytest.LogCaptureFixture, scheduler: str, rates: tuple[str, str]
) -> None:
    caplog.set_level("INFO")
    words = (f"scheduler={scheduler}", "optimizer.lr=0.001", "callbacks.grid=null", "trainer.log_every_n_steps=1")
    train(tiny(*words, "steps=4", "validations=2"))
    last = f"ckpt={tmp_path}/run/checkpoints/last.ckpt"
    assert "the learning rate" not in caplog.text
    train(tiny(*words, "steps=9", "validations=1", last))
    assert (
        "steps was 4 and is 9: the learning rate follows the schedule of 9 steps, and changes from "
        f"{rates[0]} to {rates[1]}"
    ) in caplog.text
    logged = dict(scalars(tmp_path / "run/tensorboard")["train/learning_rate"])
    assert f"{logged[4]:.3g}" == rates[0]
    assert f"{logged[5]:.3g}" == rates[1]


def test_a_link_to_the_last_checkpoint_of_a_finished_run_finds_its_results(tiny, tmp_path: Path) -> None:
    train(tiny("steps=2", "validations=1", "callbacks.grid=null"))
    (tmp_path / "link.ckpt").symlink_to("run/checkpoints/last.ckpt")
    (tmp_path / "run/results.json").unlink()
    # Without its results the run isn't finished, and there is nothing before its last step to go on from.
    content = train(tiny("steps=2", "validations=1", "callbacks.grid=null", f"ckpt={tmp_path}/link.ckpt"))
    assert content["step"] == 2
    assert (tmp_path / "run/results.json").exists()


def test_resuming_another_network_is_refused(tiny, tmp_path: Path) -> None:
    train(tiny("steps=2", "validations=1"))
    with pytest.raises(ValueError, match=r"another network.*differ in encoder"):
        train(tiny(f"ckpt={tmp_path}/run/checkpoints/last.ckpt", "model.encoder.width=5", run="other"))


@pytest.mark.full
def test_whatever_bit_of_a_checkpoint_is_wrong_it_reads_the_same_or_is_named_and_the_one_before_it_is_used(
    tiny, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    train(tiny("steps=2", "validations=2", "callbacks.grid=null"))
    run = tmp_path / "run"
    last, before = run / "checkpoints/last.ckpt", run / "checkpoints/last-1.ckpt"
    whole, content = state(last), last.read_bytes()
    told = whole["upnet"]
    seed = random.randrange(2**32)
    draw, fell = random.Random(seed), 0
    # Half of them in the last bytes, where the archive says what lies where.
    for place in [draw.randrange(len(content)) for _ in range(30)] + [-draw.randrange(1, 2000) for _ in range(30)]:
        wrong = bytearray(content)
        wrong[place] ^= 1 << draw.randrange(8)
        last.write_bytes(wrong)
        caplog.clear()
        found = find_checkpoint("last", run, told["model"], told["settings"], 4)
        if found is not None and found.path == last:
            assert same(state(last), whole), (seed, place)
        else:
            fell += 1
            assert found is not None, (seed, place)
            assert found.path == before, (seed, place)
            assert f"Resuming from the checkpoint before it, {before}, step 1" in caplog.text, (seed, place)
            assert str(last) in caplog.text, (seed, place)
    assert fell > 0, seed
