"""Weights are plain tensors that fit the network; other values are rejected."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from upnet.checkpoint import load_network
from upnet.checkpoint.weights import select_weights

BIAS = "ema.net.tail.output.bias"
NOT_PLAIN: dict[str, Any] = {
    "a number": 3.0,
    "a text": "text",
    "a list": [0.0, 0.0, 0.0],
    "None": None,
    "sparse": torch.zeros(3).to_sparse(),
    "sparse of any size": torch.sparse_coo_tensor(torch.zeros(1, 1, dtype=torch.long), torch.ones(1), (10**15,)),
    "compressed sparse": torch.eye(3).to_sparse_csr(),
    "quantised": torch.quantize_per_tensor(torch.zeros(3), 0.1, 0, torch.qint8),
    "complex": torch.zeros(3, dtype=torch.complex64),
    "meta": torch.empty(3, device="meta"),
    "meta of any size": torch.empty(10**15, device="meta"),
}
MISMATCHED: dict[str, Any] = {
    "another shape": torch.zeros(9),
    "more axes": torch.zeros(3, 1),
    "a scalar": torch.zeros(()),
    "empty": torch.zeros(0),
    "double": torch.zeros(3, dtype=torch.float64),
    "half": torch.zeros(3, dtype=torch.float16),
    "integers": torch.zeros(3, dtype=torch.int32),
    "booleans": torch.zeros(3, dtype=torch.bool),
}


@pytest.mark.parametrize("name", NOT_PLAIN)
def test_values_other_than_plain_tensors_are_rejected(written: Callable[..., Path], name: str) -> None:
    with pytest.raises(
        ValueError, match=r"^a\.ckpt contains tail\.output\.bias as a .*; weights must be plain tensors$"
    ):
        select_weights({BIAS: NOT_PLAIN[name]}, "ema", Path("a.ckpt"), 1 << 60)
    # The scan of the pickle rejects most of them before they are built.
    problem = (
        r"as a .*; weights must be plain tensors$|it refers to torch\._utils\._rebuild_\w+\. It contains more than"
    )
    with pytest.raises(ValueError, match=problem):
        load_network(written(state={BIAS: NOT_PLAIN[name]}))


@pytest.mark.parametrize("name", MISMATCHED)
def test_a_tensor_of_another_shape_or_dtype_is_rejected(written: Callable[..., Path], name: str) -> None:
    with pytest.raises(ValueError, match=r"tail\.output\.bias is .* instead of \(3,\) of float32$"):
        load_network(written(state={BIAS: MISMATCHED[name]}))


def test_missing_and_unknown_weights_are_named(written: Callable[..., Path]) -> None:
    for changes, problem in (
        ({BIAS: ...}, r"missing: tail\.output\.bias$"),
        ({"ema.net.evil": torch.zeros(1)}, "unknown: evil$"),
        ({"ema.net.\x1b[2J": torch.zeros(1)}, r"unknown: '\\x1b\[2J'$"),
        ({f"ema.net.{number}": torch.zeros(1) for number in range(9)}, r"unknown: 0, 1, 2 and 6 more$"),
        ({BIAS: ..., "ema.net.bias": torch.zeros(3)}, r"missing: tail\.output\.bias; unknown: bias$"),
    ):
        with pytest.raises(ValueError, match=problem):
            load_network(written(state=changes))


@pytest.mark.parametrize("shared", ["expanded", "one storage for many", "one tensor for many"])
def test_weights_that_share_memory_are_rejected(written: Callable[..., Path], shared: str) -> None:
    """A small file can claim many weights of the right shape and dtype by overlapping tensors."""
    path = written("model=edsr")
    state = torch.load(path, weights_only=True)["state_dict"]
    shapes = {name: tensor.shape for name, tensor in state.items() if name.startswith("ema.")}
    common = torch.zeros(max(shape.numel() for shape in shapes.values()))
    claimed = {
        "expanded": lambda shape: torch.zeros(1).expand(shape),
        "one storage for many": lambda shape: common[: shape.numel()].view(shape),
        "one tensor for many": lambda shape: common[: shape.numel()].view(shape).expand(shape),
    }
    changes = {name: claimed[shared](shape) for name, shape in shapes.items()}
    path = written("model=edsr", state=changes | {name: ... for name in state if not name.startswith("ema.")})
    assert path.stat().st_size < 0.4 * sum(4 * shape.numel() for shape in shapes.values())
    with pytest.raises(ValueError, match="its tensors overlap"):
        load_network(path)


def test_strided_tensors_are_loaded_as_contiguous_ones(written: Callable[..., Path]) -> None:
    weight = torch.arange(3 * 4 * 9.0).view(3, 4, 3, 3)
    strided = torch.zeros(3, 4, 3, 6)[..., ::2].copy_(weight)
    for stored in (weight.to(memory_format=torch.channels_last), weight.mT.contiguous().mT, strided):
        net = load_network(written(state={"ema.net.tail.output.weight": stored})).net
        assert torch.equal(net.state_dict()["tail.output.weight"], weight)
        assert net.state_dict()["tail.output.weight"].is_contiguous()


def test_a_network_does_not_depend_on_its_file_after_loading(written: Callable[..., Path]) -> None:
    path = written()
    net = load_network(path).net
    before = net.state_dict()["tail.output.weight"].clone()
    path.write_bytes(bytes(path.stat().st_size))
    assert torch.equal(net.state_dict()["tail.output.weight"], before)
