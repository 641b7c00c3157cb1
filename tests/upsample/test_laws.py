"""Properties of every operator, tested for each yaml of configs/model/upsampler."""

import copy
import inspect
import io

import pytest
import torch
from torch import Tensor

from upnet import upsample
from upnet.site import Site
from upnet.upsample import Upsampler

SIZES = [(1, 1), (1, 7), (8, 12), (9, 5), (13, 10)]


def build(factory, scale=2, channels=3, out_channels=None) -> Upsampler:
    torch.manual_seed(0)
    extra = {} if out_channels is None else {"out_channels": out_channels}
    return factory(channels=channels, scale=scale, **extra).double()


def skip_where_it_reads_the_site(operator: Upsampler) -> None:
    if operator.requires:
        pytest.skip(f"reads {', '.join(operator.requires)} of its site, so x alone does not decide the output")


def test_every_public_operator_has_a_yaml_with_its_modules_stem(request):
    folder = request.path.parents[2] / "configs" / "model" / "upsampler"
    public = [getattr(upsample, name) for name in upsample.__all__]
    classes = [c for c in public if inspect.isclass(c) and issubclass(c, Upsampler) and not inspect.isabstract(c)]
    stems = {c.__module__.rpartition(".")[2]: c.__name__ for c in classes}
    for path in folder.glob("*.yaml"):
        assert f"_target_: upnet.upsample.{stems.pop(path.stem)}\n" in path.read_text(encoding="utf-8")
    assert not stems


@pytest.mark.covering
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_output_has_the_size_of_the_site(factory, scale, size, visit):
    operator = build(factory, scale)
    x, site = visit(operator, size)
    assert operator(x, site).shape == (2, 3, *size)


@pytest.mark.rotating
def test_upsample_full_returns_the_uncropped_output(factory, scale):
    operator = build(factory, scale)
    skip_where_it_reads_the_site(operator)
    assert operator.upsample_full(torch.ones(1, 3, 5, 7).double()).shape[-2:] == (int(scale * 5), int(scale * 7))


@pytest.mark.covering
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str)
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last], ids=str)
def test_dtype_and_memory_format_are_kept(factory, scale, dtype, memory_format, visit):
    operator = build(factory, scale).to(dtype=dtype)
    even = operator.output_size(6, 4)
    x, site = visit(operator, even)
    out = operator(x.to(dtype).to(memory_format=memory_format), site)
    assert out.dtype == dtype
    assert out.is_contiguous(memory_format=memory_format)


@pytest.mark.covering
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_contiguous_and_channels_last_inputs_agree(factory, scale, size, visit):
    operator = build(factory, scale)
    x, site = visit(operator, size)
    twin = operator(x.to(memory_format=torch.channels_last), site)
    torch.testing.assert_close(twin, operator(x, site), rtol=1e-12, atol=1e-12)


@pytest.mark.rotating
def test_bfloat16_is_close_to_float64(factory, scale, visit):
    operator = build(factory, scale)
    x, site = visit(operator, (13, 10))
    exact = operator(x, site)
    coarse = copy.deepcopy(operator).bfloat16()(x.bfloat16(), site)
    # Eight bits of mantissa for x, for the weights and for the sum; bicubic's two passes add one rounding more.
    assert (coarse.double() - exact).abs().max() <= 2**-6 * max(1.0, exact.abs().max().item())


@pytest.mark.rotating
def test_out_channels_are_produced_and_trained(factory, scale):
    operator = build(factory, scale, channels=3, out_channels=2)
    skip_where_it_reads_the_site(operator)
    out = operator.upsample_full(torch.randn(1, 3, 5, 4).double())
    assert out.shape[1] == 2
    out.square().sum().backward()
    assert list(operator.parameters())
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in operator.parameters())


