"""A training from a config: scored, resumed bit for bit, stopped where it must."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from omegaconf import DictConfig, open_dict
from support import Compose

from upnet import callbacks, training
from upnet.callbacks import NonFiniteLossError
from upnet.checkpoint import load_network
from upnet.config import ConfigError, check
from upnet.running import InterruptedRunError, retarget
from upnet.settings import TrainSettings
from upnet.training import train


@pytest.fixture
def tiny(compose: Compose, pictures: Path, tmp_path: Path):
    """A config of a few steps on small pictures: tiny("steps=4", run="a")."""

    def config(*overrides: str, run: str = "run") -> DictConfig:
        validation = tmp_path / "validation"
        if not validation.exists():
            validation.mkdir()
            (pictures / "picture0.png").rename(validation / "scene.png")
        config = compose(
            "data=folder",
            f"data.root={pictures}",
            f"data.val_root={validation}",
            "data.patch=8",
            "data.batch_size=4",
            "model.encoder.width=4",
            "callbacks.progress=null",
            "trainer=cpu",
            "trainer.log_every_n_steps=2",
            "steps=6",
            "validations=2",
            *overrides,
        )
        with open_dict(config):
            config.run_dir = str(tmp_path / run)
        check(config, TrainSettings)
        return config

    return config


def state(path: Path) -> dict[str, Any]:
    return torch.load(path, weights_only=True)


def same(one: Any, other: Any) -> bool:
    """Equal to the last bit, at every depth."""
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(same(a, b) for a, b in zip(one, other, strict=True))
    return bool(one == other)


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    told: dict[str, list[tuple[int, float]]] = {}
    for events in sorted(folder.glob("events*")):
        reader = EventAccumulator(str(events)).Reload()
        for tag in reader.Tags()["scalars"]:
            told.setdefault(tag, []).extend((event.step, event.value) for event in reader.Scalars(tag))
    return told


def test_a_run_leaves_everything_that_was_promised(tiny, tmp_path: Path) -> None:
    content = train(tiny())
    run = tmp_path / "run"
    for name in ("config.yaml", "versions.json", "comparison.png", "checkpoints/last.ckpt", "checkpoints/best.ckpt"):
        assert (run / name).stat().st_size > 0, name
    written = json.loads((run / "results.json").read_text())
    assert written == json.loads(json.dumps(content))
    dataset = written["datasets"]["validation"]
    assert set(dataset) >= {"psnr", "ssim", "baseline", "images"}
    assert set(dataset["baseline"]) == {"name", "psnr", "ssim"}
    assert set(dataset["images"]) == {"scene"}
    assert written["protocol"]["name"] == "rgb8"
    told = scalars(run / "tensorboard")
    assert [step for step, _ in told["train/loss"]] == [2, 4, 6]
    for tag in ("train/learning_rate", "train/gradient_norm", "train/images_per_second"):
        assert len(told[tag]) == 3, tag
    for tag in ("psnr", "ssim", "psnr_raw", "ssim_raw"):
        assert [step for step, _ in told[f"validation/{tag}"]] == [3, 6], tag
    assert told["validation/psnr"][-1][1] == pytest.approx(dataset["psnr"], abs=1e-4)


def test_tensorboard_gets_the_grid_and_the_config(tiny, tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    train(tiny())
    images, texts = [], []
    for events in (tmp_path / "run/tensorboard").glob("events*"):
        reader = EventAccumulator(str(events)).Reload()
        for tag in reader.Tags()["images"]:
            images += [(tag, event.step, event.width, event.height) for event in reader.Images(tag)]
        texts += reader.Tags()["tensors"]
    assert [(step, width, height) for _, step, width, height in images] == [(3, 5 * 128, 128), (6, 5 * 128, 128)]
    assert any("config" in tag for tag in texts)


@pytest.mark.parametrize("precision", ["32", "bf16"])
@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_resumed_run_ends_bit_for_bit_as_an_undisturbed_one(
    tiny, tmp_path: Path, precision: str, accumulate: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = (f"precision={precision}", f"trainer.accumulate_grad_batches={accumulate}", "scheduler.warmup=2")
    train(tiny(*settings, run="whole"))

    def interrupt(self: Any, trainer: pl.Trainer, *rest: Any) -> None:
        if trainer.global_step == 4 and not self.interrupted:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(callbacks.Scalars, "on_train_batch_end", lambda self, trainer, *rest: None)
    original = callbacks.SaveAtInterrupt.on_train_batch_end

    def after(self: Any, trainer: pl.Trainer, *rest: Any) -> None:
        interrupt(self, trainer)
        original(self, trainer, *rest)

    monkeypatch.setattr(callbacks.SaveAtInterrupt, "on_train_batch_end", after)
    with pytest.raises(InterruptedRunError, match=r"saved step 4 of 6.*ckpt=.*last.ckpt"):
        train(tiny(*settings, run="broken"))
    monkeypatch.undo()
    last = tmp_path / "broken/checkpoints/last.ckpt"
    train(tiny(*settings, f"ckpt={last}", run="broken"))
    whole, resumed = state(tmp_path / "whole/checkpoints/last.ckpt"), state(last)
    assert same(whole["state_dict"], resumed["state_dict"])
    assert same(whole["optimizer_states"], resumed["optimizer_states"])
    assert same(whole["lr_schedulers"], resumed["lr_schedulers"])
    results = [json.loads((tmp_path / run / "results.json").read_text()) for run in ("whole", "broken")]
    assert results[0]["datasets"] == results[1]["datasets"]


def test_the_same_seed_gives_the_same_weights_and_another_seed_does_not(tiny, tmp_path: Path) -> None:
    for run, seed in (("a", 5), ("b", 5), ("c", 6)):
        train(tiny("steps=2", "validations=1", f"seed={seed}", run=run))
    a, b, c = (state(tmp_path / run / "checkpoints/last.ckpt")["state_dict"] for run in "abc")
    assert same(a, b)
    assert not same(a, c)


def test_deterministic_mode_trains_every_operator(tiny, compose: Compose) -> None:
    from support import CONFIGS

    for operator in sorted(path.stem for path in (CONFIGS / "model/upsampler").glob("*.yaml")):
        settings = ("trainer.deterministic=true", f"model/upsampler={operator}", "steps=1", "validations=1")
        try:
            train(tiny(*settings, run=operator))
        finally:
            torch.use_deterministic_algorithms(False)


def test_a_loss_that_is_lost_stops_the_run_and_keeps_the_last_good_checkpoint(
    tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from upnet.task import Task

    honest = Task.training_step

    def lost(self: Task, batch: dict[str, torch.Tensor], batch_idx: int) -> torch.Tensor:
        loss = honest(self, batch, batch_idx)
        return loss * float("nan") if batch_idx == 4 else loss

    monkeypatch.setattr(Task, "training_step", lost)
    with pytest.raises(NonFiniteLossError, match=r"at step 5, in a batch of picture.*last\.ckpt.*optimizer\.lr"):
        train(tiny())
    kept = load_network(tmp_path / "run/checkpoints/last.ckpt", weights="raw")
    assert kept.step == 3
    assert all(torch.isfinite(parameter).all() for parameter in kept.net.parameters())
    assert not (tmp_path / "run/results.json").exists()


def test_the_last_step_is_scored_and_saved_also_where_the_interval_does_not_meet_it(tiny, tmp_path: Path) -> None:
    content = train(tiny("steps=7", "validations=3"))
    assert load_network(tmp_path / "run/checkpoints/last.ckpt").step == content["step"] == 7
    assert [step for step, _ in scalars(tmp_path / "run/tensorboard")["validation/psnr"]] == [3, 6, 7]


def test_a_finished_run_and_one_under_other_settings_are_not_resumed(tiny, tmp_path: Path) -> None:
    train(tiny("steps=2", "validations=1"))
    before = (tmp_path / "run/results.json").read_bytes()
    ckpt = f"ckpt={tmp_path}/run/checkpoints/last.ckpt"
    with pytest.raises(ValueError, match=r"is finished: it has made 2 steps of 2; raise steps="):
        train(tiny("steps=2", "validations=1", ckpt))
    with pytest.raises(ValueError, match=r"other settings than these; they differ in loss, optimizer, seed\."):
        train(tiny("steps=4", "optimizer.lr=0.1", "loss=mse", "seed=9", ckpt))
    assert (tmp_path / "run/results.json").read_bytes() == before
    assert train(tiny("steps=3", "validations=1", ckpt))["step"] == 3


@pytest.mark.parametrize("precision", ["32", "bf16"])
@pytest.mark.parametrize("algorithm", ["norm", "value"])
def test_gradients_are_clipped(tiny, tmp_path: Path, precision: str, algorithm: str) -> None:
    settings = ("optimizer=sgd", "optimizer.lr=1", "optimizer.momentum=0", "scheduler=constant", "scheduler.warmup=0")
    settings += (f"precision={precision}", "steps=1", "validations=1", f"trainer.gradient_clip_algorithm={algorithm}")
    settings = (*settings[:-1], f"+{settings[-1]}")
    torch.manual_seed(0)
    limit = 0.001 if algorithm == "norm" else 0.0001
    train(tiny(*settings, f"trainer.gradient_clip_val={limit}", run="clipped"))
    train(tiny(*settings, "trainer.gradient_clip_val=1e-9", run="still"))
    clipped, still = (state(tmp_path / run / "checkpoints/last.ckpt")["state_dict"] for run in ("clipped", "still"))
    moved = [clipped[key] - still[key] for key in clipped if key.startswith("net.")]
    if algorithm == "norm":
        assert torch.stack([change.norm() for change in moved]).norm().item() == pytest.approx(limit, rel=0.05)
    else:
        assert max(change.abs().max().item() for change in moved) == pytest.approx(limit, rel=0.05)


def test_the_default_optimizer_trains_with_clipping(tiny) -> None:
    assert train(tiny("trainer.gradient_clip_val=1", "steps=1", "validations=1"))["step"] == 1


def test_the_logged_loss_is_that_of_a_batch_also_where_batches_are_accumulated(tiny, tmp_path: Path) -> None:
    losses = []
    for run, accumulate in (("one", 1), ("four", 4)):
        settings = ("trainer.log_every_n_steps=1", "steps=1", "validations=1", "optimizer.lr=1e-9")
        train(tiny(*settings, f"trainer.accumulate_grad_batches={accumulate}", run=run))
        losses.append(scalars(tmp_path / run / "tensorboard")["train/loss"][0][1])
    assert losses[1] == pytest.approx(losses[0], rel=0.5)


def test_y_float_scores_luma_from_luma(tiny) -> None:
    small = ("model.channels=1", "protocol.name=y-float", "steps=1", "validations=1")
    content = train(tiny(*small))
    assert content["protocol"]["lr"].startswith("float Y")
    from upnet.data import build as build_store
    from upnet.data import open_sets
    from upnet.metrics import Protocol, bicubic, mean

    (store,) = (build_store(source, 2) for source in open_sets(content["val_root"], 2).values())
    protocol = Protocol(name="y-float")
    scores = []
    for index in range(len(store)):
        hr = torch.from_numpy(store.hr(index).copy()).movedim(-1, 0)
        low, target = protocol.degrade(hr, 2)
        scores.append(protocol.score(bicubic(low, 2), target, 2))
    assert content["datasets"]["validation"]["baseline"]["psnr"] == pytest.approx(mean(scores).psnr, abs=1e-5)


def test_y_float_is_refused_for_colour(tiny) -> None:
    with pytest.raises(ValueError, match=r"model\.channels=3; take protocol\.name=rgb8"):
        train(tiny("protocol.name=y-float"))


def test_the_signal_of_ctrl_c_is_given_back_after_an_error(tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    from upnet.task import Task

    before = signal.getsignal(signal.SIGINT)
    monkeypatch.setattr(
        Task, "training_step", lambda self, batch, batch_idx: self.net.tail.output.bias.sum() * float("nan")
    )
    with pytest.raises(NonFiniteLossError):
        train(tiny())
    assert signal.getsignal(signal.SIGINT) is before


def test_hparams_reach_tensorboard(tiny, tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    train(tiny("steps=1", "validations=1"))
    readers = [EventAccumulator(str(path)).Reload() for path in (tmp_path / "run/tensorboard").glob("events*")]
    # Lightning writes the scalars to one event file and SummaryWriter the final metrics to another, in any order.
    plugins = {tag.plugin_data.plugin_name for reader in readers for tag in reader.summary_metadata.values()}
    assert "hparams" in plugins
    final = [tag for reader in readers for tag in reader.Tags()["scalars"] if tag.startswith("final/")]
    assert "final/validation/psnr" in final


def test_a_list_of_operators_from_a_yaml_trains(tiny, compose: Compose) -> None:
    """The README's example, as it stands there."""
    import re

    from support import CONFIGS, ROOT

    yaml = re.search(r"```yaml\n(# @package _global_\n.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert yaml is not None
    path = CONFIGS / "experiment/_readme_example.yaml"
    path.write_text(yaml[1])
    try:
        content = train(tiny("experiment=_readme_example", "steps=1", "validations=1"))
    finally:
        path.unlink()
    assert [node["_target_"].rsplit(".", 1)[-1] for node in content["model"]["upsampler"]] == [
        "MaxUnpool",
        "Transposed",
    ]


def test_accumulated_batches_make_one_step_and_one_average(tiny, tmp_path: Path) -> None:
    content = train(tiny("trainer.accumulate_grad_batches=3", "steps=2", "validations=1"))
    assert content["step"] == 2


def test_averaged_weights_follow_the_raw_ones_by_the_decay() -> None:
    from upnet.ema import EMA

    net = torch.nn.BatchNorm1d(2)
    ema = EMA(net, decay=0.9)
    net.weight.data.fill_(3.0)
    net.running_mean.fill_(10.0)  # pyright: ignore[reportOptionalMemberAccess]
    net.num_batches_tracked.fill_(7)  # pyright: ignore[reportOptionalMemberAccess]
    ema.update(net, step=1000)
    assert isinstance(ema.net, torch.nn.BatchNorm1d)
    torch.testing.assert_close(ema.net.weight.data, torch.full((2,), 0.9 * 1 + 0.1 * 3))
    torch.testing.assert_close(ema.net.running_mean, torch.full((2,), 0.1 * 10.0))
    assert ema.net.num_batches_tracked == 7


def test_early_averages_forget_the_initial_weights() -> None:
    from upnet.ema import EMA

    net = torch.nn.Linear(1, 1, bias=False)
    ema = EMA(net, decay=0.999)
    net.weight.data.fill_(5.0)
    for step in range(1, 60):
        ema.update(net, step)
    assert isinstance(ema.net, torch.nn.Linear)
    assert ema.net.weight.item() == pytest.approx(5.0, abs=1e-3)


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (["scale=2.5"], "scale: 2.5 is not allowed"),
        (["steps=many"], "steps: 'many' is not allowed"),
        (["precision=fp8"], "precision: 'fp8' is not allowed"),
        (["trainer.max_steps=ten"], "trainer.max_steps"),
        (["+optimizer.lrr=1"], r"lrr.*did you mean optimizer\.lr"),
        (["+trainer.acelerator=cpu"], r"acelerator.*did you mean trainer\.accelerator"),
        (["+model.encoder.widht=3"], r"widht.*did you mean model\.encoder\.width"),
        (["+stpes=3"], "stpes.*did you mean steps"),
        (["ema=1.5"], "ema: 1.5 is not allowed"),
    ],
)
def test_unknown_and_unfit_settings_are_refused_before_anything_is_built(
    tiny, tmp_path: Path, overrides: list[str], told: str
) -> None:
    with pytest.raises(ConfigError, match=told):
        tiny(*overrides)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("override", "told"),
    [("optimizer.lr=-1", "optimizer: Invalid learning rate"), ("optimizer.betas=[2,0.9]", "optimizer:")],
)
def test_what_torch_refuses_is_refused_before_a_run_begins(tiny, tmp_path: Path, override: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        train(tiny(override))
    assert not (tmp_path / "run").exists()


def test_a_checkpoint_holds_the_network_and_its_average_and_no_more(tiny, tmp_path: Path) -> None:
    train(tiny("steps=1", "validations=1"))
    keys = state(tmp_path / "run/checkpoints/last.ckpt")["state_dict"].keys()
    assert {key.split(".")[0] for key in keys} == {"net", "ema"}


def test_resuming_another_network_is_refused(tiny, tmp_path: Path) -> None:
    train(tiny("steps=2", "validations=1"))
    with pytest.raises(ValueError, match=r"another network.*differ in encoder"):
        train(tiny(f"ckpt={tmp_path}/run/checkpoints/last.ckpt", "model.encoder.width=5", run="other"))


def test_the_newest_checkpoint_is_found(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="ckpt=last looks for"):
        training.newest_checkpoint(tmp_path)
    for number, name in enumerate(("old/x", "new")):
        path = tmp_path / name / "checkpoints/last.ckpt"
        path.parent.mkdir(parents=True)
        path.write_bytes(b"")
        os.utime(path, (number, number))
    assert training.newest_checkpoint(tmp_path) == tmp_path / "new/checkpoints/last.ckpt"


def test_an_operator_from_outside_trains_and_its_checkpoint_needs_trust(
    tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "my_operators.py").write_text(
        "import torch.nn.functional as F\n"
        "from upnet.upsample import Upsampler\n\n\n"
        "class Doubled(Upsampler):\n"
        "    def expand(self, x, site):\n"
        "        return x.repeat_interleave(self.scale, 2).repeat_interleave(self.scale, 3)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    overrides = ["model.upsampler._target_=my_operators.Doubled", "steps=1", "validations=1"]
    config = tiny("steps=1", "validations=1")
    config.model.upsampler._target_ = "my_operators.Doubled"
    retarget(config, overrides)
    check(config, TrainSettings)
    train(config)
    checkpoint = tmp_path / "run/checkpoints/last.ckpt"
    with pytest.raises(ValueError, match="trust=my_operators"):
        load_network(checkpoint)
    loaded = load_network(checkpoint, trust=["my_operators"])
    assert type(loaded.net.decoder.levels[0].upsampler).__name__ == "Doubled"  # pyright: ignore[reportOptionalMemberAccess]


@pytest.mark.gpu
def test_a_gpu_trains_and_its_checkpoint_scores_the_same_on_the_cpu(tiny, tmp_path: Path) -> None:
    from upnet.data import build as build_store
    from upnet.data import open_sets
    from upnet.metrics import Protocol
    from upnet.scoring import score_sets

    content = train(tiny("trainer=gpu"))
    loaded = load_network(tmp_path / "run/checkpoints/last.ckpt")
    sources = open_sets(content["val_root"], 2)
    stores = {name: build_store(source, 2) for name, source in sources.items()}
    for tally in score_sets(loaded.net, stores, Protocol()):
        assert tally.means()[0].psnr == pytest.approx(content["datasets"][tally.name]["psnr"], abs=0.01)
