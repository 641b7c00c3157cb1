"""A training with few steps and a small network."""

from pathlib import Path

import pytest
from quick import compose_training_quickly, draw_no_comparison

from upnet.config import check
from upnet.config.compose import with_values
from upnet.config.schema import TrainSettings
from upnet.training import run_summary


@pytest.fixture
def comparison_image() -> bool:
    """Whether trainings draw their comparison image; the modules about it override this fixture."""
    return False


@pytest.fixture(autouse=True)
def without_comparison_image(comparison_image: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trainings leave an empty file as comparison image, unless the fixture `comparison_image` is True."""
    if not comparison_image:
        monkeypatch.setattr(run_summary, "draw_comparison", draw_no_comparison)


@pytest.fixture
def small(pictures: Path, tmp_path: Path) -> list[str]:
    """Overrides of six training steps of a narrow network: two training images, one validation image `scene`."""
    validation = tmp_path / "validation"
    validation.mkdir()
    (pictures / "picture0.png").rename(validation / "scene.png")
    return [
        "data=folder",
        f"data.root={pictures}",
        f"data.val_root={validation}",
        "data.patch=8",
        "data.batch_size=4",
        "model.encoder.width=4",
        "callbacks.progress=null",
        "trainer=cpu",
        "trainer.log_every_n_steps=2",
        "steps=6",
        "validations=2",
    ]


@pytest.fixture
def tiny(small: list[str], tmp_path: Path):
    """The settings of this training: tiny("steps=4", run="a")."""

    def settings(*overrides: str, run: str = "run") -> TrainSettings:
        config = compose_training_quickly([*small, *overrides])
        return check(with_values(config, {"run_dir": str(tmp_path / run)}), TrainSettings)

    return settings