@pytest.mark.covering
@pytest.mark.parametrize("size", [(6, 5), (3, 7)], ids=str)
def test_gradients_match_finite_differences(factory, scale, size, visit):
    operator = build(factory, scale, channels=2)
    x, site = visit(operator, size)
    names, parameters = zip(*operator.named_parameters(), strict=True) if list(operator.parameters()) else ((), ())

    def output(x: Tensor, *values: Tensor) -> Tensor:
        return torch.func.functional_call(operator, dict(zip(names, values, strict=True)), (x, site))

    # Fast mode compares the Jacobian along random directions.
    assert torch.autograd.gradcheck(output, (x.requires_grad_(), *parameters), fast_mode=True)


@pytest.mark.covering
def test_shifts_by_whole_input_pixels_commute_with_the_operator(factory, scale):
    operator = build(factory, scale)
    skip_where_it_reads_the_site(operator)
    if operator.support_size is None:
        pytest.skip("every output pixel feels the border, which doesn't shift along")
    # Only shifts that are integers on both grids: 2 input pixels for scales 1.5 and 2.5, 50 for 1.14.
    shift = next(n for n in range(1, 51) if abs(n * scale - round(n * scale)) < 1e-9)
    border, rows = 8, 24 + shift
    wide = torch.randn(1, 3, rows, 20, dtype=torch.float64)
    moved, still = operator.upsample_full(wide[:, :, shift:]), operator.upsample_full(wide[:, :, :-shift])
    gap, frame = round(shift * scale), round(border * scale)
    inner = moved[:, :, frame : -frame - gap, frame:-frame]
    assert inner.numel() > 0 or shift > 8
    here = still[:, :, frame + gap : frame + gap + inner.shape[2], frame:-frame]
    torch.testing.assert_close(inner, here, rtol=1e-11, atol=1e-11)


@pytest.mark.rotating
@pytest.mark.parametrize("size", [(12, 8), (11, 7)], ids=str)
def test_an_operator_is_affine_unless_it_is_content_adaptive(factory, scale, size, visit):
    operator = build(factory, scale)
    for parameter in operator.parameters():  # weights that start at zero would hide the dependence
        torch.nn.init.normal_(parameter, std=0.1)
    x, site = visit(operator, size)
    other = torch.randn_like(x)
    of_mixture = operator(0.3 * x + 0.7 * other, site)
    mixture = 0.3 * operator(x, site) + 0.7 * operator(other, site)
    difference = (of_mixture - mixture).abs().max().item()
    assert difference > 1e-4 if operator.content_adaptive else difference < 1e-11


def test_multiply_adds_of_fixed_operators_count_their_taps(factory, visit):
    operator = build(factory, channels=1)
    height, width = 8, 6
    counted = operator.multiply_adds(height, width)
    if counted is None or list(operator.parameters()):
        assert any(isinstance(part, torch.nn.modules.conv._ConvNd) for part in operator.modules())
        return
    units = torch.eye(height * width, dtype=torch.float64).view(-1, 1, height, width)
    x, site = visit(operator, operator.output_size(height, width))
    indices = None if site.indices is None else site.indices[:1].expand(len(units), -1, -1, -1)
    assert x.shape[-2:] == (height, width)
    matrix = operator(units, Site(site.size, indices=indices)).flatten(1).T  # (H*W, h*w)
    # A weight of 0 or 1 moves a value; any other is multiplied with, in the columns' pass after the rows' pass.
    taken = (matrix != 0).unflatten(1, (height, width))
    rows, cols = int(taken.any(2).sum(1).max()), int(taken.any(1).sum(1).max())
    moved = bool(((matrix == 0) | (matrix == 1)).all())
    tall, wide = operator.output_size(height, width)
    assert int(taken.sum((1, 2)).max()) == rows * cols
    assert counted == (0 if moved else rows * tall * width + cols * tall * wide)


@pytest.mark.rotating
def test_deterministic_mode_is_repeatable_and_agrees_with_the_default(factory, scale, visit, deterministic):
    operator = build(factory, scale)
    x, site = visit(operator, (11, 8))
    x.requires_grad_()
    runs = []
    for allowed in (True, True, False):
        torch.use_deterministic_algorithms(allowed)
        out = operator(x, site)
        runs.append((out.detach(), *torch.autograd.grad(out.square().sum(), x)))
    assert all(torch.equal(a, b) for a, b in zip(runs[0], runs[1], strict=True))
    for a, b in zip(runs[0], runs[2], strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)


