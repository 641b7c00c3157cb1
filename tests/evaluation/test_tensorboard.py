"""An evaluation writes only inside its own folders."""

from pathlib import Path
from typing import Any

import pytest
import torch

from upnet.evaluation.tensorboard import OutputImages, log_to_run

SCORES = {"psnr": 30.0, "ssim": 0.9}
CONTENT: dict[str, Any] = {
    "step": 1,
    "measures": {},
    "versions": {},
    "device": None,
    "tile": None,
    "protocol": {"name": "rgb8", "scale": 2, "channel": "y", "crop": 2, "ensemble": "none"},
    "datasets": {"a": {**SCORES, "pictures": "a", "lr_from": "files", "baseline": SCORES}},
}


@pytest.mark.parametrize(("dataset", "name"), [("..", "a"), ("a", "../../b"), ("/tmp", "evil")])
def test_image_names_that_lead_out_of_the_folder_are_rejected(tmp_path: Path, dataset: str, name: str) -> None:
    keep = OutputImages(tmp_path / "images")
    with pytest.raises(ValueError, match="leads out of"):
        keep(dataset, name, torch.zeros(3, 4, 4))
    assert not list(tmp_path.rglob("*.png"))
    keep("a", "b/c", torch.zeros(3, 4, 4))
    assert (tmp_path / "images/a/b/c.png").is_file()


@pytest.mark.parametrize("link", ["tensorboard", "tensorboard/evaluation"])
def test_links_next_to_a_checkpoint_are_not_followed(tmp_path: Path, link: str) -> None:
    (tmp_path / "victim").mkdir()
    (tmp_path / "run/checkpoints").mkdir(parents=True)
    (tmp_path / "run" / link).parent.mkdir(exist_ok=True)
    (tmp_path / "run" / link).symlink_to(tmp_path / "victim")
    log_to_run(tmp_path / "run/checkpoints/last.ckpt", CONTENT, [], tmp_path / "own")
    assert not list((tmp_path / "victim").iterdir())
    assert list((tmp_path / "own/tensorboard/evaluation").iterdir())


def test_folder_next_to_a_checkpoint_outside_a_run_is_not_changed(tmp_path: Path) -> None:
    (tmp_path / "tensorboard").mkdir()
    log_to_run(tmp_path / "some/last.ckpt", CONTENT, [], tmp_path / "own")
    assert not list((tmp_path / "tensorboard").iterdir())
    assert list((tmp_path / "own/tensorboard/evaluation").iterdir())
