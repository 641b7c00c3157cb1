"""DISTS: how alike texture and structure of two pictures are in the features of VGG16."""

from torch import Tensor, nn

from upnet.metrics.perceptual.base import PerceptualMetric


class DISTS(PerceptualMetric):
    """From 0 to 1: Ding, Ma, Wang and Simoncelli, "Image Quality Assessment: Unifying Structure and Texture
    Similarity", https://arxiv.org/abs/2004.07728
    """

    name = "dists"
    title = "DISTS"
    paper = "Image Quality Assessment: Unifying Structure and Texture Similarity, https://arxiv.org/abs/2004.07728"
    weights = "https://download.pytorch.org/models/vgg16-397923af.pth"

    def load(self) -> nn.Module:
        """VGG16 from torch's cache; the weights of its features come with torchmetrics."""
        from torchmetrics.functional.image.dists import DISTSNetwork

        return DISTSNetwork()

    def distance(self, output: Tensor, target: Tensor) -> Tensor:
        """One value of two pictures, (1, 3, H, W) float32 in [0, 1]."""
        # What is left of an identical picture is rounding, on either side of 0.
        return self.net(output, target).clamp(min=0)

    def describe(self) -> dict[str, str]:
        """What has to stand beside a value, as plain data."""
        return {"version": "VGG16", **super().describe()}
