"""The training pictures held by a GPU, and crops cut there."""

import numpy as np
import torch
from torch import Tensor

from upnet.data.store import Store

SHARE = 0.5
"""Of a GPU's free memory, what pictures may take; the rest is the network's."""


class Resident:
    """A whole store in the memory of a device. Crops come out as `Sampler.batch` cuts them, bit for bit.

    All batches are cut into the same memory, where a recorded step reads them: a batch is overwritten by the next one.

    store:  the pictures, copied once.
    patch:  side of the LR crops in pixels.
    device: where they go.
    """

    def __init__(self, store: Store, patch: int, device: torch.device) -> None:
        # A copy by way of ordinary memory: torch warns about maps that can't be written to.
        self.pixels = torch.from_numpy(np.array(store.pixels)).to(device)
        self.channel = torch.arange(3, device=device)
        self._crops: dict[str, Tensor] = {}
        self.steps = {
            name: torch.arange(side, device=device) for name, side in (("lr", patch), ("hr", patch * store.scale))
        }

    def batch(self, plan: Tensor) -> dict[str, Tensor]:
        """The crops of a plan, (B, 2, 3) int64 as `Sampler.plan` makes it, on this device: what `Sampler.batch` gives.

        A small network leaves a GPU waiting for the next kernel, so these are few.
        """
        return {name: self._cut(name, *plan[:, part].t()) for part, name in enumerate(self.steps)}

    def _cut(self, name: str, first: Tensor, down: Tensor, right: Tensor) -> Tensor:
        """(B,) each -> (B, 3, side, side) uint8, channels_last."""
        steps = self.steps[name]
        row = torch.addcmul(first.view(-1, 1, 1, 1), down.view(-1, 1, 1, 1), steps.view(-1, 1, 1))
        pixel = torch.addcmul(row, right.view(-1, 1, 1, 1), steps.view(-1, 1))
        shape = (len(first), len(steps), len(steps), 3)
        if name not in self._crops or self._crops[name].shape != shape:
            self._crops[name] = self.pixels.new_empty(shape)
        return torch.take(self.pixels, pixel + self.channel, out=self._crops[name]).permute(0, 3, 1, 2)


def fits(store: Store, device: torch.device) -> bool:
    """Whether the pictures take no more than their share of a GPU's free memory."""
    free, _ = torch.cuda.mem_get_info(device)
    return store.pixels.nbytes <= SHARE * free
