"""torch's optimizers and schedulers train and resume, or are rejected before training."""

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import pytest
from support import ROOT, same, scalars, state

from upnet.config import check
from upnet.config.schema import TrainSettings
from upnet.training import train
from upnet.utils.errors import UserError

TORCH = "torch.optim.lr_scheduler"
LINEAR = {"_target_": f"{TORCH}.LinearLR", "_partial_": True, "total_iters": 2}
EXPONENTIAL = {"_target_": f"{TORCH}.ExponentialLR", "_partial_": True, "gamma": 0.9}
SCHEDULERS = {
    "LambdaLR": {"lr_lambda": {"_target_": "math.erf", "_partial_": True}},
    "MultiplicativeLR": {"lr_lambda": {"_target_": "math.erf", "_partial_": True}},
    "StepLR": {"step_size": 2},
    "MultiStepLR": {"milestones": [2, 4]},
    "ConstantLR": {"total_iters": 4},
    "LinearLR": {"total_iters": 4},
    "ExponentialLR": {"gamma": 0.9},
    "SequentialLR": {"schedulers": [LINEAR, EXPONENTIAL], "milestones": [4]},
    "ChainedScheduler": {"schedulers": [LINEAR, EXPONENTIAL]},
    "PolynomialLR": {"total_iters": 6},
    "CosineAnnealingLR": {"T_max": 6},
    "CosineAnnealingWarmRestarts": {"T_0": 2},
    "CyclicLR": {"base_lr": 0.001, "max_lr": 0.01, "step_size_up": 2},
    "OneCycleLR": {"max_lr": 0.01, "total_steps": 6},
    "ReduceLROnPlateau": {"mode": "max", "patience": 0, "threshold": 100, "threshold_mode": "abs"},
}
OPTIMIZERS = (
    *("Adadelta", "Adafactor", "Adagrad", "Adam", "AdamW", "Adamax", "ASGD", "LBFGS"),
    *("NAdam", "RAdam", "RMSprop", "Rprop", "SGD"),
)


@pytest.fixture
def with_node(tiny):
    """The settings of a training with another optimizer or scheduler: with_node("scheduler", {...}, "steps=6")."""

    def config(place: str, node: dict[str, object], *overrides: str, run: str = "run"):
        settings = dataclasses.asdict(tiny(*overrides, run=run))
        return check({**settings, place: {"_partial_": True, **node}}, TrainSettings)

    return config


def assert_resumed_run_is_equal(tmp_path: Path) -> None:
    reference, resumed = (state(tmp_path / run / "checkpoints/last.ckpt") for run in ("reference", "resumed"))
    for part in ("state_dict", "optimizer_states", "lr_schedulers"):
        assert same(reference[part], resumed[part]), part


@pytest.mark.rotating
@pytest.mark.parametrize("name", SCHEDULERS)
def test_a_torch_scheduler_trains_and_resumes_exactly(with_node, tmp_path: Path, name: str) -> None:
    node = {"_target_": f"{TORCH}.{name}", **SCHEDULERS[name]}
    small = ("callbacks.checkpoints.minutes=1e-9", "callbacks.grid=null")
    train(with_node("scheduler", node, *small, run="reference"))
    train(with_node("scheduler", node, *small, f"ckpt={tmp_path}/reference/checkpoints/last-1.ckpt", run="resumed"))
    assert_resumed_run_is_equal(tmp_path)


@pytest.mark.rotating
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_torch_optimizer_trains_and_resumes_exactly(with_node, tmp_path: Path, name: str) -> None:
    node: dict[str, object] = {"_target_": f"torch.optim.{name}"}
    small = ("steps=4", "precision=32", "callbacks.grid=null", "callbacks.checkpoints.minutes=1e-9")
    if name == "LBFGS":
        node, small = {**node, "lr": 0.01, "max_iter": 2}, (*small, "channels_last=false")
    train(with_node("optimizer", node, *small, run="reference"))
    train(with_node("optimizer", node, *small, f"ckpt={tmp_path}/reference/checkpoints/last-1.ckpt", run="resumed"))
    assert_resumed_run_is_equal(tmp_path)


