"""Checkpoints of all formats load and give the same output."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from upnet.checkpoint import describe, load_network, migration
from upnet.checkpoint.errors import CheckpointError
from upnet.checkpoint.loading import read
from upnet.checkpoint.migration import FORMAT, STEPS, migrate, rename_config
from upnet.training.resume import find_checkpoint

STORED = Path(__file__).parent / "stored"
FILES = sorted(path for path in STORED.glob("*/*") if path.stem != "pictures")


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_stored_checkpoint_gives_its_recorded_output(path: Path) -> None:
    """pictures.safetensors contains an input and the output of the version that wrote the checkpoint."""
    images = load_file(path.parent / "pictures.safetensors")
    for weights in ("ema", "raw") if path.suffix == ".ckpt" else ("ema",):
        loaded = load_network(path, weights=weights)
        with torch.no_grad():
            output = loaded.net(images["lr"])
        assert (output - images[weights]).abs().max() <= 1e-6
        assert loaded.metadata.keys() == describe({}, {}, 2, 0).keys()


def test_a_checkpoint_of_every_format_is_stored() -> None:
    found = {path: torch.load(path, weights_only=True)["upnet"] for path in FILES if path.suffix == ".ckpt"}
    assert {metadata["format"] for metadata in found.values()} == set(range(1, FORMAT + 1))
    assert "settings" not in found[STORED / "format1/last.ckpt"]
    assert "_forward.tail.output.bias" in torch.load(STORED / "format1/last.ckpt", weights_only=True)["state_dict"]
    for path in FILES:
        assert path.stat().st_size < 100_000


def test_the_keys_of_the_current_format_are_those_of_its_stored_checkpoint() -> None:
    """A change of the keys needs a new format."""
    stored = torch.load(STORED / f"format{FORMAT}/last.ckpt", weights_only=True)
    assert stored["upnet"].keys() == describe({}, {}, 2, 0).keys()
    assert {name.partition(".")[0] for name in stored["state_dict"]} == {"net", "ema"}


def test_a_checkpoint_of_the_first_format_cannot_be_resumed() -> None:
    path = STORED / "format1/last.ckpt"
    metadata = read(path)["upnet"]
    with pytest.raises(ValueError, match="does not contain its training settings"):
        find_checkpoint(str(path), path.parent, metadata["model"], {"seed": 0}, 100)
    with pytest.raises(ValueError, match="without its training state"):
        find_checkpoint("a.safetensors", Path(), {}, {}, 100)


def test_migrations_are_applied_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    def count(metadata, state):
        metadata["steps"] = [*metadata.get("steps", []), metadata["format"]]

    monkeypatch.setattr(migration, "STEPS", dict.fromkeys(range(1, 5), count))
    monkeypatch.setattr(migration, "FORMAT", 5)
    old = {"format": 2}
    assert migrate(old, {})[0] == {"format": 5, "steps": [2, 3, 4]}
    assert old == {"format": 2}
    assert migrate({"format": 5}, {})[0] == {"format": 5}


def test_every_older_format_has_a_migration() -> None:
    assert sorted(STEPS) == list(range(1, FORMAT))


def test_a_newer_format_is_rejected_with_a_cure(written: Callable[..., Path]) -> None:
    path = written(metadata={"format": FORMAT + 1, "versions": {"upnet": "9.1"}, "whatever": 1})
    with pytest.raises(CheckpointError, match=rf"format {FORMAT + 1}, and .* formats 1 to {FORMAT}\.") as caught:
        load_network(path)
    assert caught.value.cure == "Install a newer upnet: it was written by 9.1"


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


def test_renaming_terminates_for_recursive_wide_and_deep_configs() -> None:
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
