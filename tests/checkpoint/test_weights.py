"""Weights are plain tensors that fit the network, byte for byte out of the file; all else is refused."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from upnet.checkpoint import load_network
from upnet.checkpoint.weights import select_weights

BIAS = "ema.net.tail.output.bias"
ODD: dict[str, Any] = {
    "a number": 3.0,
    "a text": "text",
    "a list": [0.0, 0.0, 0.0],
    "None": None,
    "sparse": torch.zeros(3).to_sparse(),
    "sparse of any size": torch.sparse_coo_tensor(torch.zeros(1, 1, dtype=torch.long), torch.ones(1), (10**15,)),
    "compressed sparse": torch.eye(3).to_sparse_csr(),
    "quantised": torch.quantize_per_tensor(torch.zeros(3), 0.1, 0, torch.qint8),
    "complex": torch.zeros(3, dtype=torch.complex64),
    "without numbers": torch.empty(3, device="meta"),
    "without numbers, of any size": torch.empty(10**15, device="meta"),
}
UNFIT: dict[str, Any] = {
    "of another shape": torch.zeros(9),
    "of more axes": torch.zeros(3, 1),
    "a scalar": torch.zeros(()),
    "empty": torch.zeros(0),
    "double": torch.zeros(3, dtype=torch.float64),
    "half": torch.zeros(3, dtype=torch.float16),
    "whole numbers": torch.zeros(3, dtype=torch.int32),
    "true and false": torch.zeros(3, dtype=torch.bool),
}


@pytest.mark.parametrize("name", ODD)
def test_what_is_no_plain_tensor_is_refused(written: Callable[..., Path], name: str) -> None:
    with pytest.raises(
        ValueError, match=r"^a\.ckpt contains tail\.output\.bias as a .*; weights must be plain tensors$"
    ):
        select_weights({BIAS: ODD[name]}, "ema", Path("a.ckpt"), 1 << 60)
    # Most of them are made by what upnet's own checkpoints have no use for, and which isn't asked then.
    told = r"as a .*; weights must be plain tensors$|it refers to torch\._utils\._rebuild_\w+\. It contains more than"
    with pytest.raises(ValueError, match=told):
        load_network(written(state={BIAS: ODD[name]}))


@pytest.mark.parametrize("name", UNFIT)
def test_a_tensor_of_another_shape_or_type_is_refused(written: Callable[..., Path], name: str) -> None:
    with pytest.raises(ValueError, match=r"tail\.output\.bias is .* instead of \(3,\) of float32$"):
        load_network(written(state={BIAS: UNFIT[name]}))


def test_missing_and_unknown_weights_are_refused_by_name(written: Callable[..., Path]) -> None:
    for changes, told in (
        ({BIAS: ...}, r"missing: tail\.output\.bias$"),
        ({"ema.net.evil": torch.zeros(1)}, "unknown: evil$"),
        ({"ema.net.\x1b[2J": torch.zeros(1)}, r"unknown: '\\x1b\[2J'$"),
        ({f"ema.net.{number}": torch.zeros(1) for number in range(9)}, r"unknown: 0, 1, 2 and 6 more$"),
        ({BIAS: ..., "ema.net.bias": torch.zeros(3)}, r"missing: tail\.output\.bias; unknown: bias$"),
    ):
        with pytest.raises(ValueError, match=told):
            load_network(written(state=changes))


@pytest.mark.parametrize("shared", ["stretched", "one storage for many", "one tensor for many"])
def test_a_small_file_that_claims_many_weights_is_refused(written: Callable[..., Path], shared: str) -> None:
    """All of the right shape and type, and none of them with numbers of its own."""
    path = written("model=edsr")
    state = torch.load(path, weights_only=True)["state_dict"]
    wanted = {name: tensor.shape for name, tensor in state.items() if name.startswith("ema.")}
    common = torch.zeros(max(shape.numel() for shape in wanted.values()))
    claimed = {
        "stretched": lambda shape: torch.zeros(1).expand(shape),
        "one storage for many": lambda shape: common[: shape.numel()].view(shape),
        "one tensor for many": lambda shape: common[: shape.numel()].view(shape).expand(shape),
    }
    changes = {name: claimed[shared](shape) for name, shape in wanted.items()}
    path = written("model=edsr", state=changes | {name: ... for name in state if not name.startswith("ema.")})
    assert path.stat().st_size < 0.4 * sum(4 * shape.numel() for shape in wanted.values())
    with pytest.raises(ValueError, match="its tensors overlap"):
        load_network(path)


def test_a_transposed_or_strided_tensor_keeps_its_numbers(written: Callable[..., Path]) -> None:
    weight = torch.arange(3 * 4 * 9.0).view(3, 4, 3, 3)
    laid = torch.zeros(3, 4, 3, 6)[..., ::2].copy_(weight)
    for way in (weight.to(memory_format=torch.channels_last), weight.mT.contiguous().mT, laid):
        net = load_network(written(state={"ema.net.tail.output.weight": way})).net
        assert torch.equal(net.state_dict()["tail.output.weight"], weight)
        assert net.state_dict()["tail.output.weight"].is_contiguous()


def test_a_network_does_not_hang_on_its_file(written: Callable[..., Path]) -> None:
    path = written()
    net = load_network(path).net
    before = net.state_dict()["tail.output.weight"].clone()
    path.write_bytes(bytes(path.stat().st_size))
    assert torch.equal(net.state_dict()["tail.output.weight"], before)
