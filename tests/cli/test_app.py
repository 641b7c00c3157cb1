"""Folders of rejected runs, and options of commands."""

from pathlib import Path

from upnet.cli.app import remove_unused_folder
from upnet.cli.errors import reject_unknown_options


def test_the_folder_of_a_rejected_run_is_removed(tmp_path: Path) -> None:
    run = tmp_path / "runs/day/time"
    (run / "config").mkdir(parents=True)
    for name in ("config", "hydra", "overrides"):
        (run / f"config/{name}.yaml").write_text("a: 1\n")
    (run / "train.log").write_text("")
    (tmp_path / "kept").write_text("")
    remove_unused_folder(run)
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


def test_a_folder_with_other_files_is_kept(tmp_path: Path) -> None:
    run = tmp_path / "run"
    (run / "config").mkdir(parents=True)
    (run / "config/hydra.yaml").write_text("a: 1\n")
    (run / "results.json").write_text("{}")
    remove_unused_folder(run)
    assert sorted(path.name for path in run.rglob("*")) == ["config", "hydra.yaml", "results.json"]


def test_a_command_without_arguments_is_accepted() -> None:
    reject_unknown_options([], "train")
