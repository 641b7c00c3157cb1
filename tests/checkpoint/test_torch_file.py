"""A file is looked at as a whole before any of it becomes an object, and no code in it is run."""

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


class Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (Path("touched"),))


class Bytes:
    """A bytearray of that many bytes, in a few."""

    def __init__(self, size: int) -> None:
        self.size = size

    def __reduce__(self) -> tuple[Any, ...]:
        return (bytearray, (self.size,))


def test_pickled_code_is_refused_and_not_run(
    written: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for where in ("content", "told", "state"):
        path = written(**{where: {"ema.net.extra": Evil()}})
        with pytest.raises(ValueError, match=r"it refers to getattr\. It contains more than plain data"):
            load_network(path)
    assert not (tmp_path / "touched").exists()


@pytest.mark.parametrize(
    "asked", ["__builtin__.eval", "os.system", "posix.system", "torch.hub.load", "upnet.inference.upscaler.load"]
)
def test_whatever_a_pickle_asks_for_is_refused_by_name(
    written: Callable[..., Path], repacked: Callable[..., Path], asked: str
) -> None:
    module, _, name = asked.rpartition(".")
    code = f"c{module}\n{name}\n(S'echo touched'\ntR.".encode()
    path = repacked(written(), {"data.pkl": lambda _: b"\x80\x02" + code})
    with pytest.raises(ValueError, match=rf"it refers to {asked.removeprefix('__builtin__.')}\. It contains more than"):
        read_torch_file(path)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_damaged_and_missing_files_are_named(written: Callable[..., Path]) -> None:
    path = written()
    whole = path.read_bytes()
    path.write_bytes(whole[:1000])
    with pytest.raises(DamagedCheckpointError, match=r"a\.ckpt is damaged"):
        load_network(path)
    weights = load_network(written()).net.state_dict()["tail.output.weight"]
    middle = whole.index(bytes(weights.numpy()))
    path.write_bytes(whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :])
    with pytest.raises(DamagedCheckpointError, match=r"a\.ckpt is damaged: the checksum of its part .* is wrong"):
        load_network(path)


@pytest.mark.parametrize("content", [b"", b"PK", b"text", pickle.dumps(Evil), b"\x80\x02c__main__\n", bytes(100_000)])
def test_what_is_no_checkpoint_is_told_to_be_none(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.ckpt"
    path.write_bytes(content)
    with pytest.raises(DamagedCheckpointError, match=r"a\.ckpt is damaged, or not a checkpoint"):
        load_network(path)


def test_a_zip_of_something_else_is_no_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "a.ckpt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("../../evil.txt", "text")
    with pytest.raises(ValueError, match="cannot be read as a checkpoint"):
        load_network(path)
    assert not (tmp_path.parent.parent / "evil.txt").exists()


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_bomb_is_refused_before_it_is_unpacked(
    written: Callable[..., Path], repacked: Callable[..., Path], method: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = repacked(written(), {"data/0": lambda _: bytes(50_000_000)}, method)
    assert path.stat().st_size < 2_000_000
    monkeypatch.setattr(zipfile.ZipFile, "open", None)  # not a byte of it is read
    with pytest.raises(DamagedCheckpointError, match="compressed or claim too many bytes"):
        load_network(path)


def test_parts_that_lie_in_the_same_bytes_are_refused(written: Callable[..., Path]) -> None:
    path = written()
    with zipfile.ZipFile(path, "a") as archive:
        largest = max(archive.infolist(), key=lambda part: part.file_size)
        archive.filelist += [largest] * 50
        archive.comment = b"so that the list of parts is written anew"
    with pytest.raises(DamagedCheckpointError, match="claim too many bytes"):
        load_network(path)


@pytest.mark.parametrize("size", [10**9, 10**14, 10**18])
def test_a_tensor_never_is_larger_than_its_share_of_the_file(
    written: Callable[..., Path], repacked: Callable[..., Path], size: int
) -> None:
    """A storage of a few bytes that claims to have a billion."""

    def claim(content: bytes) -> bytes:
        count = content.index(b"cpu") + 5  # behind the device, and the number under which the pickle remembers it
        length = {ord("K"): 1, ord("M"): 2}[content[count]]
        return content[:count] + pickle.dumps(size, protocol=2)[2:-1] + content[count + 1 + length :]

    honest = written("model=srcnn", "model.encoder.layers=[2,2]")
    claiming = repacked(honest, {"data.pkl": claim})
    assert claiming.stat().st_size != honest.stat().st_size, "the claim got into it"
    expected = load_network(honest, weights="raw").net.state_dict()
    for name, tensor in load_network(claiming, weights="raw").net.state_dict().items():
        assert torch.equal(tensor, expected[name])


def test_a_claim_of_memory_inside_the_pickle_is_refused(written: Callable[..., Path]) -> None:
    with pytest.raises(ValueError, match="cannot be read as a checkpoint"):
        load_network(written(content={"extra": Bytes(1 << 60)}))


def test_altered_pickles_are_refused_in_a_sentence_or_read(
    written: Callable[..., Path], repacked: Callable[..., Path]
) -> None:
    """Altered where no checksum tells: the archive is whole, and its pickle is not."""
    draw = random.Random(0)
    honest = written("model=srcnn", "model.encoder.layers=[2,2]")

    def alter(content: bytes) -> bytes:
        altered = bytearray(content)
        for _ in range(draw.choice((1, 1, 2, 20))):
            altered[draw.randrange(len(altered))] = draw.choice((draw.randrange(256), ord("."), ord("R"), ord("Q")))
        return bytes(altered[: draw.choice((len(altered), draw.randrange(1, len(altered))))])

    told: list[str] = []
    for _ in range(300):
        path = repacked(honest, {"data.pkl": alter})
        try:
            load_network(path)
        except ValueError as fault:
            told.append(str(fault))
    assert len(told) > 200
    assert all("repacked-a.ckpt" in sentence and sentence.isprintable() for sentence in told)
