import pytest
import torch
import torch.nn.functional as F

from upnet.upsample.kernels.memory_format import interleave_phases


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last], ids=str)
@pytest.mark.parametrize(("scale", "channels"), [(1, 3), (2, 1), (2, 5), (3, 4), (4, 2)])
def test_interleaving_equals_pixel_shuffle_with_phase_major_channels(scale, channels, memory_format):
    x = torch.randn(2, channels, scale**2, 5, 3, dtype=torch.float64)
    phases_first = x.transpose(1, 2).flatten(1, 2).to(memory_format=memory_format)
    out = interleave_phases(phases_first, scale)
    assert torch.equal(out, F.pixel_shuffle(x.flatten(1, 2), scale))
    assert out.is_contiguous(memory_format=memory_format)


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last], ids=str)
@pytest.mark.parametrize(("scale", "channels"), [(1, 3), (2, 1), (3, 4)])
def test_interleaving_has_second_derivatives(scale, channels, memory_format):
    phases = torch.randn(2, channels * scale**2, 3, 2, dtype=torch.float64).to(memory_format=memory_format)
    phases.requires_grad_()
    assert torch.autograd.gradcheck(lambda x: interleave_phases(x, scale), phases, fast_mode=True)
    assert torch.autograd.gradgradcheck(lambda x: interleave_phases(x, scale).square(), phases, fast_mode=True)
