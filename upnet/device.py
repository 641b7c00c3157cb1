"""Where to compute."""

import torch


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
