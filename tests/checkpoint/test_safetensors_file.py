"""Exports: .safetensors files with the weights of a network and its metadata."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

import upnet
from upnet.checkpoint import DamagedCheckpointError, describe, export, load_network
from upnet.checkpoint.errors import CheckpointError
from upnet.checkpoint.migration import FORMAT
from upnet.checkpoint.safetensors_file import _digest
from upnet.inference.upscaler import Upscaler
from upnet.utils.errors import UserError

Altered = Callable[..., Path]
"""altered(upnet={…}, tensors={…}, metadata={…}): an export with changes and a correct checksum."""


@pytest.fixture
def exported(written: Callable[..., Path], tmp_path: Path) -> Path:
    """The export of a checkpoint."""
    path = tmp_path / "a.safetensors"
    export(load_network(written()), path)
    return path


@pytest.fixture
def altered(exported: Path, tmp_path: Path) -> Altered:
    def alter(**changes: dict[str, Any]) -> Path:
        with safe_open(exported, framework="pt") as file:
            metadata = dict(file.metadata())
        tensors = {**load_file(exported), **changes.get("tensors", {})}
        tensors = {name: tensor for name, tensor in tensors.items() if tensor is not ...}
        described = {**json.loads(metadata["upnet"]), **changes.get("upnet", {})}
        metadata |= {"upnet": json.dumps(described), "sha256": _digest(tensors), **changes.get("metadata", {})}
        path = tmp_path / "altered.safetensors"
        save_file(tensors, path, {key: text for key, text in metadata.items() if text is not ...})
        return path

    return alter


def test_an_export_has_the_output_and_metadata_of_its_checkpoint(written: Callable[..., Path], exported: Path) -> None:
    original, loaded = load_network(written()), load_network(exported)
    assert loaded.metadata == original.metadata
    lr = torch.rand(1, 3, 9, 12)
    assert torch.equal(loaded.net(lr), original.net(lr))
    assert isinstance(upnet.load(exported), Upscaler)


def test_metadata_are_readable_without_upnet(exported: Path) -> None:
    with safe_open(exported, framework="np") as file:
        metadata, names = file.metadata(), set(file.keys())
    described = json.loads(metadata["upnet"])
    assert (metadata["format"], metadata["weights"]) == ("pt", "ema")
    assert [described[key] for key in ("format", "scale", "step")] == [FORMAT, 2, 7]
    assert described["versions"]["upnet"] == upnet.__version__
    assert described["model"]["_target_"] == "upnet.models.EncoderDecoder"
    assert names == set(load_network(exported).net.state_dict())


def test_raw_weights_are_exported_on_request(written: Callable[..., Path], tmp_path: Path) -> None:
    raw = load_network(written(), weights="raw")
    export(raw, tmp_path / "raw.safetensors")
    with pytest.raises(UserError, match="contains no averaged weights") as caught:
        load_network(tmp_path / "raw.safetensors")
    assert caught.value.cure.startswith("Set weights=raw")
    for name, tensor in load_network(tmp_path / "raw.safetensors", weights="raw").net.state_dict().items():
        assert torch.equal(tensor, raw.net.state_dict()[name])


def test_an_export_is_written_atomically_as_safetensors(
    written: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = load_network(written())
    with pytest.raises(UserError, match="must be a file name that ends in") as caught:
        export(loaded, tmp_path / "b.pt")
    assert (caught.value.value, caught.value.allowed) == (str(tmp_path / "b.pt"), "NAME.safetensors")
    linked, target = tmp_path / "linked", tmp_path / "new/b.safetensors"
    linked.write_text("text")
    target.parent.mkdir()
    target.symlink_to(linked)
    export(loaded, target)
    assert linked.read_text() == "text"
    assert os.listdir(target.parent) == ["b.safetensors"]
    before = target.read_bytes()
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(UserError, match="No space left"):
        export(loaded, target)
    assert os.listdir(target.parent) == ["b.safetensors"]
    assert target.read_bytes() == before


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"upnet": {"format": FORMAT + 1}}, f"format {FORMAT + 1}, and upnet .* Install a newer upnet"),
        ({"upnet": {"model": {"_target_": "os.system", "command": "true"}}}, r"model\._target_=os\.system"),
        ({"upnet": {"model": {"_target_": "upnet.models.Tail", "a": "${oc.env:HOME}"}}}, "interpolations are not"),
        ({"upnet": {"step": 1.5}}, "its step must be"),
        ({"upnet": {"extra": 1}}, "metadata field extra"),
        ({"metadata": {"upnet": ...}}, "is not an export of upnet: its metadata doesn't describe"),
        ({"metadata": {"weights": "best"}}, "is not an export of upnet: its metadata doesn't describe"),
        ({"metadata": {"upnet": "{"}}, "its metadata cannot be parsed"),
        ({"metadata": {"upnet": "[" * 100_000}}, "its metadata cannot be parsed"),
        ({"metadata": {"upnet": "[]"}}, "is not a checkpoint of upnet"),
        ({"metadata": {"upnet": f'{{"format": {"9" * 5000}}}'}}, "its metadata cannot be parsed"),
        ({"metadata": {"sha256": "0" * 64}}, "the checksum of its weights is wrong"),
        ({"metadata": {"sha256": ...}}, "the checksum of its weights is wrong"),
        ({"tensors": {"tail.output.bias": ...}}, r"missing: tail\.output\.bias"),
        ({"tensors": {"evil": torch.zeros(1)}}, "unknown: evil"),
        ({"tensors": {"tail.output.bias": torch.zeros(9)}}, r"is \(9,\) of float32 instead of \(3,\) of float32"),
        ({"tensors": {"tail.output.bias": torch.zeros(3).half()}}, r"is \(3,\) of float16 instead of"),
        ({"tensors": {"tail.output.bias": torch.zeros(3, dtype=torch.complex64)}}, "weights must be plain tensors"),
    ],
)  # fmt: skip
def test_an_inconsistent_or_unsafe_export_is_rejected(altered: Altered, changes: dict[str, Any], problem: str) -> None:
    with pytest.raises(CheckpointError, match=problem) as caught:
        load_network(altered(**changes))
    assert str(caught.value).isprintable()


def test_a_rewritten_export_without_changes_loads(altered: Altered) -> None:
    assert load_network(altered()).step == 7


def test_a_damaged_export_is_rejected(exported: Path, tmp_path: Path) -> None:
    data = exported.read_bytes()
    for content in (b"", data[:5], data[:500], data[:-1], data + b"\0", b"PK\3\4text", bytes(1000), b"\xff" * 100,
                    data[:-3] + bytes([data[-3] ^ 1]) + data[-2:]):  # fmt: skip
        (tmp_path / "b.safetensors").write_bytes(content)
        with pytest.raises(DamagedCheckpointError, match=r"b\.safetensors is damaged") as caught:
            load_network(tmp_path / "b.safetensors")
        assert caught.value.cure == "Export it from its checkpoint again"


def test_a_header_that_claims_a_huge_tensor_is_rejected(tmp_path: Path) -> None:
    for shape, end in (([10**6, 10**6], 4), ([10**6, 10**6], 4 * 10**12), ([1], 2**63)):
        header = json.dumps({"a": {"dtype": "F32", "shape": shape, "data_offsets": [0, end]}}).encode()
        (tmp_path / "a.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes(4))
        with pytest.raises(DamagedCheckpointError):
            load_network(tmp_path / "a.safetensors")


def test_a_safetensors_file_without_metadata_is_rejected(tmp_path: Path) -> None:
    save_file({"a": torch.zeros(1)}, tmp_path / "a.safetensors")
    with pytest.raises(ValueError, match=r"is not an export of upnet.*upnet evaluate checkpoint=PATH export=NAME"):
        load_network(tmp_path / "a.safetensors")


def test_the_checksum_depends_on_names_types_and_shapes() -> None:
    assert describe({}, {}, 2, 0)["format"] == FORMAT
    states = [{"a": torch.zeros(4)}, {"b": torch.zeros(4)}, {"a": torch.zeros(2, 2)}, {"a": torch.zeros(4).int()}]
    assert len({_digest(state) for state in states}) == 4
