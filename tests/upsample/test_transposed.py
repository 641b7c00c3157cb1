"""Transposed convolution against nn.ConvTranspose2d, its three views, and what it is not."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from upnet.upsample import PixelShuffle, Transposed

# (scale, kernel_size): even and uneven overlap, shifted and centred, the default, and scale 1.
KERNELS = [(1, 3), (1, 5), (2, 2), (2, 3), (2, 4), (2, 5), (2, None), (3, 3), (3, 4), (3, 5), (3, None), (4, 4), (4, 6)]
each_kernel = pytest.mark.parametrize(("scale", "kernel_size"), KERNELS)


def make(scale: int, kernel_size: int | None, channels: int = 3, out_channels: int = 2) -> Transposed:
    torch.manual_seed(0)
    return Transposed(channels, scale, out_channels, kernel_size=kernel_size).double()


def layer_of(operator: Transposed) -> nn.ConvTranspose2d:
    """The torch layer with the parameters of the operator."""
    conv = operator.conv
    k, s, padding, left = conv.kernel_size, conv.stride, int(conv.padding[0]), conv.output_padding
    layer = nn.ConvTranspose2d(conv.in_channels, conv.out_channels, k, s, padding, left)  # pyright: ignore[reportArgumentType]
    layer.weight, layer.bias = conv.weight, conv.bias
    return layer


def random_input(channels: int = 3, height: int = 5, width: int = 4) -> Tensor:
    return torch.randn(2, channels, height, width, dtype=torch.float64)


def same(a: Tensor, b: Tensor) -> None:
    torch.testing.assert_close(a, b, rtol=1e-13, atol=1e-13)


@each_kernel
def test_equals_conv_transpose2d_with_padding_for_the_exact_size(scale, kernel_size):
    operator, x = make(scale, kernel_size), random_input()
    k = kernel_size or 3 * scale
    padding = -(-(k - scale) // 2)
    left = 2 * padding - (k - scale)
    layer = nn.ConvTranspose2d(3, 2, k, stride=scale, padding=padding, output_padding=left).double()
    layer.load_state_dict(operator.conv.state_dict())
    same(operator.upsample_full(x), layer(x))


@pytest.mark.covering(per="scale")
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last], ids=str)
@pytest.mark.parametrize("out_channels", [2, 12])
@pytest.mark.parametrize(("scale", "kernel_size"), [*KERNELS, (2, 9), (2, 10), (3, 7)])
def test_every_implementation_equals_conv_transpose2d_with_gradients(scale, kernel_size, out_channels, memory_format):
    operator = make(scale, kernel_size, out_channels=out_channels)
    x = random_input().to(memory_format=memory_format).requires_grad_()
    with torch.no_grad():
        same(operator.upsample_full(x), layer_of(operator)(x))
    leaves = [x, *operator.parameters()]
    results = []
    for call in (operator.upsample_full, layer_of(operator)):
        # In place, as an activation behind it may be.
        out = F.leaky_relu_(call(x))
        results.append((out, *torch.autograd.grad(out.square().sum(), leaves)))
    for ours, torchs in zip(*results, strict=True):
        torch.testing.assert_close(ours, torchs, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("out_channels", [2, 12])
@each_kernel
def test_dtypes_under_autocast_equal_conv_transpose2d(scale, kernel_size, out_channels):
    operator, x = make(scale, kernel_size, out_channels=out_channels).float(), random_input().float()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out, expected = operator.upsample_full(x), layer_of(operator)(x)
    assert out.dtype == expected.dtype == torch.bfloat16
    torch.testing.assert_close(out, expected, rtol=0.02, atol=0.02)
    out.float().square().sum().backward()
    assert all(p.grad is not None and p.grad.dtype == torch.float32 for p in operator.parameters())


@each_kernel
def test_multiply_adds_equal_conv_transpose2d(scale, kernel_size):
    operator = make(scale, kernel_size)
    with FlopCounterMode(display=False) as counter:
        layer_of(operator)(random_input()[:1])
    assert operator.multiply_adds(5, 4) == counter.get_total_flops() // 2


@each_kernel
def test_first_view_is_a_convolution_of_the_zero_inserted_input(scale, kernel_size):
    operator, x = make(scale, kernel_size), random_input()
    expanded = operator.zero_inserted(x)
    k = operator.conv.kernel_size[0]
    assert expanded.shape[-2:] == (scale * 5 + k - 1, scale * 4 + k - 1)
    assert torch.count_nonzero(expanded) == x.numel()
    same(F.conv2d(expanded, operator.ordinary_weight(), operator.conv.bias), operator.upsample_full(x))


def test_first_view_of_a_2x2_input():
    """The frame of one zero that a 3×3 kernel needs stands around the example of science and textbooks."""
    x = torch.tensor([[1.0, 2.0], [3.0, 4.0]])[None, None]
    expanded = Transposed(1, 2, kernel_size=3).zero_inserted(x)[0, 0]
    assert expanded[1:5, 1:5].tolist() == [[1, 0, 2, 0], [0, 0, 0, 0], [3, 0, 4, 0], [0, 0, 0, 0]]
    assert expanded.shape == (6, 6)
    assert expanded.sum() == 10


@each_kernel
def test_second_view_is_a_matrix_times_the_flattened_input(scale, kernel_size):
    operator, x = make(scale, kernel_size), random_input()
    bias = operator.conv.bias
    assert bias is not None
    product = x.flatten(1) @ operator.matrix(5, 4).T
    same(product.view(2, 2, 5 * scale, 4 * scale) + bias.view(1, 2, 1, 1), operator.upsample_full(x))


@each_kernel
def test_matrix_is_the_transpose_of_the_strided_convolutions_matrix(scale, kernel_size):
    operator, height, width = make(scale, kernel_size), 4, 3
    units = torch.eye(2 * scale * height * scale * width, dtype=torch.float64)
    strided = F.conv2d(
        units.view(-1, 2, scale * height, scale * width),
        operator.conv.weight,
        stride=scale,
        padding=operator.conv.padding,
    )
    same(operator.matrix(height, width), strided.flatten(1))


@each_kernel
def test_third_view_is_one_small_convolution_per_output_phase(scale, kernel_size):
    """y[sn + r] = Σ_d w[sd + r + p]·x[n − d], summed as it is written."""
    operator, x = make(scale, kernel_size), random_input()
    weight, bias, p = operator.conv.weight, operator.conv.bias, int(operator.conv.padding[0])
    assert bias is not None
    expected = bias.view(1, 2, 1, 1).expand(2, 2, 5 * scale, 4 * scale).clone()
    for row in range(5 * scale):
        for col in range(4 * scale):
            for i in range(5):
                for j in range(4):
                    # With o = sn + r and n − d = i, the weight's place sd + r + p is o − si + p.
                    a, b = row - scale * i + p, col - scale * j + p
                    if 0 <= a < weight.shape[2] and 0 <= b < weight.shape[3]:
                        expected[:, :, row, col] += x[:, :, i, j] @ weight[:, :, a, b]
    same(operator.upsample_full(x), expected)


@pytest.mark.parametrize("kernel_size", [1, 3, 5, None])
def test_scale_one_is_an_ordinary_convolution(kernel_size):
    operator, x = make(1, kernel_size), random_input()
    k = operator.conv.kernel_size[0]
    same(operator.upsample_full(x), F.conv2d(x, operator.ordinary_weight(), operator.conv.bias, padding=k // 2))


def distances_from_ordinary_convolutions(scale: int, kernel_size: int, length: int) -> Tensor:
    """Singular values of kernel -> (matrix of the operator − the nearest matrix of an ordinary convolution)."""
    operator = make(scale, kernel_size, channels=1, out_channels=1)
    rows, cols = torch.meshgrid(torch.arange(scale * length), torch.arange(length), indexing="ij")
    offset = rows - cols + length  # of an output row from an input row; never negative
    # One number for each pair of offsets, vertical and horizontal, in the order of matrix(): (H, W) by (h, w).
    pairs = (offset[:, None, :, None] * 10 * length * scale + offset[None, :, None, :]).flatten()
    _, group = pairs.unique(return_inverse=True)
    residuals = []
    for unit in torch.eye(kernel_size**2, dtype=torch.float64):
        with torch.no_grad():
            operator.conv.weight.copy_(unit.view(1, 1, kernel_size, kernel_size))
        entries = operator.matrix(length, length).detach().flatten()
        sums = torch.zeros(int(group.max()) + 1, dtype=torch.float64).index_add(0, group, entries)
        means = sums / group.bincount()
        residuals.append(entries - means[group])
    return torch.linalg.svdvals(torch.stack(residuals))


@pytest.mark.parametrize(("scale", "kernel_size"), [(2, 2), (2, 3), (2, 4), (2, 6), (3, 3), (4, 5)])
def test_larger_scales_equal_no_ordinary_convolution(scale, kernel_size):
    """A proof for every kernel but zero, and for ordinary convolutions of every size and padding.

    Ordinary convolution means y[o] = Σ_j v[j]·x[o + j − p] + b: one input pixel further is one output pixel further. So
    the entry of its matrix at output o and input n depends on o − n alone, and, with kernels as large as one likes, may
    depend on it in any way: these matrices are the space of all that are constant on the diagonals o − n. The
    transposed convolution has w[o − s·n + p] there: one input pixel further is s output pixels further.

    The nearest matrix of that space, in least squares, has each diagonal's mean on the diagonal. What is left over is a
    linear function of w; were it zero for any w but zero, its smallest singular value would be zero. It is not. With
    s = 1 all of them are, as the two are then the same thing.

    On an endless grid the reason takes one line: if T commutes with shifts as both do, S·T(x) = T(S·x) = Sˢ·T(x), and
    an output that equals its own shift by s − 1 pixels is not the response to a finite input, unless it is zero.
    """
    values = distances_from_ordinary_convolutions(scale, kernel_size, length=4)
    assert values.min() > 0.5
    assert distances_from_ordinary_convolutions(1, 3, length=4).max() < 1e-14


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_default_equals_a_3x3_sub_pixel_convolution(scale):
    """k = 3s: weight [s(2 − t) + r] of the one is weight t of the other's phase r, in each axis."""
    shuffle = PixelShuffle(3, scale, out_channels=2, init="plain").double()
    operator = make(scale, None)
    assert operator.conv.kernel_size == (3 * scale, 3 * scale)
    assert operator.conv.padding == (scale, scale)
    assert shuffle.conv.bias is not None
    assert operator.conv.bias is not None
    phases = shuffle.conv.weight.view(2, scale, scale, 3, 3, 3).flip(4, 5)  # (O, r, r', C, 2 − t, 2 − t')
    with torch.no_grad():
        operator.conv.weight.copy_(phases.permute(3, 0, 4, 1, 5, 2).reshape(3, 2, 3 * scale, 3 * scale))
        shared = torch.tensor([0.3, -0.2], dtype=torch.float64)
        operator.conv.bias.copy_(shared)
        shuffle.conv.bias.copy_(shared.repeat_interleave(scale**2))
    x = random_input()
    same(operator.upsample_full(x), shuffle.upsample_full(x))


