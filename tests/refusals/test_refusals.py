"""Mistakes of the user are reported by one line with the setting, the value and a cure, and leave no files behind."""

import shlex
from pathlib import Path

import pytest
from refusals import files_table, settings_table
from refusals.conftest import EVALUATE, TRAIN, Ended, Run, shown
from refusals.rejected import Rejected
from support import code, command

from upnet.config import ConfigError

SMOKE_STUDY = ["experiment=study/smoke"]


def rows(**tables: list[Rejected]) -> list[object]:
    """The parameters (command, row) of tables by command."""
    return [
        pytest.param(name, row, id=f"{name} {row.arguments}", marks=[pytest.mark.full] if row.full else [])
        for name, table in tables.items()
        for row in table
    ]


def check_rejected(ended: Ended, row: Rejected) -> None:
    assert ended.error is not None
    assert ended.error.setting == row.setting
    assert repr(ended.error.value) == repr(row.value)  # nan differs from itself, and True equals 1
    assert row.problem in ended.error.problem
    assert row.allowed in ended.error.allowed
    assert row.cure in ended.error.cure
    assert ended.stderr == str(ended.error)
    assert len(ended.stderr.splitlines()) == 1
    assert ended.code == 2


@pytest.mark.parametrize(
    ("name", "row"),
    [
        *rows(train=settings_table.TRAIN, evaluate=settings_table.EVALUATE),
        *rows(train=files_table.TRAIN, evaluate=files_table.EVALUATE),
    ],
)
def test_invalid_settings_and_files_are_rejected_and_leave_no_files(
    workspace: Path, run: Run, monkeypatch: pytest.MonkeyPatch, name: str, row: Rejected
) -> None:
    monkeypatch.chdir(workspace)
    ended = run(name, *shlex.split(row.arguments))
    check_rejected(ended, row)
    assert not ended.created


@pytest.mark.parametrize(("name", "row"), rows(train=files_table.TRAIN_DECODED, evaluate=files_table.EVALUATE_DECODED))
def test_settings_rejected_after_decoding_leave_only_the_store(
    copied_workspace: Path, run: Run, monkeypatch: pytest.MonkeyPatch, name: str, row: Rejected
) -> None:
    monkeypatch.chdir(copied_workspace)
    ended = run(name, *shlex.split(row.arguments))
    check_rejected(ended, row)
    assert all(".upnet" in Path(path).parts for path in ended.created)
    assert not any(".part" in path for path in ended.created)


@pytest.mark.parametrize(("name", "row"), rows(train=settings_table.STUDY))
def test_invalid_studies_are_rejected_and_leave_no_files(
    workspace: Path, run: Run, monkeypatch: pytest.MonkeyPatch, name: str, row: Rejected
) -> None:
    monkeypatch.chdir(workspace)
    ended = run(name, *shlex.split(row.arguments), small=[] if "experiment" in row.arguments else SMOKE_STUDY)
    check_rejected(ended, row)
    assert not ended.created


@pytest.mark.parametrize(
    ("script", "arguments", "line"),
    [
        (
            "train.py",
            [*TRAIN, "data.root=cut"],
            "cut/g.png cannot be read as an image: image file is truncated. "
            "Repair or remove it, or skip it by data.skip_broken=true",
        ),
        (
            "evaluate.py",
            [*EVALUATE, "checkpoint=foreign.ckpt"],
            "foreign.ckpt is not a checkpoint of upnet: it contains no metadata of a network and its weights",
        ),
    ],
)
def test_scripts_report_mistakes_by_one_line_and_exit_code_2(
    copied_workspace: Path, script: str, arguments: list[str], line: str
) -> None:
    printed = copied_workspace / "printed.txt"
    before = {*copied_workspace.rglob("*"), printed}
    assert code(command([*arguments, "hydra.run.dir=out"], printed, script=script)) == 2
    assert line in shown(printed.read_text()).splitlines()
    assert "Traceback" not in printed.read_text()
    assert set(copied_workspace.rglob("*")) == before


def test_debug_shows_the_traceback(workspace: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(workspace)
    with pytest.raises(ConfigError) as caught:
        run("train", "steps=0", "debug=true")
    assert (caught.value.setting, caught.value.value) == ("steps", 0)


def test_a_multirun_of_ddp_trainings_is_rejected(workspace: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(workspace)
    ended = run("train", "trainer=ddp", "seed=1,2", "steps=0", "hydra.sweep.dir=out", "-m")
    assert ended.code == 2
    assert ended.error is not None
    assert "trainer=ddp can't be combined with -m" in ended.error.problem
    assert "Traceback" not in ended.stderr
