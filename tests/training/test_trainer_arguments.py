"""Each argument of Lightning's Trainer is supported, or rejected before training."""

import inspect
import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from lightning_fabric.utilities.exceptions import MisconfigurationException
from pytorch_lightning.callbacks import Timer
from support import ROOT, same, scalars, state

from upnet.training import train
from upnet.training.trainer import translate_lightning_errors
from upnet.training.trainer_arguments import REJECTED, SUPPORTED, check_arguments
from upnet.utils.errors import UserError

REJECTED_VALUES: dict[str, Any] = {
    "precision": "16-mixed",
    "logger": False,
    "callbacks": [],
    "fast_dev_run": True,
    "max_epochs": 0,
    "min_epochs": 2,
    "min_steps": 3,
    "limit_train_batches": 3,
    "limit_val_batches": 0,
    "limit_test_batches": 1,
    "limit_predict_batches": 1,
    "overfit_batches": 1,
    "val_check_interval": 2,
    "check_val_every_n_epoch": 1,
    "num_sanity_val_steps": 2,
    "enable_checkpointing": False,
    "enable_progress_bar": False,
    "enable_model_summary": True,
    "use_distributed_sampler": True,
    "reload_dataloaders_every_n_epochs": 1,
    "barebones": True,
    "default_root_dir": "elsewhere",
    "enable_autolog_hparams": False,
    "model_registry": "mine",
}
"""For each rejected argument, a value that would change a run."""


def test_each_argument_of_the_installed_trainer_is_supported_or_rejected() -> None:
    assert not SUPPORTED & REJECTED.keys()
    assert set(inspect.signature(pl.Trainer).parameters) == SUPPORTED | REJECTED.keys()
    assert REJECTED_VALUES.keys() == REJECTED.keys()


@pytest.mark.parametrize("name", sorted(REJECTED))
def test_a_rejected_argument_is_reported_with_reason_and_suggestion(tiny, tmp_path: Path, name: str) -> None:
    rejection = REJECTED[name]
    with pytest.raises(ValueError, match=rf"trainer\.{name}=") as raised:
        check_arguments({name: REJECTED_VALUES[name]}, 6)
    assert str(raised.value).endswith(f": not supported: {rejection.reason}. {rejection.cure}".removesuffix("."))
    for value in rejection.harmless:
        check_arguments({name: value}, 6)


def test_limit_val_batches_of_one_batch_is_rejected(tiny) -> None:
    with pytest.raises(ValueError, match=r"trainer\.limit_val_batches=1: not supported"):
        check_arguments({"limit_val_batches": 1}, 6)


