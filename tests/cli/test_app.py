"""How a command starts and ends."""

from pathlib import Path

from upnet.cli.app import remove_unused_folder
from upnet.cli.errors import reject_unknown_options


def test_a_run_that_was_refused_leaves_nothing(tmp_path: Path) -> None:
    run = tmp_path / "runs/day/time"
    (run / "config").mkdir(parents=True)
    for name in ("config", "hydra", "overrides"):
        (run / f"config/{name}.yaml").write_text("a: 1\n")
    (run / "train.log").write_text("")
    (tmp_path / "kept").write_text("")
    remove_unused_folder(run)
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


def test_a_folder_that_held_something_is_left_as_it_is(tmp_path: Path) -> None:
    run = tmp_path / "run"
    (run / "config").mkdir(parents=True)
    (run / "config/hydra.yaml").write_text("a: 1\n")
    (run / "results.json").write_text("{}")
    remove_unused_folder(run)
    assert sorted(path.name for path in run.rglob("*")) == ["config", "hydra.yaml", "results.json"]


def test_a_command_without_words_is_no_mistake() -> None:
    reject_unknown_options([], "train")
