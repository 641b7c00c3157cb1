"""torch.use_deterministic_algorithms(True) on a GPU, where most backward kernels of torch raise an error."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from support import CONFIGS, Compose
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from upnet.config import build
from upnet.site import Site

FORMATS = [torch.contiguous_format, torch.channels_last]
NETWORKS = [
    *([f"model={path.stem}"] for path in sorted((CONFIGS / "model").glob("*.yaml"))),
    *(["model=unet", f"model/encoder={path.stem}"] for path in sorted((CONFIGS / "model/encoder").glob("*.yaml"))),
]
# What torch refuses on CUDA in deterministic mode, by the names of its kernels: the list in the documentation of
# torch.use_deterministic_algorithms.
REFUSED = {
    "_adaptive_avg_pool2d_backward",
    "_adaptive_avg_pool3d_backward",
    "_ctc_loss_backward",
    "_upsample_bicubic2d_aa_backward",
    "_upsample_bilinear2d_aa_backward",
    "adaptive_max_pool2d_backward",
    "adaptive_max_pool3d_backward",
    "avg_pool3d_backward",
    "bincount",
    "fractional_max_pool2d_backward",
    "fractional_max_pool3d_backward",
    "grid_sampler_2d_backward",
    "grid_sampler_3d_backward",
    "histc",
    "kthvalue",
    "max_pool3d_with_indices_backward",
    "max_unpool2d",
    "max_unpool3d",
    "median",
    "nll_loss2d_forward",
    "put_",
    "reflection_pad1d_backward",
    "reflection_pad2d_backward",
    "reflection_pad3d_backward",
    "upsample_bicubic2d_backward",
    "upsample_bilinear2d_backward",
    "upsample_linear1d_backward",
    "upsample_trilinear3d_backward",
}


class Watch(TorchDispatchMode):
    """Notes the name of every kernel that runs under it, backward passes included."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[str] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.seen.add(func.overloadpacket.__name__)
        return func(*args, **(kwargs or {}))


def kernels(module: Callable[[Tensor], Tensor], x: Tensor, *weights: Tensor) -> set[str]:
    """What runs forward and backward, as off the CPU: on `meta` only shapes are computed, and no GPU is needed."""
    assert x.device.type == "meta"
    with Watch() as watch:
        out = module(x.requires_grad_())
        torch.autograd.grad(out.square().sum(), [x, *weights])
    assert len(watch.seen) > 3
    return watch.seen


@pytest.mark.covering
@pytest.mark.parametrize("memory_format", FORMATS, ids=str)
@pytest.mark.parametrize("out_channels", [8, 3])
def test_operators_use_only_deterministic_kernels_on_cuda(
    factory, scale, out_channels, memory_format, visit, deterministic
):
    operator = factory(channels=8, scale=scale, out_channels=out_channels).to("meta", memory_format=memory_format)
    x, site = visit(operator, (11, 8))
    x = x.float().to("meta").to(memory_format=memory_format)
    indices = None if site.indices is None or out_channels != 8 else site.indices.to("meta")
    if "indices" in operator.requires and indices is None:
        pytest.skip("positions belong to as many channels as come in")
    seen = kernels(lambda x: operator(x, Site(site.size, indices=indices)), x, *operator.parameters())
    assert not seen & REFUSED


@pytest.mark.parametrize("overrides", NETWORKS, ids="-".join)
def test_networks_use_only_deterministic_kernels_on_cuda(overrides, compose: Compose, deterministic):
    config = compose(*overrides, "model.upsampler=null" if "model/encoder=conv_stack" in overrides else "scale=2")
    net = build(config.model).to("meta")
    x = torch.rand(2, net.channels, 17, 14, device="meta")
    assert not kernels(net, x, *net.parameters()) & REFUSED


@pytest.mark.parametrize("name", sorted(path.stem for path in (CONFIGS / "loss").glob("*.yaml")))
def test_losses_use_only_deterministic_kernels_on_cuda(name, compose: Compose, deterministic):
    loss = build(compose(f"loss={name}").loss)
    hr = torch.rand(2, 3, 8, 8, device="meta")
    assert not kernels(lambda x: loss(x, hr), torch.rand(2, 3, 8, 8, device="meta")) & REFUSED


@pytest.mark.parametrize(
    "module",
    [
        nn.Upsample(scale_factor=2, mode="bilinear"),
        nn.Upsample(scale_factor=2, mode="bicubic"),
        nn.ReflectionPad2d(1),
        nn.AdaptiveAvgPool2d(3),
        lambda x: F.grid_sample(x, torch.zeros(2, 5, 5, 2, device="meta"), align_corners=False),
        lambda x: F.max_unpool2d(x, torch.zeros(2, 3, 6, 6, dtype=torch.int64, device="meta"), [2, 2]),
    ],
    ids=["bilinear", "bicubic", "reflection", "adaptive", "grid_sample", "max_unpool"],
)
def test_the_check_detects_nondeterministic_torch_modules(module):
    assert kernels(module, torch.rand(2, 3, 6, 6, device="meta")) & REFUSED


@pytest.mark.covering
@pytest.mark.gpu
@pytest.mark.parametrize("memory_format", FORMATS, ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_gpu_runs_are_bitwise_repeatable(factory, scale, dtype, memory_format, visit, deterministic, monkeypatch):
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.manual_seed(0)
    operator = factory(channels=16, scale=scale).to("cuda", dtype)
    x, site = visit(operator, (45, 38))
    x = x.to("cuda", dtype).to(memory_format=memory_format).requires_grad_()
    skip = None if site.skip is None else site.skip.to("cuda", dtype).to(memory_format=memory_format)
    indices = None if site.indices is None else site.indices.to("cuda").to(memory_format=memory_format)
    site = type(site)(site.size, indices=indices, skip=skip)
    leaves = [x, *operator.parameters()]
    upstream = torch.randn(2, 16, 45, 38, device="cuda", dtype=dtype)
    runs = []
    for _ in range(3):
        out = operator(x, site)
        runs.append((out, *torch.autograd.grad(out, leaves, upstream)))
    for run in runs[1:]:
        assert all(torch.equal(a, b) for a, b in zip(runs[0], run, strict=True))


@pytest.mark.covering
@pytest.mark.gpu
@pytest.mark.parametrize("memory_format", FORMATS, ids=str)
def test_gpu_matches_cpu_in_float64(factory, scale, memory_format, visit, deterministic, monkeypatch):
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.manual_seed(0)
    operator = factory(channels=3, scale=scale).double()
    x, site = visit(operator, (13, 10))
    results = []
    for device in ("cpu", "cuda"):
        operator = operator.to(device)
        there = x.to(device).to(memory_format=memory_format).requires_grad_()
        fields = {name: getattr(site, name) for name in ("indices", "skip")}
        moved = {name: None if value is None else value.to(device) for name, value in fields.items()}
        out = operator(there, type(site)(site.size, **moved))
        results.append([t.cpu() for t in (out, *torch.autograd.grad(out.square().sum(), there))])
    for on_gpu, on_cpu in zip(*results, strict=True):
        torch.testing.assert_close(on_gpu, on_cpu, rtol=1e-9, atol=1e-9)
