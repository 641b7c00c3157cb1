"""Random weights in the folder where torch looks for pretrained ones."""

from pathlib import Path

import pytest
import torch

from upnet.metrics.perceptual import PERCEPTUAL_METRICS, base


@pytest.fixture
def hub(tmp_path: Path):
    """The folder where torch looks for weights; it does not exist yet."""
    before = torch.hub.get_dir()
    torch.hub.set_dir(str(tmp_path / "hub"))
    yield tmp_path / "hub/checkpoints"
    torch.hub.set_dir(before)


@pytest.fixture(scope="session")
def random_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights of the right shapes for both backbones. The unused classifiers are zeros without storage."""
    from torchvision.models import alexnet, vgg16

    folder = tmp_path_factory.mktemp("weights")
    generator = torch.Generator().manual_seed(0)
    for name, make in (("lpips", alexnet), ("dists", vgg16)):
        with torch.device("meta"):
            shapes = {key: value.shape for key, value in make().state_dict().items()}
        state = {
            key: torch.zeros(1).expand(shape)
            if key.startswith("classifier")
            else torch.randn(shape, generator=generator) * 2 / max(shape[1:].numel(), 1) ** 0.5
            for key, shape in shapes.items()
        }
        torch.save(state, folder / PERCEPTUAL_METRICS[name].weights.rsplit("/", 1)[-1])
    return folder


@pytest.fixture
def untrained(hub: Path, random_weights: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of torch's weights, with random weights for both backbones."""
    hub.parent.mkdir(parents=True, exist_ok=True)
    hub.symlink_to(random_weights)
    monkeypatch.setattr(base, "check_weights", lambda path, name: "untrained")
    return hub