def test_milestones_lower_the_learning_rate_at_their_steps(tiny, tmp_path: Path) -> None:
    train(tiny("scheduler=multistep", "scheduler.milestones=[2,4]", "trainer.log_every_n_steps=1", "optimizer.lr=0.01"))
    rates = [rate for _, rate in scalars(tmp_path / "run/tensorboard")["train/learning_rate"]]
    # The learning rate is logged after the scheduler's step.
    assert rates == pytest.approx([0.01, 0.005, 0.005, 0.0025, 0.0025, 0.0025])


def test_a_plateau_of_the_validation_psnr_lowers_the_learning_rate(tiny, tmp_path: Path) -> None:
    settings = ("scheduler=plateau", "scheduler.patience=0", "scheduler.threshold=100", "optimizer.lr=0.01")
    train(tiny(*settings, "validations=3"))
    (scheduler,) = state(tmp_path / "run/checkpoints/last.ckpt")["lr_schedulers"]
    assert scheduler["last_epoch"] == 3  # number of validations
    assert scheduler["_last_lr"] == [pytest.approx(0.0025)]
    longer = (*settings, "validations=1", "steps=8", f"ckpt={tmp_path}/run/checkpoints/last.ckpt")
    assert train(tiny(*longer))["step"] == 8


@pytest.mark.parametrize(
    ("place", "node", "message"),
    [
        (
            "scheduler",
            {"_target_": f"{TORCH}.MultiStepLR"},
            r"scheduler\.milestones: required by MultiStepLR",
        ),
        ("scheduler", {"_target_": f"{TORCH}.ReduceLROnPlateau"}, r"scheduler\.mode=min: .*Set scheduler\.mode=max"),
        (
            "scheduler",
            {"_target_": f"{TORCH}.OneCycleLR", "max_lr": 1.0, "total_steps": 4},
            r"total_steps=4: the schedule ends before",
        ),
        ("scheduler", {"_target_": "math.prod"}, "scheduler: "),
        ("optimizer", {"_target_": "torch.optim.SparseAdam"}, "optimizer: its step fails: SparseAdam does not support"),
        ("optimizer", {"_target_": "torch.optim.Muon"}, "optimizer: Muon only supports 2D.*Choose another optimizer"),
        ("optimizer", {"_target_": "torch.optim.LBFGS"}, "optimizer: its step fails: .*or channels_last=false"),
        (
            "optimizer",
            {"_target_": "torch.nn.ParameterList"},
            "optimizer=torch.nn.ParameterList: must be a",
        ),
    ],
)
def test_unusable_optimizers_and_schedulers_are_rejected_before_training(
    with_node, tmp_path: Path, place: str, node: dict[str, object], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        train(with_node(place, node))
    assert not (tmp_path / "run").exists()


def test_a_scheduler_with_unsaveable_state_is_rejected(
    with_node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "my_schedule.py").write_text(
        "import threading\n"
        "from torch.optim.lr_scheduler import ExponentialLR\n\n\n"
        "class Locked(ExponentialLR):\n"
        "    def __init__(self, optimizer):\n"
        "        super().__init__(optimizer, 0.9)\n"
        "        self.lock = threading.Lock()\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UserError, match=r"scheduler: its state cannot be saved.*Choose another scheduler"):
        train(with_node("scheduler", {"_target_": "my_schedule.Locked"}))


def test_lbfgs_with_accumulated_batches_is_rejected(with_node) -> None:
    node, overrides = {"_target_": "torch.optim.LBFGS"}, ("channels_last=false", "trainer.accumulate_grad_batches=2")
    with pytest.raises(UserError, match=r"accumulate_grad_batches=2: LBFGS computes the loss.*Allowed: 1"):
        train(with_node("optimizer", node, *overrides))


@pytest.mark.full
def test_a_missing_compiler_is_reported_before_training(small: list[str], tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "train.py"), *small, "compile=true", f"hydra.run.dir={tmp_path}/run"]
    environment = {
        **os.environ,
        "CXX": str(tmp_path / "no-compiler"),
        "TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "cache"),
    }
    process = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=240, env=environment)
    assert process.returncode == 2, process.stderr
    assert "compile=true: needs a C++ compiler" in process.stderr
    assert "set compile=false" in process.stderr
    assert "Traceback" not in process.stderr
    assert not (tmp_path / "run").exists()
