"""LPIPS: how far two pictures lie apart in the features of AlexNet, weighted as people judged."""

from torch import Tensor, nn

from upnet.metrics.perceptual.base import PerceptualMetric


class LPIPS(PerceptualMetric):
    """Version 0.1 on AlexNet, from 0 to about 1: Zhang, Isola, Efros, Shechtman and Wang, "The Unreasonable
    Effectiveness of Deep Features as a Perceptual Metric", https://arxiv.org/abs/1801.03924
    """

    name = "lpips"
    title = "LPIPS"
    paper = "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric, https://arxiv.org/abs/1801.03924"
    weights = "https://download.pytorch.org/models/alexnet-owt-7be5be79.pth"

    def load(self) -> nn.Module:
        """AlexNet from torch's cache; the weights of its features come with torchmetrics."""
        from torchmetrics.image.lpip import LearnedPerceptualImagePatchSimilarity

        return LearnedPerceptualImagePatchSimilarity("alex", normalize=True).net

    def distance(self, output: Tensor, target: Tensor) -> Tensor:
        """One value of two pictures, (1, 3, H, W) float32 in [0, 1]."""
        return self.net(output, target, normalize=True)

    def describe(self) -> dict[str, str]:
        """What has to stand beside a value, as plain data."""
        return {"version": "0.1, AlexNet", **super().describe()}
