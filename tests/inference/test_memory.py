"""Images that exceed memory are upscaled in tiles with the same output as untiled."""

import math
import os
import subprocess
import sys
from functools import partial

import pytest
import torch
from support import ROOT

from upnet.blocks import ConvBlock
from upnet.encoders import MaxPoolEncoder
from upnet.inference import memory
from upnet.inference.tensor import upscale_tensor
from upnet.inference.tiling import ImageTooLargeError
from upnet.models import EncoderDecoder
from upnet.upsample import Bilinear
from upnet.utils import free_memory


def run_network(net: EncoderDecoder, lr: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return net(lr)


def assert_close_outputs(one: torch.Tensor, other: torch.Tensor) -> None:
    torch.testing.assert_close(one, other, rtol=0, atol=1e-5)


class MemoryLimitedNet(EncoderDecoder):
    """A network that records the LR pixels of each call and raises `error` above a limit of pixels.

    `next_limits` are the limits of the next calls. `max_pixels` is the limit of all later calls.
    """

    calls: list[int]
    max_pixels: float = math.inf
    next_limits: list[float]
    error: Exception = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    def refine(self, x: torch.Tensor, base: torch.Tensor | None) -> torch.Tensor:
        """Raise `error` if the input is too large."""
        self.calls.append(x.shape[-2] * x.shape[-1] // self.scale**2)
        if self.calls[-1] > (self.next_limits.pop(0) if self.next_limits else self.max_pixels):
            raise self.error
        return super().refine(x, base)


@pytest.fixture
def limited_net() -> MemoryLimitedNet:
    """On the CPU, whose memory suffices."""
    torch.manual_seed(0)
    net = MemoryLimitedNet(2, 3, partial(MaxPoolEncoder, width=3, depth=1), ConvBlock, Bilinear).eval()
    net.calls, net.next_limits = [], []
    return net


OUT_OF_MEMORY_ERRORS = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
    MemoryError(),
    RuntimeError("[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: you tried"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:80] data. DefaultCPUAllocator: not enough memory: you tried"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    RuntimeError("std::bad_alloc"),
]


@pytest.mark.rotating
@pytest.mark.parametrize("error", OUT_OF_MEMORY_ERRORS, ids=lambda error: type(error).__name__)
def test_tiles_are_halved_until_they_fit_into_memory(limited_net: MemoryLimitedNet, error: Exception) -> None:
    image = torch.rand(3, 90, 70)
    expected = upscale_tensor(limited_net, image, tile="none")
    limited_net.max_pixels, limited_net.error, limited_net.calls = 2100, error, []
    assert_close_outputs(upscale_tensor(limited_net, image), expected)
    rejected = [pixels for pixels in limited_net.calls if pixels > limited_net.max_pixels]
    # The first call is untiled. The next calls use tiles of 45 rows and columns with margins.
    assert rejected[0] == 90 * 70
    assert len(rejected) == 2
    assert len(limited_net.calls) > 6


def test_tiles_computed_before_an_out_of_memory_error_are_kept(
    limited_net: MemoryLimitedNet, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = torch.rand(3, 90, 70)
    monkeypatch.setattr(free_memory, "available_bytes", lambda: None)
    expected = upscale_tensor(limited_net, image, tile="none")
    # The untiled call and the third of four tiles exceed memory. The two remaining tiles are split into four each.
    limited_net.calls, limited_net.next_limits = [], [0, math.inf, math.inf, 0]
    assert_close_outputs(upscale_tensor(limited_net, image), expected)
    assert len(limited_net.calls) == 1 + 2 + 1 + 8


def test_an_image_whose_smallest_tile_does_not_fit_is_rejected_with_its_size(limited_net: MemoryLimitedNet) -> None:
    limited_net.max_pixels = 1
    with pytest.raises(
        ImageTooLargeError, match=r"30×20 pixels doesn't fit into the memory of cpu as a whole, not even in tiles of"
    ):
        upscale_tensor(limited_net, torch.rand(3, 20, 30))


def test_errors_unrelated_to_memory_are_raised(limited_net: MemoryLimitedNet) -> None:
    limited_net.max_pixels, limited_net.error = 1, RuntimeError("Expected 3 channels")
    with pytest.raises(RuntimeError, match="Expected 3 channels"):
        upscale_tensor(limited_net, torch.rand(3, 20, 30))
    assert len(limited_net.calls) <= 1


def test_an_explicit_tile_that_does_not_fit_is_rejected(limited_net: MemoryLimitedNet) -> None:
    limited_net.max_pixels = 100
    with pytest.raises(ImageTooLargeError, match=r"tile=30: an image of 60×60 .*, nor in tiles of this size"):
        upscale_tensor(limited_net, torch.rand(3, 60, 60), tile=30)


@pytest.mark.full
def test_an_image_is_tiled_on_a_cpu_before_memory_runs_out(
    limited_net: MemoryLimitedNet, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = torch.rand(3, 120, 100)
    expected = upscale_tensor(limited_net, image, tile="none")
    required = memory.peak_bytes(limited_net, (1, 3, 120, 100))
    assert required is not None
    monkeypatch.setattr(free_memory, "available_bytes", lambda: required // 2)
    limited_net.calls = []
    assert_close_outputs(upscale_tensor(limited_net, image), expected)
    assert max(limited_net.calls) < 120 * 100
    monkeypatch.setattr(free_memory, "available_bytes", lambda: 2 * required)
    limited_net.calls = []
    assert torch.equal(upscale_tensor(limited_net, image), expected)
    assert limited_net.calls == [120 * 100]
    monkeypatch.setattr(free_memory, "available_bytes", lambda: 1000)
    with pytest.raises(ImageTooLargeError, match="100×120"):
        upscale_tensor(limited_net, image)


def test_estimated_memory_is_proportional_to_the_image_and_covers_the_peak(limited_net: MemoryLimitedNet) -> None:
    peaks = [memory.peak_bytes(limited_net, (1, 3, side, 64)) for side in (64, 128, 256)]
    small, middle, large = (peak for peak in peaks if peak is not None)
    assert middle / small == pytest.approx(2, rel=0.1)
    assert large / middle == pytest.approx(2, rel=0.1)
    # At the HR resolution: input, skip, upsampled features, their concatenation and the output.
    assert small > 4 * (2 * 64) ** 2 * (3 + 3 + 3 + 6 + 3)


def test_memory_estimation_does_not_change_the_network(limited_net: MemoryLimitedNet) -> None:
    lr = torch.rand(1, 3, 20, 24)
    before = run_network(limited_net, lr)
    state = {name: value.clone() for name, value in limited_net.state_dict().items()}
    memory.peak_bytes(limited_net, (1, 3, 20, 24))
    assert torch.equal(run_network(limited_net, lr), before)
    assert all(torch.equal(state[name], value) for name, value in limited_net.state_dict().items())


LIMITED_SCRIPT = """
import ctypes, resource, torch
from functools import partial
from upnet.blocks import ConvBlock
from upnet.encoders import MaxPoolEncoder
from upnet.models import EncoderDecoder
from upnet.inference.tensor import upscale_tensor
from upnet.inference import memory
from upnet.upsample import Bilinear
from upnet.utils import free_memory

torch.set_num_threads(1)
torch.manual_seed(0)
net = EncoderDecoder(2, 3, partial(MaxPoolEncoder, width=3, depth=1), ConvBlock, Bilinear).eval()
sizes = []
net.encoder.register_forward_pre_hook(lambda module, inputs: sizes.append(inputs[0].shape[-2:].numel() // 4))
image = torch.rand(3, 500, 400)
expected = upscale_tensor(net, image, tile="none")
required = memory.peak_bytes(net, (1, 3, 500, 400))
ctypes.CDLL(None).malloc_trim(0)
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + required // 2, used + required // 2))
for function in (free_memory.available_bytes, lambda: None):
    free_memory.available_bytes = function
    sizes.clear()
    upscaled = upscale_tensor(net, image)
    rejected = sum(size == 500 * 400 for size in sizes)
    print(rejected, len(sizes) - rejected, float((upscaled - expected).abs().max()))
"""


@pytest.mark.full
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems don't enforce RLIMIT_AS")
def test_tiled_output_equals_untiled_under_an_address_space_limit() -> None:
    # glibc then unmaps every large block that is freed: free blocks that stay mapped could hold the untiled image.
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "MALLOC_MMAP_THRESHOLD_": "1000000"}
    result = subprocess.run(
        [sys.executable, "-c", LIMITED_SCRIPT], capture_output=True, text=True, env=environment, timeout=300
    )
    assert result.returncode == 0, result.stderr
    for line, attempts in zip(result.stdout.splitlines(), (0, 1), strict=True):
        # With a known limit the untiled image isn't attempted. Without one torch rejects it.
        rejected, tiles, difference = map(float, line.split())
        assert rejected == attempts
        assert tiles >= 4
        assert difference <= 1e-5


@pytest.mark.gpu
def test_tiles_are_halved_until_they_fit_into_gpu_memory() -> None:
    net = EncoderDecoder(2, 3, partial(MaxPoolEncoder, width=16, depth=2), ConvBlock, Bilinear).eval().cuda()
    image = torch.rand(3, 1024, 1024)
    expected = upscale_tensor(net, image, tile="none").cpu()
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction(400e6 / total)
    try:
        with pytest.raises(torch.OutOfMemoryError):
            upscale_tensor(net, image, tile="none")
        assert_close_outputs(upscale_tensor(net, image).cpu(), expected)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
