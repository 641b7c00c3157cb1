"""The training pictures held by a GPU, and crops cut there."""

import numpy as np
import torch
from torch import Tensor

from upnet.data.store import Store

SHARE = 0.5
"""Of a GPU's free memory, what pictures may take; the rest is the network's."""


class Resident:
    """A whole store in the memory of a device. Crops come out as `Sampler.batch` cuts them, bit for bit.

    store:  the pictures, copied once.
    patch:  side of the LR crops in pixels.
    device: where they go.
    """

    def __init__(self, store: Store, patch: int, device: torch.device) -> None:
        self.patch, self.scale = patch, store.scale
        # A copy by way of ordinary memory: torch warns about maps that can't be written to.
        self.pixels = torch.from_numpy(np.array(store.pixels)).to(device)
        heights, widths = np.array(store.sizes, np.int64).T
        starts = np.array(store.starts, np.int64)
        self.hr_start = torch.from_numpy(starts).to(device)
        self.hr_width = torch.from_numpy(widths).to(device)
        self.lr_start = torch.from_numpy(starts + 3 * heights * widths).to(device)
        self.lr_width = torch.from_numpy(widths // store.scale).to(device)

    def batch(self, plan: Tensor) -> dict[str, Tensor]:
        """The crops of a plan, (B, 4) int64 as `Sampler.plan` makes it, on this device: what `Sampler.batch` gives."""
        picture, top, left, turn = plan.unbind(1)
        scale = self.scale
        return {
            "lr": self._cut(self.lr_start[picture], self.lr_width[picture], top, left, turn, self.patch),
            "hr": self._cut(
                self.hr_start[picture], self.hr_width[picture], top * scale, left * scale, turn, self.patch * scale
            ),
        }

    def _cut(self, start: Tensor, width: Tensor, top: Tensor, left: Tensor, turn: Tensor, side: int) -> Tensor:
        """(B,) each -> (B, 3, side, side) uint8, channels_last."""
        turn = turn.view(-1, 1, 1)
        rows = torch.arange(side, device=start.device).view(1, -1, 1)
        cols = rows.transpose(1, 2)
        # Where a turned crop's pixel comes from: the crop is mirrored by rows (1) and columns (2), then transposed (4).
        transposed = (turn & 4).bool()
        row, col = torch.where(transposed, cols, rows), torch.where(transposed, rows, cols)
        row = torch.where((turn & 1).bool(), side - 1 - row, row) + top.view(-1, 1, 1)
        col = torch.where((turn & 2).bool(), side - 1 - col, col) + left.view(-1, 1, 1)
        pixel = start.view(-1, 1, 1) + 3 * (row * width.view(-1, 1, 1) + col)
        channel = torch.arange(3, device=start.device)
        return self.pixels[pixel[..., None] + channel].permute(0, 3, 1, 2)


def fits(store: Store, device: torch.device) -> bool:
    """Whether the pictures take no more than their share of a GPU's free memory."""
    free, _ = torch.cuda.mem_get_info(device)
    return store.pixels.nbytes <= SHARE * free