@pytest.mark.parametrize(
    ("scale", "kernel_size", "counts"),
    [
        (2, 3, [[1, 2], [2, 4]]),
        (2, 5, [[9, 6], [6, 4]]),
        (2, 4, [[4, 4], [4, 4]]),
        (2, None, [[9, 9], [9, 9]]),
        (3, None, [[9, 9, 9]] * 3),
    ],
)
def test_number_of_writes_per_output_phase(scale, kernel_size, counts):
    operator = make(scale, kernel_size, channels=1, out_channels=1)
    ones = nn.init.ones_(operator.conv.weight)
    out = F.conv_transpose2d(torch.ones(1, 1, 7, 7).double(), ones, None, scale, int(operator.conv.padding[0]))
    inside = out[0, 0, 3 * scale : 4 * scale, 3 * scale : 4 * scale]
    assert inside.tolist() == counts


@pytest.mark.parametrize(("scale", "kernel_size"), [(2, 2), (2, None), (4, None)])
def test_initial_output_variance_matches_a_convolution(scale, kernel_size):
    """Unit input variance gives 1/3, as for an ordinary convolution with the initialisation of torch."""
    torch.manual_seed(0)
    out = Transposed(64, scale, kernel_size=kernel_size).upsample_full(torch.randn(4, 64, 12, 12))
    inside = out[..., 2 * scale : -2 * scale, 2 * scale : -2 * scale]
    assert inside.var().item() == pytest.approx(1 / 3, rel=0.15)


def test_a_kernel_smaller_than_the_scale_is_rejected():
    with pytest.raises(ValueError, match=r"kernel_size=2: Transposed needs .*3 or more at scale 3"):
        Transposed(1, 3, kernel_size=2)


def test_an_even_kernel_at_scale_one_is_rejected():
    with pytest.raises(ValueError, match="odd kernel at scale 1"):
        Transposed(1, 1, kernel_size=4)
