"""What was written once is read forever, to the same output."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from upnet.checkpoint import describe, load_network, migration
from upnet.checkpoint.loading import read
from upnet.checkpoint.migration import FORMAT, STEPS, migrate, rename_config
from upnet.training.resume import find_checkpoint

STORED = Path(__file__).parent / "stored"
FILES = sorted(path for path in STORED.glob("*/*") if path.stem != "pictures")


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_stored_checkpoint_gives_the_output_it_always_gave(path: Path) -> None:
    """pictures.safetensors holds an input, and what the version that wrote the checkpoint made of it."""
    pictures = load_file(path.parent / "pictures.safetensors")
    for weights in ("ema", "raw") if path.suffix == ".ckpt" else ("ema",):
        loaded = load_network(path, weights=weights)
        with torch.no_grad():
            made = loaded.net(pictures["lr"])
        assert (made - pictures[weights]).abs().max() <= 1e-6
        assert loaded.metadata.keys() == describe({}, {}, 2, 0).keys()


def test_every_format_is_stored_as_its_version_wrote_it() -> None:
    found = {path: torch.load(path, weights_only=True)["upnet"] for path in FILES if path.suffix == ".ckpt"}
    assert {told["format"] for told in found.values()} == set(range(1, FORMAT + 1))
    assert "settings" not in found[STORED / "format1/last.ckpt"]
    assert "_forward.tail.output.bias" in torch.load(STORED / "format1/last.ckpt", weights_only=True)["state_dict"]
    for path in FILES:
        assert path.stat().st_size < 100_000


def test_what_is_written_today_is_said_in_the_words_of_the_stored_one() -> None:
    """A change of them without a new format would leave files that nobody can tell apart."""
    stored = torch.load(STORED / f"format{FORMAT}/last.ckpt", weights_only=True)
    assert stored["upnet"].keys() == describe({}, {}, 2, 0).keys()
    assert {name.partition(".")[0] for name in stored["state_dict"]} == {"net", "ema"}


def test_a_network_of_the_first_format_is_not_trained_on(written: Callable[..., Path]) -> None:
    path = STORED / "format1/last.ckpt"
    told = read(path)["upnet"]
    with pytest.raises(ValueError, match="does not contain its training settings"):
        find_checkpoint(str(path), path.parent, told["model"], {"seed": 0}, 100)
    with pytest.raises(ValueError, match="without its training state"):
        find_checkpoint("a.safetensors", Path(), {}, {}, 100)


def test_steps_follow_each_other_up_to_today(monkeypatch: pytest.MonkeyPatch) -> None:
    def counted(told, state):
        told["steps"] = [*told.get("steps", []), told["format"]]

    monkeypatch.setattr(migration, "STEPS", dict.fromkeys(range(1, 5), counted))
    monkeypatch.setattr(migration, "FORMAT", 5)
    old = {"format": 2}
    assert migrate(old, {})[0] == {"format": 5, "steps": [2, 3, 4]}
    assert old == {"format": 2}
    assert migrate({"format": 5}, {})[0] == {"format": 5}


def test_there_is_a_step_from_every_format() -> None:
    assert sorted(STEPS) == list(range(1, FORMAT))


def test_a_newer_format_is_refused_with_a_cure(written: Callable[..., Path]) -> None:
    path = written(told={"format": FORMAT + 1, "versions": {"upnet": "9.1"}, "whatever": 1})
    with pytest.raises(ValueError, match=rf"format {FORMAT + 1}, and .* formats 1 to {FORMAT}\. Install a newer upnet: "
                                         r"it was written by 9\.1"):  # fmt: skip
        load_network(path)


def test_components_settings_and_values_are_renamed_at_every_depth(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migration, "RENAMED_TARGETS", {"upnet.encoders.Old": "upnet.encoders.New"})
    renamed = {("upnet.encoders.New", "size"): "width", ("settings.data", "patch"): "crop"}
    monkeypatch.setattr(migration, "RENAMED_SETTINGS", renamed)
    monkeypatch.setattr(migration, "RENAMED_VALUES", {("upnet.encoders.New", "width"): {"small": 8}})
    old = {"encoder": [{"_target_": "upnet.encoders.Old", "size": "small", "other": None}], "size": 3}
    new = {"encoder": [{"_target_": "upnet.encoders.New", "width": 8, "other": None}], "size": 3}
    assert rename_config(old, "model") == new
    assert rename_config(new, "model") == new
    assert old["encoder"][0]["size"] == "small", "the argument is not changed"
    assert rename_config({"_target_": "upnet.encoders.module.Old"}) == {"_target_": "upnet.encoders.New"}
    assert rename_config({"_target_": "other.encoders.Old"}) == {"_target_": "other.encoders.Old"}
    settings = {"data": {"patch": 8, "train": {"patch": 8}}}
    assert rename_config(settings, "settings") == {"data": {"crop": 8, "train": {"patch": 8}}}


def test_renaming_ends_for_a_config_that_contains_itself_or_one_part_many_times() -> None:
    node: dict[str, object] = {}
    node["self"] = node
    assert set(rename_config(node)) == {"self"}
    wide: object = 1
    for _ in range(18):
        wide = [wide] * 100
    rename_config({"wide": wide})
    deep: object = 1
    for _ in range(100_000):
        deep = [deep]
    rename_config({"deep": deep})
