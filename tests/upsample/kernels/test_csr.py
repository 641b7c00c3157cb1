"""Sparse matrices against the dense ones they stand for, and the interpolations that are made of them."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch._dynamo.backends.debugging import aot_eager
from torch.utils.flop_counter import FlopCounterMode

from upnet.upsample import Area, Bicubic, Bilinear, Lanczos
from upnet.upsample.kernels.csr import BandedMatrix, CsrMatrix, product
from upnet.upsample.kernels.separable import Separable

PLACES = torch.tensor([[0, 0, 2], [3, 1, 0], [2, 2, 2], [0, 4, 3]])
FORMATS = [torch.contiguous_format, torch.channels_last]


def taps(dtype: torch.dtype = torch.float64) -> tuple[CsrMatrix, Tensor]:
    """A matrix, 4 × 5, with repeated places, and the same dense in float64."""
    weights = torch.randn(PLACES.shape, dtype=torch.float64).to(dtype)
    dense = torch.zeros(4, 5, dtype=torch.float64).scatter_add_(1, PLACES, weights.double())
    return CsrMatrix.from_rows(PLACES, weights, 5), dense


def test_sparse_products_equal_dense_products():
    sparse, dense = taps()
    x, y = torch.randn(3, 5, 7, dtype=torch.float64), torch.randn(3, 4, 7, dtype=torch.float64)
    torch.testing.assert_close(sparse.multiply(x), dense @ x, rtol=1e-13, atol=1e-13)
    torch.testing.assert_close(sparse.transposed().multiply(y), dense.T @ y, rtol=1e-13, atol=1e-13)
    torch.testing.assert_close(sparse.transposed().transposed().multiply(x), dense @ x, rtol=1e-13, atol=1e-13)


def test_unused_inputs_have_zero_gradient():
    unused = CsrMatrix.from_rows(torch.tensor([[0, 2], [2, 0]]), torch.ones(2, 2, dtype=torch.float64), 4)
    back = unused.transposed().multiply(torch.ones(1, 2, 3, dtype=torch.float64))
    assert back[0, :, 0].tolist() == [2, 0, 2, 0]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
def test_products_are_rounded_once_in_every_dtype(dtype):
    sparse, _ = taps(dtype)
    x = torch.randn(2, 5, 33).to(dtype)
    products = sparse.values.double().view(4, 3, 1) * x.double()[:, PLACES]
    # Half a unit of the last place for the result, and float32's rounding for every step on the way.
    last, steps = torch.finfo(dtype).eps / 2, 4 * torch.finfo(torch.float32).eps
    room = last * products.sum(2).abs() + steps * products.abs().sum(2)
    assert ((sparse.multiply(x).double() - products.sum(2)).abs() <= room).all()


def test_first_and_second_derivatives_match_finite_differences():
    sparse, _ = taps()
    x = torch.randn(2, 5, 3, dtype=torch.float64, requires_grad=True)

    def squared(x: Tensor) -> Tensor:
        return product(sparse, sparse.transposed(), x).square()

    assert torch.autograd.gradcheck(squared, x)
    assert torch.autograd.gradgradcheck(squared, x)


@pytest.fixture(params=[True, False], ids=["cpu", "elsewhere"])
def on_cpu(request, monkeypatch):
    """What a CPU computes, and what other devices compute, here on a CPU."""
    for module in ("separable", "csr"):
        monkeypatch.setattr(f"upnet.upsample.kernels.{module}.on_cpu", lambda x: request.param)


@pytest.mark.covering(per="operator")
@pytest.mark.usefixtures("on_cpu")
@pytest.mark.parametrize("memory_format", FORMATS, ids=str)
@pytest.mark.parametrize("channels", [1, 9])
@pytest.mark.parametrize("scale", [1, 2, 3, 4, 1.14, 2.5, 7.3])
@pytest.mark.parametrize("operator", [Bicubic, Bilinear, Lanczos, Area])
def test_separable_interpolation_and_gradients_equal_dense_matrix_products(operator, scale, channels, memory_format):
    up = operator(channels, scale)
    x = torch.randn(1, channels, 5, 131, dtype=torch.float64).to(memory_format=memory_format).requires_grad_()
    out = up.upsample_full(x)
    rows, cols = up.matrix(5), up.matrix(131)
    torch.testing.assert_close(out, rows @ x @ cols.T, rtol=1e-12, atol=1e-12)
    upstream = torch.randn_like(out)
    (gradient,) = torch.autograd.grad(out, x, upstream)
    torch.testing.assert_close(gradient, rows.T @ upstream @ cols, rtol=1e-12, atol=1e-12)


def test_chunked_products_equal_one_product(monkeypatch):
    up, x = Bicubic(3, 2), torch.randn(2, 3, 7, 40, dtype=torch.float64)
    unchunked = up.upsample_full(x)
    monkeypatch.setattr("upnet.upsample.kernels.csr.CHUNK", 500)
    torch.testing.assert_close(up.upsample_full(x), unchunked, rtol=1e-13, atol=1e-13)


def test_banded_blocks_skip_most_zeros():
    there, back = Bicubic(1, 2)._banded(500, torch.empty(0))
    for matrix in (there, back):
        assert isinstance(matrix, BandedMatrix)
        assert sum(band.block.numel() for band in matrix.blocks) < 0.15 * 500 * 1000


@pytest.mark.parametrize("channels", [2, 16])
@pytest.mark.parametrize("memory_format", FORMATS, ids=str)
def test_interpolation_keeps_the_input_dtype_under_autocast(channels, memory_format):
    x = torch.randn(1, channels, 6, 7).to(memory_format=memory_format)
    for up in (Bicubic(channels, 2), Bilinear(channels, 2), Lanczos(channels, 2)):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert torch.equal(up.upsample_full(x), up.upsample_full(x.float()))
            assert up.upsample_full(x).dtype == torch.float32
            assert up.upsample_full(x.bfloat16()).dtype == torch.bfloat16


@pytest.mark.parametrize("memory_format", FORMATS, ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("operator", [Bicubic, Lanczos])
def test_work_and_memory_on_accelerators_are_linear_in_the_image_size(operator, dtype, memory_format):
    """On `meta`, which computes nothing but shapes and counts: with dense matrices both grow 4 times as fast."""

    def cost(length: int) -> tuple[int, int]:
        up = operator(16, 2)
        x = torch.empty(1, 16, 64, length, dtype=dtype, device="meta").to(memory_format=memory_format)
        with FlopCounterMode(display=False) as counter:
            up.upsample_full(x.requires_grad_()).sum().backward()
        return counter.get_total_flops() // 2, held(up)

    (work, kept), (more_work, more_kept) = cost(1000), cost(4000)
    assert more_work < 4.2 * work
    assert more_kept < 4.5 * kept
    assert more_kept < 8 * 2**20


def held(up: Separable) -> int:
    """The bytes of all matrices that an operator keeps."""
    return sum(
        band.block.nbytes for pair in up._banded_matrices._values.values() for matrix in pair for band in matrix.blocks
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("scale", [2, 3])
@pytest.mark.parametrize("operator", [Bicubic, Lanczos, Bilinear])
def test_products_on_accelerators_use_aligned_addresses(operator, scale, dtype):
    bands, back = operator(1, scale)._banded(1000, torch.empty(0, dtype=dtype, device="meta"))
    assert all(band.column % 8 == 0 for band in (*bands.blocks, *back.blocks))


@pytest.mark.rotating(per=None)
@pytest.mark.parametrize(
    ("operator", "scale", "memory_format"),
    [
        (Bicubic, 2, torch.channels_last),
        (Bicubic, 1.5, torch.contiguous_format),
        (Lanczos, 3, torch.contiguous_format),
        (Lanczos, 1, torch.channels_last),
        (Area, 1.5, torch.channels_last),
    ],
    ids=str,
)
def test_compiled_interpolation_equals_dense_matrix_products(operator, scale, memory_format):
    up = operator(9, scale)
    x = torch.randn(1, 9, 5, 31, dtype=torch.float64).to(memory_format=memory_format).requires_grad_()
    graphs: list[torch.fx.GraphModule] = []

    def record(graph: torch.fx.GraphModule, inputs: list[Tensor]) -> Callable[..., object]:
        graphs.append(graph)
        return aot_eager(graph, inputs)

    out = torch.compile(up.upsample_full, backend=record, fullgraph=True)(x)
    torch.compiler.reset()
    rows, cols = up.matrix(5), up.matrix(31)
    torch.testing.assert_close(out, rows @ x @ cols.T, rtol=1e-12, atol=1e-12)
    assert out.is_contiguous(memory_format=memory_format)
    upstream = torch.randn_like(out)
    (gradient,) = torch.autograd.grad(out, x, upstream)
    torch.testing.assert_close(gradient, rows.T @ upstream @ cols, rtol=1e-12, atol=1e-12)
    names = {str(node.target) for node in graphs[0].graph.nodes}
    assert not {name for name in names if "mm" in name or "matmul" in name or "copy" in name}
