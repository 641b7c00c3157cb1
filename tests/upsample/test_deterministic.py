"""torch.use_deterministic_algorithms(True) on a GPU, where torch's own backward of most of these refuses."""

import pytest
import torch

FORMATS = [torch.contiguous_format, torch.channels_last]


@pytest.mark.gpu
@pytest.mark.parametrize("memory_format", FORMATS, ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_on_a_gpu_two_runs_give_the_same_bits(factory, scale, dtype, memory_format, visit, deterministic, monkeypatch):
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


@pytest.mark.gpu
@pytest.mark.parametrize("memory_format", FORMATS, ids=str)
def test_a_gpu_gives_in_float64_what_a_cpu_gives(factory, scale, memory_format, visit, deterministic, monkeypatch):
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
