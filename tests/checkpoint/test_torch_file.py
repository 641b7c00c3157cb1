"""Reading a .ckpt file: it is checked before it is unpickled, and no code in it is run."""

import pickle
import random
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from upnet.checkpoint import DamagedCheckpointError, load_network
from upnet.checkpoint.torch_file import read_torch_file
from upnet.utils.errors import UserError


class Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (Path("touched"),))


class Bytes:
    """Pickled as the call bytearray(size), in a few bytes."""

    def __init__(self, size: int) -> None:
        self.size = size

    def __reduce__(self) -> tuple[Any, ...]:
        return (bytearray, (self.size,))


def test_pickled_code_is_rejected_and_not_run(
    written: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for part in ("content", "metadata", "state"):
        path = written(**{part: {"ema.net.extra": Evil()}})
        with pytest.raises(ValueError, match=r"it refers to getattr\. It contains more than plain data"):
            load_network(path)
    assert not (tmp_path / "touched").exists()


@pytest.mark.parametrize(
    "name", ["__builtin__.eval", "os.system", "posix.system", "torch.hub.load", "upnet.inference.upscaler.load"]
)
def test_globals_in_a_pickle_are_rejected_by_name(
    written: Callable[..., Path], repacked: Callable[..., Path], name: str
) -> None:
    module, _, attribute = name.rpartition(".")
    opcodes = f"c{module}\n{attribute}\n(S'echo touched'\ntR.".encode()
    path = repacked(written(), {"data.pkl": lambda _: b"\x80\x02" + opcodes})
    with pytest.raises(ValueError, match=rf"it refers to {name.removeprefix('__builtin__.')}\. It contains more than"):
        read_torch_file(path)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_damaged_and_missing_files_are_named(written: Callable[..., Path]) -> None:
    path = written()
    content = path.read_bytes()
    path.write_bytes(content[:1000])
    with pytest.raises(DamagedCheckpointError, match=r"a\.ckpt is damaged"):
        load_network(path)
    weights = load_network(written()).net.state_dict()["tail.output.weight"]
    middle = content.index(bytes(weights.numpy()))
    path.write_bytes(content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])
    with pytest.raises(DamagedCheckpointError, match=r"a\.ckpt is damaged: the checksum of its part .* is wrong"):
        load_network(path)


@pytest.mark.parametrize("content", [b"", b"PK", b"text", pickle.dumps(Evil), b"\x80\x02c__main__\n", bytes(100_000)])
def test_other_files_are_not_checkpoints(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.ckpt"
    path.write_bytes(content)
    with pytest.raises(DamagedCheckpointError, match=r"a\.ckpt is damaged, or not a checkpoint"):
        load_network(path)


def test_other_zip_files_are_not_checkpoints(tmp_path: Path) -> None:
    path = tmp_path / "a.ckpt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("../../evil.txt", "text")
    with pytest.raises(ValueError, match="cannot be read as a checkpoint"):
        load_network(path)
    assert not (tmp_path.parent.parent / "evil.txt").exists()


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_decompression_bomb_is_rejected_before_it_is_unpacked(
    written: Callable[..., Path], repacked: Callable[..., Path], method: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = repacked(written(), {"data/0": lambda _: bytes(10_000_000)}, method)
    assert path.stat().st_size < 500_000
    monkeypatch.setattr(zipfile.ZipFile, "open", None)  # nothing is read
    with pytest.raises(DamagedCheckpointError, match="compressed or claim too many bytes"):
        load_network(path)


def test_overlapping_members_are_rejected(written: Callable[..., Path]) -> None:
    path = written()
    with zipfile.ZipFile(path, "a") as archive:
        largest = max(archive.infolist(), key=lambda member: member.file_size)
        archive.filelist += [largest] * 50
        archive.comment = b"a new comment makes zipfile write the list of members"
    with pytest.raises(DamagedCheckpointError, match="claim too many bytes"):
        load_network(path)


@pytest.mark.parametrize("size", [10**9, 10**14, 10**18])
def test_a_storage_is_not_larger_than_its_member_of_the_file(
    written: Callable[..., Path], repacked: Callable[..., Path], size: int
) -> None:
    """The pickle claims a size of billions of numbers for a storage of a few bytes."""

    def claim(content: bytes) -> bytes:
        count = content.index(b"cpu") + 5  # behind the device and its index in the memo
        length = {ord("K"): 1, ord("M"): 2}[content[count]]
        return content[:count] + pickle.dumps(size, protocol=2)[2:-1] + content[count + 1 + length :]

    original = written("model=srcnn", "model.encoder.layers=[2,2]")
    claiming = repacked(original, {"data.pkl": claim})
    assert claiming.stat().st_size != original.stat().st_size
    expected = load_network(original, weights="raw").net.state_dict()
    for name, tensor in load_network(claiming, weights="raw").net.state_dict().items():
        assert torch.equal(tensor, expected[name])


def test_a_huge_bytearray_is_rejected(written: Callable[..., Path]) -> None:
    with pytest.raises(ValueError, match="cannot be read as a checkpoint"):
        load_network(written(content={"extra": Bytes(1 << 60)}))


def test_altered_pickles_are_rejected_or_load(written: Callable[..., Path], repacked: Callable[..., Path]) -> None:
    """Random changes of the pickle, with correct checksums in the archive."""
    rng = random.Random(0)
    original = written("model=srcnn", "model.encoder.layers=[2,2]")

    def alter(content: bytes) -> bytes:
        altered = bytearray(content)
        for _ in range(rng.choice((1, 1, 2, 20))):
            altered[rng.randrange(len(altered))] = rng.choice((rng.randrange(256), ord("."), ord("R"), ord("Q")))
        return bytes(altered[: rng.choice((len(altered), rng.randrange(1, len(altered))))])

    errors: list[UserError] = []
    for _ in range(100):
        path = repacked(original, {"data.pkl": alter})
        try:
            load_network(path)
        except UserError as error:
            errors.append(error)
    assert len(errors) > 66
    assert all("repacked-a.ckpt" in error.problem and str(error).isprintable() for error in errors)
