"""Select the device of a computation, and the floating-point precision that it supports."""

import os
from contextlib import AbstractContextManager
from typing import Literal

import torch

from upnet.utils.errors import UserError

Precision = Literal["auto", "32", "bf16", "16"]
LightningPrecision = Literal["32-true", "bf16-mixed", "16-mixed"]

_GPU = ("gpu", "cuda")


def auto_device() -> Literal["cuda", "mps", "cpu"]:
    """The type of the fastest device: a CUDA GPU, else Apple's GPU (MPS), else the CPU.

    >>> auto_device() in ("cuda", "mps", "cpu")
    True
    """
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def pick_device(name: str) -> torch.device:
    """The device with a name; "auto" is the fastest one. Raises UserError if the device is not available.

    >>> pick_device("cpu")
    device(type='cpu')
    """
    if name == "auto":
        return torch.device(auto_device())
    if name.partition(":")[0] not in ("cpu", "cuda", "mps"):
        raise UserError("unknown device", setting="device", value=name, allowed="auto, cpu, cuda, cuda:N or mps")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise UserError(
            f"the device cannot be used here ({reason})", setting="device", value=name, allowed=_usable_devices()
        ) from error
    return device


def _usable_devices() -> str:
    return "auto or cpu" if auto_device() == "cpu" else f"auto, {auto_device()} or cpu"


def float64_device(device: torch.device) -> torch.device:
    """The device itself if it supports float64, else the CPU: Apple's MPS does not support float64.

    >>> float64_device(torch.device("mps"))
    device(type='cpu')
    """
    return torch.device("cpu") if device.type == "mps" else device


def device_name(device: torch.device) -> str:
    """The name of a device in results: the GPU model, or the type of any other device.

    >>> device_name(torch.device("cpu"))
    'cpu'
    """
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def lightning_precision(precision: Precision, accelerator: str) -> LightningPrecision:
    """Lightning's name of a precision. "auto" is bf16 if the hardware computes in it, else float32.

    accelerator: name of Lightning's accelerator: cpu, gpu, cuda or mps.

    Raises UserError for float16 without a CUDA GPU.

    >>> lightning_precision("32", "cpu")
    '32-true'
    """
    match precision:
        case "32":
            return "32-true"
        case "bf16":
            return "bf16-mixed"
        case "16":
            if accelerator not in _GPU:
                raise UserError(
                    "float16 needs a CUDA GPU",
                    setting="precision",
                    value="16",
                    allowed="auto, bf16 or 32 on this device",
                )
            return "16-mixed"
        case "auto":
            return "bf16-mixed" if _has_bf16(accelerator) else "32-true"
    raise UserError("unknown precision", setting="precision", value=precision, allowed="auto, 32, bf16 or 16")


def _has_bf16(accelerator: str) -> bool:
    """Whether the hardware computes in bf16. False for MPS, since some of Apple's GPUs only emulate it."""
    if accelerator in _GPU:
        return gpu_has_bf16()
    return accelerator == "cpu" and cpu_has_bf16()


def gpu_has_bf16() -> bool:
    """Whether the current CUDA GPU computes in bf16 (Ampere or newer)."""
    return torch.cuda.is_available() and torch.cuda.is_bf16_supported(including_emulation=False)


def cpu_has_bf16() -> bool:
    """Whether this CPU is an x86 that multiplies bf16 in hardware (AVX-512 BF16 or AMX)."""
    probes = (getattr(torch.cpu, name, None) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"))
    return any(probe() for probe in probes if probe is not None)


def available_cpus() -> int:
    """Number of CPU cores that this process may use.

    >>> available_cpus() >= 1
    True
    """
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def no_tf32() -> AbstractContextManager[None]:
    """Context in which cuDNN convolutions use float32. By default, GPUs since Ampere round inputs to 10 bits (TF32).

    >>> with no_tf32():
    ...     torch.backends.cudnn.allow_tf32
    False
    """
    cudnn = torch.backends.cudnn
    return cudnn.flags(enabled=True, benchmark=cudnn.benchmark, deterministic=cudnn.deterministic, allow_tf32=False)
