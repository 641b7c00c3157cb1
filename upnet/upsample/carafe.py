"""CARAFE: every output pixel is a weighted mean of the pixels around it, with weights read from what is there."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from upnet.site import Site
from upnet.upsample.base import Upsampler
from upnet.upsample.kernels.memory_format import channels_last


class CARAFE(Upsampler):
    """Content-aware reassembly: (N, C, h, w) -> (N, O, s·h, s·w).

    A 1×1 convolution to `mid` channels and a k_enc × k_enc one predict k_up² numbers for every output pixel; their
    softmax weights the k_up × k_up input pixels around it, alike for all channels. Beyond the border are zeros, as in
    the authors' code. Where O differs from C the weights are read from all C channels, and a 3×3 convolution C -> O
    makes the pixels that are weighted.

    mid:   channels that the weights are predicted from; no more than C are taken.
    k_enc: kernel of the convolution that predicts, odd.
    k_up:  side of the square of input pixels an output pixel is made of, odd.

    It starts close to a k_up × k_up box blur and nearest behind it: with weights of zero it is just that.

    Raises ValueError for a mid below 1 and for an even k_enc or k_up.

    Source: Wang et al., "CARAFE: Content-Aware ReAssembly of FEatures", https://arxiv.org/abs/1905.02188
    """

    projects_channels = True
    support_argument = ("k_up", 3)

    def __init__(
        self,
        channels: int,
        scale: float,
        out_channels: int | None = None,
        mid: int = 64,
        k_enc: int = 3,
        k_up: int = 5,
    ) -> None:
        super().__init__(channels, scale, out_channels)
        if mid < 1:
            raise ValueError(f"CARAFE: mid counts channels, from 1 on, 64 in the paper; got {mid}")
        for name, size in (("k_enc", k_enc), ("k_up", k_up)):
            if size < 1 or size % 2 == 0:
                raise ValueError(f"CARAFE: {name} must be odd to be centred: 1, 3, 5, …; got {size}")
        self.k_up = k_up
        self.values = (
            nn.Identity() if channels == self.out_channels else nn.Conv2d(channels, self.out_channels, 3, padding=1)
        )
        self.compress = nn.Conv2d(channels, min(mid, channels), 1)
        weights = (int(self.scale) * k_up) ** 2
        self.encode = nn.Conv2d(self.compress.out_channels, weights, k_enc, padding=k_enc // 2)
        self._draw()

    def kernels(self, x: Tensor) -> Tensor:
        """(N, C, h, w) -> (N, k_up², s², h, w): what each input pixel of the window counts, per phase, summing to 1."""
        logits = self.encode(self.compress(x)).unflatten(1, (self.k_up**2, int(self.scale) ** 2))
        # In bf16 25 weights would not sum to 1.
        return logits.softmax(dim=1, dtype=torch.promote_types(logits.dtype, torch.float32))

    def expand(self, x: Tensor, site: Site) -> Tensor:
        """(N, C, h, w) -> (N, O, s·h, s·w)."""
        values = self.values(x)
        (n, o, h, w), k, s = values.shape, self.k_up, int(self.scale)
        # One small product for each input pixel: its s² kernels times the k_up² pixels around it, all channels at once.
        # The windows are stacked from shifted pictures: their gradients add up several times as fast as unfold's.
        lying = F.pad(values.permute(0, 2, 3, 1), (0, 0, *[k // 2] * 4))
        around = torch.stack([lying[:, row : row + h, col : col + w] for row in range(k) for col in range(k)], dim=3)
        kernels = self.kernels(x).to(values.dtype).permute(0, 3, 4, 2, 1)
        made = kernels.reshape(n * h * w, s * s, k * k) @ around.view(n * h * w, k * k, o)
        grown = made.view(n, h, w, s, s, o).transpose(2, 3).reshape(n, s * h, s * w, o).permute(0, 3, 1, 2)
        return grown if channels_last(x) else grown.contiguous()

    def multiply_adds(self, height: int, width: int) -> int:
        """Those of the convolutions, and k_up² for every output value; the softmax counts none."""
        phases, window = int(self.scale) ** 2, self.k_up**2
        predicted = self.compress.weight.numel() + self.encode.weight.numel()
        projected = 9 * self.channels * self.out_channels if self._projected else 0
        return height * width * (predicted + projected + window * phases * self.out_channels)

    def input_support(self, output: int) -> range:
        """Those around the pixel it lies in that are weighted, or that the weights are read from."""
        own = output // int(self.scale)
        around = max(self.encode.kernel_size[0] // 2, self.k_up // 2 + self._projected)
        return range(own - around, own + around + 1)

    @property
    def _projected(self) -> bool:
        return self.channels != self.out_channels

    def _draw(self) -> None:
        # The authors' own: the weights start all but equal, whatever is there.
        nn.init.xavier_uniform_(self.compress.weight)
        nn.init.normal_(self.encode.weight, std=0.001)
        for conv in (self.compress, self.encode):
            assert conv.bias is not None
            nn.init.zeros_(conv.bias)
