"""Where memory ends a picture is cut, and comes out the same: refused by torch, foreseen on a CPU, or under a limit."""

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


def whole(net: EncoderDecoder, lr: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return net(lr)


def same(one: torch.Tensor, other: torch.Tensor) -> None:
    torch.testing.assert_close(one, other, rtol=0, atol=1e-5)


class Counted(EncoderDecoder):
    """A network that counts the LR pixels of each call, and memory for `most` or `limits` of them."""

    calls: list[int]
    most: float = math.inf
    limits: list[float]
    fault: Exception = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    def refine(self, x: torch.Tensor, base: torch.Tensor | None) -> torch.Tensor:
        """Refuses what is too large."""
        self.calls.append(x.shape[-2] * x.shape[-1] // self.scale**2)
        if self.calls[-1] > (self.limits.pop(0) if self.limits else self.most):
            raise self.fault
        return super().refine(x, base)


@pytest.fixture
def counted() -> Counted:
    """On the CPU, whose own memory is more than enough."""
    torch.manual_seed(0)
    net = Counted(2, 3, partial(MaxPoolEncoder, width=3, depth=1), ConvBlock, Bilinear).eval()
    net.calls, net.limits = [], []
    return net


FAULTS = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
    MemoryError(),
    RuntimeError("[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: you tried"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:80] data. DefaultCPUAllocator: not enough memory: you tried"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    RuntimeError("std::bad_alloc"),
]


@pytest.mark.rotating
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: type(fault).__name__)
def test_where_memory_is_refused_the_picture_is_halved_until_it_fits(counted: Counted, fault: Exception) -> None:
    picture = torch.rand(3, 90, 70)
    expected = upscale_tensor(counted, picture, tile="none")
    counted.most, counted.fault, counted.calls = 2100, fault, []
    same(upscale_tensor(counted, picture), expected)
    refused = [pixels for pixels in counted.calls if pixels > counted.most]
    # Whole, then by tiles of 45 rows and columns, with what they look at around them.
    assert refused[0] == 90 * 70
    assert len(refused) == 2
    assert len(counted.calls) > 6


def test_tiles_that_were_computed_before_memory_ran_out_are_kept(
    counted: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture = torch.rand(3, 90, 70)
    monkeypatch.setattr(free_memory, "available_bytes", lambda: None)
    expected = upscale_tensor(counted, picture, tile="none")
    # The whole is refused, and of the four tiles the third; the two that are left become four each.
    counted.calls, counted.limits = [], [0, math.inf, math.inf, 0]
    same(upscale_tensor(counted, picture), expected)
    assert len(counted.calls) == 1 + 2 + 1 + 8


def test_a_picture_of_which_not_even_the_smallest_tile_fits_is_refused_with_its_size(counted: Counted) -> None:
    counted.most = 1
    with pytest.raises(
        ImageTooLargeError, match=r"30×20 pixels doesn't fit into the memory of cpu as a whole, not even in tiles of"
    ):
        upscale_tensor(counted, torch.rand(3, 20, 30))


def test_other_errors_are_not_taken_for_a_lack_of_memory(counted: Counted) -> None:
    counted.most, counted.fault = 1, RuntimeError("Expected 3 channels")
    with pytest.raises(RuntimeError, match="Expected 3 channels"):
        upscale_tensor(counted, torch.rand(3, 20, 30))
    assert len(counted.calls) <= 1


def test_an_explicit_tile_that_does_not_fit_says_so_itself(counted: Counted) -> None:
    counted.most = 100
    with pytest.raises(ImageTooLargeError, match=r"tile=30: an image of 60×60 .*, nor in tiles of this size"):
        upscale_tensor(counted, torch.rand(3, 60, 60), tile=30)


def test_on_a_cpu_the_picture_is_cut_before_memory_runs_out(counted: Counted, monkeypatch: pytest.MonkeyPatch) -> None:
    picture = torch.rand(3, 120, 100)
    expected = upscale_tensor(counted, picture, tile="none")
    need = memory.peak_bytes(counted, (1, 3, 120, 100))
    assert need is not None
    monkeypatch.setattr(free_memory, "available_bytes", lambda: need // 2)
    counted.calls = []
    same(upscale_tensor(counted, picture), expected)
    assert max(counted.calls) < 120 * 100
    monkeypatch.setattr(free_memory, "available_bytes", lambda: 2 * need)
    counted.calls = []
    assert torch.equal(upscale_tensor(counted, picture), expected)
    assert counted.calls == [120 * 100]
    monkeypatch.setattr(free_memory, "available_bytes", lambda: 1000)
    with pytest.raises(ImageTooLargeError, match="100×120"):
        upscale_tensor(counted, picture)


def test_what_a_network_takes_grows_with_the_picture_and_counts_its_widest_place(counted: Counted) -> None:
    peaks = [memory.peak_bytes(counted, (1, 3, side, 64)) for side in (64, 128, 256)]
    small, middle, large = (peak for peak in peaks if peak is not None)
    assert middle / small == pytest.approx(2, rel=0.1)
    assert large / middle == pytest.approx(2, rel=0.1)
    # On the finest grid: the entry, the skip, what has grown, the two of them together, and what comes of them.
    assert small > 4 * (2 * 64) ** 2 * (3 + 3 + 3 + 6 + 3)


def test_following_shapes_leaves_the_network_as_it_was(counted: Counted) -> None:
    lr = torch.rand(1, 3, 20, 24)
    before = whole(counted, lr)
    state = {name: value.clone() for name, value in counted.state_dict().items()}
    memory.peak_bytes(counted, (1, 3, 20, 24))
    assert torch.equal(whole(counted, lr), before)
    assert all(torch.equal(state[name], value) for name, value in counted.state_dict().items())


LIMITED = """
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
picture = torch.rand(3, 500, 400)
expected = upscale_tensor(net, picture, tile="none")
need = memory.peak_bytes(net, (1, 3, 500, 400))
ctypes.CDLL(None).malloc_trim(0)
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + need // 2, used + need // 2))
for asked in (free_memory.available_bytes, lambda: None):
    free_memory.available_bytes = asked
    sizes.clear()
    made = upscale_tensor(net, picture)
    refused = sum(size == 500 * 400 for size in sizes)
    print(refused, len(sizes) - refused, float((made - expected).abs().max()))
"""


@pytest.mark.full
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems don't keep to RLIMIT_AS")
def test_under_a_limit_of_address_space_the_picture_is_cut_and_comes_out_the_same() -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    told = subprocess.run([sys.executable, "-c", LIMITED], capture_output=True, text=True, env=environment, timeout=300)
    assert told.returncode == 0, told.stderr
    for line, tries in zip(told.stdout.splitlines(), (0, 1), strict=True):
        # Where the limit is known the whole picture isn't even tried; where it isn't, torch refuses it.
        refused, tiles, difference = map(float, line.split())
        assert refused == tries
        assert tiles >= 4
        assert difference <= 1e-5


@pytest.mark.gpu
def test_on_a_gpu_the_picture_is_halved_where_its_memory_ends() -> None:
    net = EncoderDecoder(2, 3, partial(MaxPoolEncoder, width=16, depth=2), ConvBlock, Bilinear).eval().cuda()
    picture = torch.rand(3, 1024, 1024)
    expected = upscale_tensor(net, picture, tile="none").cpu()
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction(400e6 / total)
    try:
        with pytest.raises(torch.OutOfMemoryError):
            upscale_tensor(net, picture, tile="none")
        same(upscale_tensor(net, picture).cpu(), expected)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
