"""A pickle may put items into dictionaries only, and make dense tensors only, whichever torch reads it afterwards."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from upnet.checkpoint import load_network
from upnet.checkpoint.torch_file import reject_unsafe_pickle

# As a pickle spells them.
ITEM, ITEMS = b"K\x01K\x02s", b"(K\x01K\x02u"
MEMORY = b"(X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\x000X\x03\0\0\0cpuK\x02tQ"
ORDERED = b"ccollections\nOrderedDict\n"
TENSOR = b"ctorch._utils\n_rebuild_tensor_v2\n(" + MEMORY + b"K\0K\x02\x85K\x01\x85\x89" + ORDERED + b")RtR"


@pytest.mark.parametrize("items", [ITEM, ITEMS], ids=["one", "several"])
@pytest.mark.parametrize(
    "into",
    [
        MEMORY,
        TENSOR,
        MEMORY + b"2",  # doubled
        MEMORY + b"q\x07}q\x08h\x07",  # remembered
        MEMORY + b"r\xff\xff\xff\xff}0j\xff\xff\xff\xff",
        b"}" + MEMORY + b"\x85q\x050" + MEMORY,  # with a dictionary below
        b"(" + MEMORY + b"}1" + MEMORY,
        TENSOR + b"}b",  # given a state
        ORDERED,
        b"ctorch\nOrderedDict\n)R",
        b"]",
    ],
)
def test_items_in_anything_but_a_dictionary_are_refused(
    written: Callable[..., Path], repacked: Callable[..., Path], into: bytes, items: bytes
) -> None:
    path = repacked(written(), {"data.pkl": lambda _: b"\x80\x02" + into + items + b"."})
    with pytest.raises(ValueError, match="items of an object that is not a dictionary"):
        reject_unsafe_pickle(path)
    told = "cannot be read as a checkpoint: it sets items of an object that is not a dictionary. It contains more than"
    with pytest.raises(ValueError, match=re.escape(told)):
        load_network(path)


@pytest.mark.parametrize("items", [ITEM, ITEMS, ITEM + ITEMS], ids=["one", "several", "both"])
@pytest.mark.parametrize(
    "into",
    [
        b"}",
        b"(d",
        ORDERED + b")R",
        b"ccollections\nCounter\n)R",
        ORDERED + b")R}b",
        MEMORY + b"0}",
        b"}q\x07" + TENSOR + b"q\x08h\x07",
        b"}2",
        b"}r\xff\xff\xff\xff0j\xff\xff\xff\xff",
        b"(" + TENSOR + b"1}",
        TENSOR + b"}",
        b"]}K\x01" + MEMORY + b"s",
    ],
)
def test_items_in_a_dictionary_are_not(
    written: Callable[..., Path], repacked: Callable[..., Path], into: bytes, items: bytes
) -> None:
    reject_unsafe_pickle(repacked(written(), {"data.pkl": lambda _: b"\x80\x02" + into + items + b"."}))


@pytest.mark.parametrize(
    "code", [b"K\x01K\x02s.", b"}(K\x01K\x02s.", b"K\x01u.", b"}K\x01(\x86.", b"h\x01.", b"q\x01."]
)
def test_what_takes_more_than_there_is_is_refused(
    written: Callable[..., Path], repacked: Callable[..., Path], code: bytes
) -> None:
    path = repacked(written(), {"data.pkl": lambda _: b"\x80\x02" + code})
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
    ids=["quantised", "sparse", "compressed sparse", "without numbers"],
)
def test_tensors_that_no_network_has_are_not_even_made(written: Callable[..., Path], tensor: torch.Tensor) -> None:
    path = written(content={"optimizer_states": [tensor]})
    with pytest.raises(ValueError, match=r"^it refers to torch\._utils\._rebuild_\w+$"):
        reject_unsafe_pickle(path)
    with pytest.raises(
        ValueError, match=r"it refers to torch\._utils\._rebuild_\w+\. It contains more than plain data and"
    ):
        load_network(path)


@pytest.mark.parametrize("parted", [b"torch\n_utils._rebuild_qtensor", b"torch._utils\n_rebuild_qtensor"])
def test_a_name_is_known_wherever_it_is_parted(
    written: Callable[..., Path], repacked: Callable[..., Path], parted: bytes
) -> None:
    quantised = torch.quantize_per_tensor(torch.zeros(3), 0.1, 0, torch.qint8)
    whole = b"torch._utils\n_rebuild_qtensor"
    path = repacked(written(content={"a": quantised}), {"data.pkl": lambda content: content.replace(whole, parted)})
    with pytest.raises(ValueError, match=r"^it refers to torch\._utils\._rebuild_qtensor$"):
        reject_unsafe_pickle(path)


def test_parameters_are_made(written: Callable[..., Path]) -> None:
    reject_unsafe_pickle(written(content={"optimizer_states": [torch.nn.Parameter(torch.zeros(3))]}))
