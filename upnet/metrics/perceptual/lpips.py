"""LPIPS: distance in the features of AlexNet, with weights fitted to human judgement."""

from torch import Tensor, nn

from upnet.metrics.perceptual.base import PerceptualMetric


class LPIPS(PerceptualMetric):
    """Learned Perceptual Image Patch Similarity, version 0.1 on AlexNet, 0 (equal) to about 1; lower is better.

    Takes two (3, H, W) uint8 of at least 32x32 pixels. Needs `pip install -e '.[perceptual]'`.

    Source: Zhang, Isola, Efros, Shechtman and Wang, "The Unreasonable Effectiveness of Deep Features as a Perceptual
    Metric", 2018, https://arxiv.org/abs/1801.03924
    """

    name = "lpips"
    title = "LPIPS"
    paper = "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric, https://arxiv.org/abs/1801.03924"
    weights = "https://download.pytorch.org/models/alexnet-owt-7be5be79.pth"

    def load(self) -> nn.Module:
        """AlexNet from torch's cache; torchmetrics contains the weights of its features."""
        from torchmetrics.image.lpip import LearnedPerceptualImagePatchSimilarity

        return LearnedPerceptualImagePatchSimilarity("alex", normalize=True).net

    def distance(self, output: Tensor, target: Tensor) -> Tensor:
        """The distance, a scalar tensor, of two (1, 3, H, W) float32 in [0, 1]."""
        return self.net(output, target, normalize=True)

    def describe(self) -> dict[str, str]:
        """Everything that a value depends on, as plain data."""
        return {"version": "0.1, AlexNet", **super().describe()}
