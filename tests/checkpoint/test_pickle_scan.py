"""The scan of a pickle: it sets items of dictionaries only and builds dense tensors only."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from upnet.checkpoint import load_network
from upnet.checkpoint.errors import CheckpointError
from upnet.checkpoint.torch_file import reject_unsafe_pickle

# Opcodes of pickles; see pickletools.
ITEM, ITEMS = b"K\x01K\x02s", b"(K\x01K\x02u"
STORAGE = b"(X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\x000X\x03\0\0\0cpuK\x02tQ"
ORDERED = b"ccollections\nOrderedDict\n"
TENSOR = b"ctorch._utils\n_rebuild_tensor_v2\n(" + STORAGE + b"K\0K\x02\x85K\x01\x85\x89" + ORDERED + b")RtR"


@pytest.mark.parametrize("items", [ITEM, ITEMS], ids=["one", "several"])
@pytest.mark.parametrize(
    "into",
    [
        STORAGE,
        TENSOR,
        STORAGE + b"2",  # duplicated
        STORAGE + b"q\x07}q\x08h\x07",  # memoised
        STORAGE + b"r\xff\xff\xff\xff}0j\xff\xff\xff\xff",
        b"}" + STORAGE + b"\x85q\x050" + STORAGE,  # above a dictionary
        b"(" + STORAGE + b"}1" + STORAGE,
        TENSOR + b"}b",  # given a state
        ORDERED,
        b"ctorch\nOrderedDict\n)R",
        b"]",
    ],
)
def test_items_of_other_objects_than_dictionaries_are_rejected(
    written: Callable[..., Path], repacked: Callable[..., Path], into: bytes, items: bytes
) -> None:
    path = repacked(written(), {"data.pkl": lambda _: b"\x80\x02" + into + items + b"."})
    problem = "it sets items of an object that is not a dictionary"
    with pytest.raises(ValueError, match=f"^{problem}$"):
        reject_unsafe_pickle(path)
    with pytest.raises(CheckpointError) as caught:
        load_network(path)
    assert f"cannot be read as a checkpoint: {problem}. It contains more than" in caught.value.problem


@pytest.mark.parametrize("items", [ITEM, ITEMS, ITEM + ITEMS], ids=["one", "several", "both"])
@pytest.mark.parametrize(
    "into",
    [
        b"}",
        b"(d",
        ORDERED + b")R",
        b"ccollections\nCounter\n)R",
        ORDERED + b")R}b",
        STORAGE + b"0}",
        b"}q\x07" + TENSOR + b"q\x08h\x07",
        b"}2",
        b"}r\xff\xff\xff\xff0j\xff\xff\xff\xff",
        b"(" + TENSOR + b"1}",
        TENSOR + b"}",
        b"]}K\x01" + STORAGE + b"s",
    ],
)
def test_items_of_dictionaries_are_accepted(
    written: Callable[..., Path], repacked: Callable[..., Path], into: bytes, items: bytes
) -> None:
    reject_unsafe_pickle(repacked(written(), {"data.pkl": lambda _: b"\x80\x02" + into + items + b"."}))


@pytest.mark.parametrize(
    "opcodes", [b"K\x01K\x02s.", b"}(K\x01K\x02s.", b"K\x01u.", b"}K\x01(\x86.", b"h\x01.", b"q\x01."]
)
def test_opcodes_without_operands_are_rejected(
    written: Callable[..., Path], repacked: Callable[..., Path], opcodes: bytes
) -> None:
    path = repacked(written(), {"data.pkl": lambda _: b"\x80\x02" + opcodes})
    with pytest.raises((ValueError, LookupError)):
        reject_unsafe_pickle(path)
    with pytest.raises(ValueError, match="cannot be read as a checkpoint"):
        load_network(path)


@pytest.mark.parametrize(
    "tensor",
    [
        torch.quantize_per_tensor(torch.zeros(3), 0.1, 0, torch.qint8),
        torch.zeros(3).to_sparse(),
        torch.eye(3).to_sparse_csr(),
        torch.zeros(3, device="meta"),
    ],
    ids=["quantised", "sparse", "compressed sparse", "meta"],
)
def test_quantised_and_sparse_tensors_are_not_built(written: Callable[..., Path], tensor: torch.Tensor) -> None:
    path = written(content={"optimizer_states": [tensor]})
    with pytest.raises(ValueError, match=r"^it refers to torch\._utils\._rebuild_\w+$"):
        reject_unsafe_pickle(path)
    with pytest.raises(
        ValueError, match=r"it refers to torch\._utils\._rebuild_\w+\. It contains more than plain data and"
    ):
        load_network(path)


@pytest.mark.parametrize("split", [b"torch\n_utils._rebuild_qtensor", b"torch._utils\n_rebuild_qtensor"])
def test_a_global_is_recognised_however_module_and_name_are_split(
    written: Callable[..., Path], repacked: Callable[..., Path], split: bytes
) -> None:
    quantised = torch.quantize_per_tensor(torch.zeros(3), 0.1, 0, torch.qint8)
    name = b"torch._utils\n_rebuild_qtensor"
    path = repacked(written(content={"a": quantised}), {"data.pkl": lambda content: content.replace(name, split)})
    with pytest.raises(ValueError, match=r"^it refers to torch\._utils\._rebuild_qtensor$"):
        reject_unsafe_pickle(path)


def test_parameters_are_accepted(written: Callable[..., Path]) -> None:
    reject_unsafe_pickle(written(content={"optimizer_states": [torch.nn.Parameter(torch.zeros(3))]}))
