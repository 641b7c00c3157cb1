"""Where to compute."""

from contextlib import AbstractContextManager
from typing import Literal

import torch

Precision = Literal["auto", "32", "bf16", "16"]


def lightning_precision(precision: Precision, accelerator: str) -> Literal["32-true", "bf16-mixed", "16-mixed"]:
    """What Lightning calls it. `auto` is bf16 where the hardware multiplies in it, and float32 otherwise.

    accelerator: the trainer's: cpu or gpu.

    Raises ValueError for float16 on a CPU, which has no such arithmetic to be faster by.
    """
    on_gpu = accelerator in ("gpu", "cuda")
    match precision:
        case "32":
            return "32-true"
        case "bf16":
            return "bf16-mixed"
        case "16":
            if not on_gpu:
                raise ValueError("precision=16 is for GPUs; take precision=auto, bf16 or 32 on a CPU")
            return "16-mixed"
        case "auto":
            return "bf16-mixed" if (gpu_has_bf16() if on_gpu else cpu_has_bf16()) else "32-true"
    raise ValueError(f"precision is auto, 32, bf16 or 16; got {precision!r}")


def gpu_has_bf16() -> bool:
    """Whether the current GPU multiplies bf16 in hardware, which it does from Ampere on."""
    return torch.cuda.is_available() and torch.cuda.is_bf16_supported(including_emulation=False)


def cpu_has_bf16() -> bool:
    """Whether this CPU is an x86 that multiplies bf16 in hardware, by AVX-512 BF16 or AMX."""
    probes = (getattr(torch.cpu, name, None) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"))
    return any(probe() for probe in probes if probe is not None)


def no_tf32() -> AbstractContextManager[None]:
    """Convolutions in the whole of float32, which cuDNN's round to 10 bits on GPUs from Ampere on."""
    cudnn = torch.backends.cudnn
    return cudnn.flags(enabled=True, benchmark=cudnn.benchmark, deterministic=cudnn.deterministic, allow_tf32=False)


def pick_device(name: str) -> torch.device:
    """The device of that name; auto is a GPU where there is one. Raises ValueError where there is no such device."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as fault:
        raise ValueError(
            f"device={name} can't be used here ({str(fault).splitlines()[0]}); take auto or cpu"
        ) from fault
    return device


def device_name(device: torch.device) -> str:
    """What results call it: the GPU's own name, or cpu."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