def test_an_argument_of_a_later_lightning_version_is_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("upnet.training.trainer_arguments.SUPPORTED", SUPPORTED - {"benchmark"})
    with pytest.raises(ValueError, match=r"trainer\.benchmark=true: not supported by this version of upnet"):
        check_arguments({"benchmark": True}, 6)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("+trainer.limit_val_batches=0", r"trainer\.limit_val_batches=0: not supported.*data\.val_root="),
        ("+trainer.overfit_batches=1", r"trainer\.overfit_batches=1: not supported.*data\.root="),
        ("trainer.max_steps=2", r"trainer\.max_steps=2: differs from steps=6\. Set steps="),
        ("+trainer.max_time=soon", r"trainer\.max_time=soon: must be DD:HH:MM:SS"),
        ("+trainer.gradient_clip_algorithm=size", r"gradient_clip_algorithm=size: must be norm or value"),
        ("+trainer.profiler=fast", r"trainer\.profiler=fast: must be simple, advanced or pytorch"),
        ("+trainer.profiler._target_=pytorch_lightning.profilers.PyTorchProfiler", "record_module_names=false"),
        ("trainer.accelerator=tpu", r"trainer\.accelerator=tpu: .*Apple's MPS.*trainer=cpu"),
        ("trainer.devices=[0]", r"trainer\.accelerator=cpu: Lightning rejects it with trainer\.devices=\[0\]"),
        ("+trainer.strategy=ddp_spawn", r"trainer\.strategy=DDPStrategy: .*Set trainer=ddp"),
        (
            "+trainer.plugins._target_=pytorch_lightning.plugins.TorchCheckpointIO",
            r"trainer\.plugins=TorchCheckpointIO",
        ),
        ("trainer._partial_=false", r"trainer\._partial_=false: must be true"),
        ("+trainer.num_nodes=2", r"trainer\.num_nodes=2: the training would wait for other machines.*srun or torchrun"),
    ],
)
def test_unsupported_values_are_rejected_before_training(tiny, tmp_path: Path, override: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        train(tiny(override))
    assert not (tmp_path / "run").exists()


@pytest.mark.rotating
@pytest.mark.parametrize(
    "override",
    [
        "trainer.deterministic=warn",
        "+trainer.benchmark=true",
        "+trainer.inference_mode=false",
        "+trainer.detect_anomaly=true",
        "+trainer.sync_batchnorm=true",
        "+trainer.limit_val_batches=1.0",
        "+trainer.plugins._target_=lightning_fabric.plugins.environments.LightningEnvironment",
        "+trainer.strategy._target_=pytorch_lightning.strategies.SingleDeviceStrategy",
        "+callbacks.summary._target_=pytorch_lightning.callbacks.RichModelSummary",
        *(f"+trainer.profiler={name}" for name in ("simple", "advanced", "pytorch")),
        "+trainer.profiler._target_=pytorch_lightning.profilers.SimpleProfiler",
    ],
)
def test_a_supported_argument_trains_validates_and_writes_results(tiny, tmp_path: Path, override: str) -> None:
    before = torch.are_deterministic_algorithms_enabled()
    try:
        content = train(tiny(override, "steps=4"))
    finally:
        torch.use_deterministic_algorithms(before)
    assert content["step"] == 4
    assert json.loads((tmp_path / "run/results.json").read_text())["datasets"]["validation"]["images"].keys() == {
        "scene"
    }
    assert [step for step, _ in scalars(tmp_path / "run/tensorboard")["validation/psnr"]] == [2, 4]
    if "profiler" in override:
        assert any(path.stat().st_size for path in (tmp_path / "run").glob("*profile*"))


@pytest.mark.full
def test_a_run_resumed_after_a_time_limit_equals_an_uninterrupted_run(
    tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(tiny(run="reference"))
    original = Timer.on_train_batch_end

    def advance_timer(self: Timer, trainer: pl.Trainer, *rest: Any) -> None:
        if trainer.global_step == 2:
            monkeypatch.setattr(self, "_offset", 60)
        original(self, trainer, *rest)

    monkeypatch.setattr(Timer, "on_train_batch_end", advance_timer)
    content = train(tiny("+trainer.max_time={minutes:1}", run="limited"))
    monkeypatch.undo()
    assert content["step"] == 2
    assert content["datasets"]["validation"]["images"].keys() == {"scene"}
    last = tmp_path / "limited/checkpoints/last.ckpt"
    with pytest.raises(ValueError, match=r"trainer\.max_time: used up: training up to step 2 of .* s\. Raise it"):
        train(tiny("+trainer.max_time={minutes:1}", f"ckpt={last}", run="limited"))
    assert train(tiny("+trainer.max_time={hours:1}", f"ckpt={last}", run="limited"))["step"] == 6
    assert same(state(tmp_path / "reference/checkpoints/last.ckpt")["state_dict"], state(last)["state_dict"])


@pytest.mark.full
def test_early_stopping_writes_results(tiny, tmp_path: Path) -> None:
    stop = ("_target_=pytorch_lightning.callbacks.EarlyStopping", "monitor=val/psnr", "mode=max", "patience=1")
    settings = (*(f"+callbacks.stop.{argument}" for argument in (*stop, "min_delta=100")), "validations=6")
    content = train(tiny(*settings))
    assert content["step"] == 2
    assert [step for step, _ in scalars(tmp_path / "run/tensorboard")["validation/psnr"]] == [1, 2]
    assert json.loads((tmp_path / "run/results.json").read_text())["step"] == 2


@pytest.mark.parametrize("arguments", [("monitor=val/loss", "mode=max"), ("monitor=val/psnr",)])
def test_early_stopping_on_an_unlogged_metric_or_in_mode_min_is_rejected(
    tiny, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    arguments = ("_target_=pytorch_lightning.callbacks.EarlyStopping", *arguments)
    with pytest.raises(ValueError, match=r"EarlyStopping monitors .*Set monitor=val/psnr and mode=max"):
        train(tiny(*(f"+callbacks.stop.{argument}" for argument in arguments)))
    assert not (tmp_path / "run").exists()


def test_a_misconfiguration_error_of_lightning_becomes_a_user_error() -> None:
    with (
        pytest.raises(UserError, match=r"^Lightning rejects these settings: no such thing$"),
        translate_lightning_errors(),
    ):
        raise MisconfigurationException("no such\nthing")


@pytest.mark.parametrize(
    "variables",
    [
        {"SLURM_NTASKS": "4"},
        {"SLURM_NTASKS": "4", "SLURM_NTASKS_PER_NODE": "4", "SLURM_PROCID": "0", "SLURM_JOB_ID": "123456"},
        {"SLURM_NTASKS": "4", "SLURM_NTASKS_PER_NODE": "4", "SLURM_PROCID": "0", "SLURM_STEP_ID": "0"},
    ],
)
def test_one_process_of_a_slurm_job_with_four_tasks_is_rejected(
    tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ValueError, match=r"^SLURM_NTASKS=4: the SLURM job has 4 processes.*SLURM_NTASKS=1.*by srun"):
        train(tiny())
    assert not (tmp_path / "run").exists()


def test_one_process_of_a_slurm_job_with_one_task_trains(tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_NTASKS", "1")
    assert train(tiny("steps=1", "validations=1"))["step"] == 1


@pytest.mark.full
def test_two_nodes_train_one_network(small: list[str], tmp_path: Path) -> None:
    with socket.socket() as free_port_socket:
        free_port_socket.bind(("127.0.0.1", 0))
        port = free_port_socket.getsockname()[1]
    overrides = [override for override in small if not override.startswith("trainer=")]
    overrides += ["trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=1", "+trainer.num_nodes=2", "steps=2"]
    command = [sys.executable, str(ROOT / "train.py"), *overrides, "validations=1", f"hydra.run.dir={tmp_path}/run"]
    environment = {**os.environ, "LOCAL_RANK": "0", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    nodes = [subprocess.Popen(command, cwd=tmp_path, env={**environment, "NODE_RANK": str(rank)}) for rank in (0, 1)]
    assert [node.wait(240) for node in nodes] == [0, 0]
    assert json.loads((tmp_path / "run/results.json").read_text())["step"] == 2
