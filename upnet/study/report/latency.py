"""How long the networks of a study take, measured in turns."""

import statistics
import time
from collections.abc import Sequence

import torch

from upnet.models import EncoderDecoder
from upnet.models.enlarge import enlarge

INPUT = (120, 160)
"""Height and width of the LR picture, in pixels."""

WARM_UP, PASSES = 2, 7


def latencies(nets: Sequence[EncoderDecoder]) -> list[float]:
    """The median milliseconds of each network for one LR picture of `INPUT`, on the device where it lies, in float32.

    The networks take turns, so that whatever else the machine does slows all of them.
    """
    times: list[list[float]] = [[] for _ in nets]
    for turn in range(WARM_UP + PASSES):
        for net, own in zip(nets, times, strict=True):
            spent = _seconds(net)
            if turn >= WARM_UP:
                own.append(spent)
    return [1000 * statistics.median(own) for own in times]


def conditions(device: torch.device) -> str:
    """What such a figure depends on, in words."""
    height, width = INPUT
    where = torch.cuda.get_device_name(device) if device.type == "cuda" else _threads()
    return f"median of {PASSES} passes over one {height}×{width} LR picture, float32, {where}, when this was written"


def _threads() -> str:
    count = torch.get_num_threads()
    return f"CPU, {count} thread{'' if count == 1 else 's'}"


def _seconds(net: EncoderDecoder) -> float:
    device = next(net.parameters()).device
    lr = torch.full((net.channels, *INPUT), 0.5, device=device)
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    start = time.perf_counter()
    enlarge(net, lr, tile="none")
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - start