@pytest.mark.rotating(per=None)
def test_compiled_output_and_gradient_equal_eager(factory, visit):
    operator = build(factory)
    compiled = torch.compile(operator, backend="aot_eager", fullgraph=True)
    x, site = visit(operator, (9, 6))
    x.requires_grad_()
    results = []
    for call in (operator, compiled):
        out = call(x, site)
        results.append((out, *torch.autograd.grad(out.square().sum(), x)))
    torch._dynamo.reset()
    for eager, compiled_result in zip(*results, strict=True):
        torch.testing.assert_close(compiled_result, eager, rtol=1e-12, atol=1e-12)


@pytest.mark.rotating
def test_state_dict_deepcopy_and_pickle_keep_the_operator(factory, scale, visit):
    operator = build(factory, scale)
    x, site = visit(operator, (7, 6))
    expected = operator(x, site)
    fresh = factory(channels=3, scale=scale).double()
    fresh.load_state_dict(operator.state_dict())
    buffer = io.BytesIO()
    torch.save(operator, buffer)
    buffer.seek(0)
    pickled = torch.load(buffer, weights_only=False)
    for twin in (fresh, pickled, copy.deepcopy(operator)):
        assert torch.equal(twin(x, site), expected)


@pytest.mark.rotating
def test_training_works_after_inference_mode(factory, scale, visit):
    operator = build(factory, scale)
    x, site = visit(operator, (9, 6))
    with torch.inference_mode():
        before = operator(x, site)
    x.requires_grad_()
    after = operator(x, site)
    after.sum().backward()
    assert torch.equal(before, after)


def test_wrong_input_shapes_are_rejected_with_the_expected_shape(factory, visit):
    operator = build(factory)
    x, site = visit(operator, (8, 8))
    with pytest.raises(ValueError, match=r"must be \(N, 3, h, w\); got \(2, 2, 4, 4\)"):
        operator(x[:, :2], site)
    with pytest.raises(ValueError, match=r"must be \(N, 3, h, w\); got \(3, 4, 4\)"):
        operator(x[0], site)


@pytest.mark.rotating
@pytest.mark.parametrize("size", [(8, 9), (6, 8), (16, 16)], ids=str)
def test_an_input_size_that_does_not_fit_the_site_is_rejected(factory, size, visit):
    operator = build(factory)
    x, site = visit(operator, (8, 8))
    rows, cols = operator.input_size(*size)
    with pytest.raises(ValueError, match=f"takes an input of {rows}×{cols}; got 4×4"):
        operator(x, Site(size, indices=site.indices, skip=site.skip))


def test_a_site_without_a_required_field_is_rejected(factory):
    operator = build(factory)
    if not operator.requires:
        pytest.skip("reads nothing but the size")
    with pytest.raises(ValueError, match=", ".join(sorted(operator.requires))):
        operator.upsample_full(torch.ones(1, 3, 4, 4).double())


@pytest.mark.parametrize("scale", [0, -2, 0.5, float("nan"), float("inf")])
def test_scales_below_one_are_rejected(scale, fixed_factories):
    for factory in fixed_factories.values():
        with pytest.raises(ValueError, match=f"scale={scale}: .*a finite number of at least 1"):
            factory(channels=3, scale=scale)


def test_fractional_scales_are_accepted_or_rejected_as_declared(factory):
    if factory(channels=1, scale=2).fractional:
        assert factory(channels=1, scale=1.5).scale == 1.5
    else:
        with pytest.raises(ValueError, match=r"scale=1\.5: .*needs an integer scale"):
            factory(channels=1, scale=1.5)


@pytest.mark.rotating
@pytest.mark.parametrize(("channels", "out_channels"), [(0, None), (-1, None), (3, 0)])
def test_fewer_than_one_channel_is_rejected(factory, channels, out_channels):
    with pytest.raises(
        ValueError, match=f"channels={channels if out_channels is None else out_channels}: .*at least one channel"
    ):
        build(factory, channels=channels, out_channels=out_channels)
