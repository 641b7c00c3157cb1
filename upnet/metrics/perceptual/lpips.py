"""LPIPS: distance between features of AlexNet, weighted to agree with human judgement."""

from torch import Tensor, nn

from upnet.metrics.perceptual.base import PerceptualMetric


class LPIPS(PerceptualMetric):
    """Learned Perceptual Image Patch Similarity, version 0.1 on AlexNet, 0 (equal) to about 1; lower is better.

    Takes two (3, H, W) uint8 of at least 32x32 pixels. Needs `pip install -e '.[perceptual]'`.

    Source: Zhang, Isola, Efros, Shechtman and Wang, "The Unreasonable Effectiveness of Deep Features as a Perceptual
    Metric", 2018, https://arxiv.org/abs/1801.03924

    >>> import torch
    >>> LPIPS.name, LPIPS.title, LPIPS.min_side
    ('lpips', 'LPIPS', 32)
    >>> white = torch.full((3, 64, 64), 255, dtype=torch.uint8)
    >>> metric = LPIPS(torch.device("cpu"))  # downloads 233 MB at the first use # doctest: +SKIP
    >>> metric(white, white)  # doctest: +SKIP
    0.0
    """

    name = "lpips"
    title = "LPIPS"
    paper = "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric, https://arxiv.org/abs/1801.03924"
    weights = "https://download.pytorch.org/models/alexnet-owt-7be5be79.pth"

    def build_network(self) -> nn.Module:
        """AlexNet from torch's cache; torchmetrics contains the weights of its features."""
        from torchmetrics.image.lpip import LearnedPerceptualImagePatchSimilarity

        return LearnedPerceptualImagePatchSimilarity("alex", normalize=True).net

    def distance(self, output: Tensor, target: Tensor) -> Tensor:
        """The distance () between two images, (1, 3, H, W) float32 in [0, 1]."""
        return self.net(output, target, normalize=True)

    def describe(self) -> dict[str, str]:
        """Everything that a value depends on, as plain data."""
        return {"version": "0.1, AlexNet", **super().describe()}
