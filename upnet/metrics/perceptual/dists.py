"""DISTS: similarity of texture and structure in the features of VGG16."""

from torch import Tensor, nn

from upnet.metrics.perceptual.base import PerceptualMetric


class DISTS(PerceptualMetric):
    """Deep Image Structure and Texture Similarity, 0 (equal) to 1; lower is better.

    Takes two (3, H, W) uint8 of at least 32x32 pixels. Needs `pip install -e '.[perceptual]'`.

    Source: Ding, Ma, Wang and Simoncelli, "Image Quality Assessment: Unifying Structure and Texture Similarity", 2020,
    https://arxiv.org/abs/2004.07728

    >>> import torch
    >>> DISTS.name, DISTS.title, DISTS.min_side
    ('dists', 'DISTS', 32)
    >>> white = torch.full((3, 64, 64), 255, dtype=torch.uint8)
    >>> metric = DISTS(torch.device("cpu"))  # downloads 528 MB at the first use # doctest: +SKIP
    >>> metric(white, white)  # doctest: +SKIP
    0.0
    """

    name = "dists"
    title = "DISTS"
    paper = "Image Quality Assessment: Unifying Structure and Texture Similarity, https://arxiv.org/abs/2004.07728"
    weights = "https://download.pytorch.org/models/vgg16-397923af.pth"

    def build_network(self) -> nn.Module:
        """VGG16 from torch's cache; torchmetrics contains the weights of its features."""
        from torchmetrics.functional.image.dists import DISTSNetwork

        return DISTSNetwork()

    def distance(self, output: Tensor, target: Tensor) -> Tensor:
        """The distance () between two images, (1, 3, H, W) float32 in [0, 1]."""
        # For equal images, rounding gives a value slightly above or below 0.
        return self.net(output, target).clamp(min=0)

    def describe(self) -> dict[str, str]:
        """Everything that a value depends on, as plain data."""
        return {"version": "VGG16", **super().describe()}
