"""A signal to all processes of a run saves a checkpoint and determines the exit code."""

import os
import signal
import time
from pathlib import Path

import pytest
import torch
from support import code, command

from upnet.checkpoint import load_network
from upnet.training.task import Task


@pytest.mark.rotating
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1], ids=lambda number: number.name)
def test_a_signal_to_all_processes_saves_a_checkpoint_and_sets_the_exit_code(
    small: list[str], tmp_path: Path, number: signal.Signals
) -> None:
    run, output = tmp_path / "run", tmp_path / "output.txt"
    endless = ("steps=100000", "validations=100000", "callbacks.grid=null", "data.workers=2")
    process = command([*small, *endless, f"hydra.run.dir={run}"], output, before=os.setsid)
    last = run / "checkpoints/last.ckpt"
    while not last.exists() and process.is_alive():
        time.sleep(0.01)
    assert process.pid is not None
    os.killpg(process.pid, number)
    assert code(process) == 128 + number, output.read_text()
    assert (
        f"saved step {load_network(last).step} of 100000. Continue with the same command and ckpt={last}"
        in output.read_text()
    )
    assert output.read_text().count("Interrupted: training ends after this step") == 1


def test_a_second_signal_ends_the_run_at_once_without_saving(small: list[str], tmp_path: Path) -> None:
    run, output = tmp_path / "run", tmp_path / "output.txt"

    def send_two_signals() -> None:
        original = Task.training_step

        def step(self: Task, batch: dict[str, torch.Tensor], batch_idx: int) -> torch.Tensor:
            for _ in range(2 * (batch_idx == 1)):
                os.kill(os.getpid(), signal.SIGTERM)
            return original(self, batch, batch_idx)

        Task.training_step = step

    assert code(command([*small, f"hydra.run.dir={run}"], output, send_two_signals)) == 1, output.read_text()
    assert "A second signal ends it at once, without saving" in output.read_text()
    assert not (run / "checkpoints").exists()


def test_a_non_finite_loss_ends_with_exit_code_1(small: list[str], tmp_path: Path) -> None:
    output = tmp_path / "output.txt"
    assert code(command([*small, "optimizer.lr=1e30", f"hydra.run.dir={tmp_path}/run"], output)) == 1
    assert "no longer finite at step" in output.read_text()
    assert "Traceback" not in output.read_text()
