"""Cells of a study: each is trained once, also after kills, interrupts and failures."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
from support import ROOT, Compose, forked, same, score_by, state

from upnet.checkpoint import load_network
from upnet.study import runner as study_module
from upnet.study.cells import claimed
from upnet.study.finished_runs import read_study
from upnet.study.runner import FailedCellsError, run_study
from upnet.training.callbacks import SaveAtInterrupt, Scalars
from upnet.utils.errors import InterruptedRunError

ARMS = {"nearest": "model/upsampler=nearest", "transposed": "model/upsampler=transposed"}


@pytest.fixture(scope="module")
def overrides(words) -> list[str]:
    return words(arms=ARMS)


@pytest.fixture(scope="module")
def start(compose: Compose) -> Callable[[Sequence[str], Path], None]:
    """Run or resume a study: start(overrides, folder)."""
    return lambda overrides, folder: run_study(compose(*overrides), overrides, folder)


@pytest.fixture(scope="module")
def undisturbed(overrides: list[str], start, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The finished study, trained without an interruption."""
    folder = tmp_path_factory.mktemp("undisturbed")
    start(overrides, folder)
    return folder


def sessions(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """The recorded sessions of every cell, by the name of its folder."""
    return {
        path.parent.name: json.loads(path.read_text())["sessions"] for path in sorted(folder.glob("cells/*/cell.json"))
    }


def check_same(folder: Path, undisturbed: Path) -> None:
    """Assert that the cells of two studies are bit-identical."""
    cells = sorted(path.name for path in undisturbed.glob("cells/*"))
    assert sorted(path.name for path in folder.glob("cells/*")) == cells
    for cell in cells:
        one, other = (state(study / "cells" / cell / "checkpoints/last.ckpt") for study in (folder, undisturbed))
        for part in ("state_dict", "optimizer_states", "lr_schedulers", "upnet"):
            assert same(one[part], other[part]), (cell, part)
        results = [json.loads((study / "cells" / cell / "results.json").read_text()) for study in (folder, undisturbed)]
        assert results[0]["datasets"] == results[1]["datasets"]


def test_finished_study_has_plan_cells_and_results(undisturbed: Path) -> None:
    gathered = json.loads((undisturbed / "cells.json").read_text())
    assert [(cell["arm"], cell["state"]) for cell in gathered["cells"]] == [(arm, "finished") for arm in ARMS]
    for cell in gathered["cells"]:
        results = json.loads((undisturbed / cell["folder"] / "results.json").read_text())
        assert cell["datasets"]["scene"]["psnr"] == results["datasets"]["scene"]["psnr"]
    arms, unfinished = read_study(undisturbed)
    assert {arm.name for arm in arms} == set(ARMS)
    assert not unfinished


@pytest.mark.full
def test_results_are_those_of_the_last_step_not_the_best(
    overrides: list[str], start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    score_by(monkeypatch, lambda step: -step)
    start(overrides, tmp_path)
    arms, _ = read_study(tmp_path)
    runs = [run for arm in arms for run in arm.runs]
    assert [load_network(run.checkpoint).step for run in runs] == [4, 4]
    assert [json.loads((run.folder / "results.json").read_text())["step"] for run in runs] == [4, 4]


def is_in_second_cell(trainer: pl.Trainer) -> bool:
    return trainer.global_step == 3 and "transposed" in str(trainer.checkpoint_callback.dirpath)  # pyright: ignore


def test_killed_study_resumes_to_identical_cells(
    overrides: list[str], start, undisturbed: Path, tmp_path: Path
) -> None:
    def run() -> None:
        original = Scalars.on_train_batch_end

        def kill(self: Scalars, trainer: pl.Trainer, *rest: Any) -> None:
            original(self, trainer, *rest)
            if is_in_second_cell(trainer):
                os.kill(os.getpid(), signal.SIGKILL)

        Scalars.on_train_batch_end = kill  # pyright: ignore[reportAttributeAccessIssue]
        start(overrides, tmp_path)

    process = forked(run)
    process.join(120)
    assert process.exitcode == -signal.SIGKILL
    start(overrides, tmp_path)
    check_same(tmp_path, undisturbed)
    assert [[(one["step"], one["ended"]) for one in recorded] for recorded in sessions(tmp_path).values()].count(
        [(0, "finished")]
    ) == 1
    assert [(0, None), (2, "finished")] in [
        [(one["step"], one["ended"]) for one in recorded] for recorded in sessions(tmp_path).values()
    ]


@pytest.mark.full
def test_cell_killed_before_its_results_is_completed(
    overrides: list[str], start, undisturbed: Path, tmp_path: Path
) -> None:
    def run() -> None:
        from upnet.training import runner as training

        training.finalize = lambda *rest: os.kill(os.getpid(), signal.SIGKILL)
        start(overrides, tmp_path)

    process = forked(run)
    process.join(120)
    assert process.exitcode == -signal.SIGKILL
    start(overrides, tmp_path)
    check_same(tmp_path, undisturbed)


def test_finished_cells_are_not_repeated(words, start, undisturbed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path: path.stat().st_mtime_ns for path in undisturbed.glob("cells/*/results.json")}
    start(words(arms=ARMS), undisturbed)
    assert "All 2 cells are finished" in capsys.readouterr().out
    assert {path: path.stat().st_mtime_ns for path in before} == before


@pytest.mark.full
def test_two_processes_share_the_cells(words, start, tmp_path: Path) -> None:
    overrides = words(arms=ARMS, seeds=[0, 1])
    both = multiprocessing.get_context("fork").Barrier(2)

    def run() -> None:
        original, waited = study_module.run_cell, []

        def wait_and_run(*rest: Any) -> None:
            if not waited:
                waited.append(both.wait(60))
            original(*rest)

        study_module.run_cell = wait_and_run
        start(overrides, tmp_path)

    processes = [forked(run) for _ in range(2)]
    for process in processes:
        process.join(180)
    assert [process.exitcode for process in processes] == [0, 0]
    done = sessions(tmp_path)
    assert len(done) == 4
    assert all([one["ended"] for one in recorded] == ["finished"] for recorded in done.values())
    assert len({recorded[0]["process"] for recorded in done.values()}) == 2


def test_cell_locked_by_another_process_is_skipped(
    overrides: list[str], start, plan, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = plan(overrides, tmp_path).cells[0]
    with claimed(first):
        start(overrides, tmp_path)
    assert "1 of 2 cells are being trained by other processes" in capsys.readouterr().out
    assert len(sessions(tmp_path)) == 1


def test_failed_cell_is_recorded_and_retried(
    words, start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    overrides = words(arms=ARMS)
    from upnet.study import execution as cell_module

    original = cell_module.train

    def out_of_memory(config: Any) -> dict[str, Any]:
        if "Nearest" in config.model["upsampler"]["_target_"]:
            raise RuntimeError("CUDA out of memory")
        return original(config)

    monkeypatch.setattr(cell_module, "train", out_of_memory)
    for attempts in (1, 2):
        with pytest.raises(
            FailedCellsError, match="1 of 2 cells failed: nearest, seed 0: RuntimeError: CUDA out of me"
        ):
            start(overrides, tmp_path)
        (failed,) = tmp_path.glob("cells/*/failed.json")
        failure = json.loads(failed.read_text())
        assert failure["attempts"] == attempts
        assert "out_of_memory" in failure["traceback"]
    gathered = json.loads((tmp_path / "cells.json").read_text())
    assert [cell["state"] for cell in gathered["cells"]] == ["failed", "finished"]
    monkeypatch.undo()
    start(overrides, tmp_path)
    assert not failed.exists()
    assert json.loads((tmp_path / "cells.json").read_text())["finished"] == 2
    assert "failed: RuntimeError: CUDA out of memory; see" in capsys.readouterr().out


def test_cells_of_other_code_are_rejected_unless_accepted(
    overrides: list[str], start, undisturbed: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from upnet.study import expansion as planning

    original = planning.code_version
    monkeypatch.setattr(planning, "code_version", lambda targets: {**original(targets), "source": "changed"})
    with pytest.raises(ValueError, match=r"2 of 2 cells.*nearest, seed 0, .*source \w+ and changed.*accept_other_code"):
        start(overrides, undisturbed)
    start([*overrides, "study.accept_other_code=true"], undisturbed)
    assert "accepted because of study.accept_other_code=true" in capsys.readouterr().out
    assert all(len(recorded) == 1 for recorded in sessions(undisturbed).values())


def test_code_version_includes_user_modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from upnet.study.code_version import code_version, describe_differences

    module = tmp_path / "my_blocks.py"
    module.write_text("class Block: ...\n")
    monkeypatch.syspath_prepend(tmp_path)
    before = code_version(["my_blocks.Block", "torch.optim.AdamW", "upnet.upsample.Nearest"])
    assert set(before) == {"upnet", "source", "torch", "my_blocks"}
    module.write_text("class Block:\n    size = 3\n")
    (difference,) = describe_differences(before, code_version(["my_blocks.Block"]))
    assert difference.startswith("my_blocks ")


@pytest.mark.full
def test_ctrl_c_saves_the_current_cell(
    overrides: list[str], start, undisturbed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = SaveAtInterrupt.on_train_batch_end

    def press(self: SaveAtInterrupt, trainer: pl.Trainer, *rest: Any) -> None:
        if is_in_second_cell(trainer) and not self.interrupted:
            os.kill(os.getpid(), signal.SIGINT)
        original(self, trainer, *rest)

    monkeypatch.setattr(SaveAtInterrupt, "on_train_batch_end", press)
    with pytest.raises(InterruptedRunError, match="interrupted; the current cell is saved") as caught:
        start(overrides, tmp_path)
    assert caught.value.signal == signal.SIGINT
    monkeypatch.undo()
    start(overrides, tmp_path)
    check_same(tmp_path, undisturbed)
    assert [(0, "interrupted"), (3, "finished")] in [
        [(one["step"], one["ended"]) for one in recorded] for recorded in sessions(tmp_path).values()
    ]


@pytest.mark.full
def test_ctrl_c_between_cells_explains_how_to_resume(
    overrides: list[str], start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def press(*rest: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(study_module, "run_cell", press)
    with pytest.raises(InterruptedRunError, match="The same command resumes the study") as caught:
        start(overrides, tmp_path)
    assert caught.value.signal == signal.SIGINT


@pytest.mark.full
def test_cell_that_kills_its_process_runs_last(
    overrides: list[str], start, plan, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from upnet.study.cells import begin_session

    planned = plan(overrides, tmp_path)
    with claimed(planned.cells[0]):
        for _ in range(2):
            begin_session(planned.cells[0], planned.code, 0)
    start(overrides, tmp_path)
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("cell ")]
    assert lines[0].startswith("cell 2 of 2: transposed")
    assert lines[1].startswith("cell 1 of 2: nearest")


@pytest.mark.full
def test_joblib_workers_share_one_study(words, tmp_path: Path) -> None:
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher", reason="pip install -e '.[launch]'")
    overrides = words(arms=ARMS, seeds=[0, 1])
    command = [sys.executable, str(ROOT / "train.py"), "-m", *overrides, "study.worker=0,1", "hydra/launcher=joblib"]
    done = subprocess.run(
        [*command, f"hydra.sweep.dir={tmp_path}/study"], capture_output=True, text=True, cwd=tmp_path, timeout=240
    )
    assert done.returncode == 0, done.stderr
    finished = sessions(tmp_path / "study")
    assert len(finished) == 4
    assert all([one["ended"] for one in recorded] == ["finished"] for recorded in finished.values())
    assert sorted(path.name for path in (tmp_path / "study/workers").iterdir()) == ["0", "1"]


@pytest.mark.full
def test_failed_cell_sets_the_exit_code(words, tmp_path: Path) -> None:
    overrides = words(arms={"nearest": ARMS["nearest"], "lost": "optimizer.lr=1e30"})
    command = [sys.executable, str(ROOT / "train.py"), *overrides, f"hydra.run.dir={tmp_path}/study"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=240)
    assert done.returncode == 1, done.stderr
    assert "1 of 2 cells failed: lost, seed 0: NonFiniteLossError" in done.stderr
    assert "cell 2 of 2: lost" in done.stdout
