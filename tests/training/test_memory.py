"""A validation picture that doesn't fit into memory is computed in tiles, and scores the same."""

import ctypes
import json
import resource
import sys
from pathlib import Path

import pytest
from PIL import Image
from support import Compose, code, command

from upnet.config import build
from upnet.inference import memory
from upnet.training.task import Task
from upnet.utils import free_memory

WIDTH, HEIGHT = 640, 560
"""Of the HR picture."""
SETTINGS = [
    "data.patch=8", "data.batch_size=2", "model.encoder.width=16", "callbacks.progress=null", "callbacks.grid=null",
    "trainer=cpu", "steps=1", "validations=1", "keep_memory=false", "precision=32",
]  # fmt: skip


def used() -> int:
    """The bytes of addresses that this process has."""
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


def bound(need: int) -> None:
    """From the first to the last picture of a validation, leave the process a little less memory than it needs."""
    begin, end = Task.on_validation_epoch_start, Task.on_validation_epoch_end

    def begun(self: Task) -> None:
        begin(self)
        library = ctypes.CDLL(None)
        library.malloc_trim(0)
        # What earlier tests of this process have left free in the heap no limit takes away: fill it, until it grows.
        # Blocks above a threshold are mapped by themselves and fill nothing, so smaller ones follow.
        for size in (1 << 20, 1 << 16, 1 << 14):
            before = used()
            while used() == before:
                library.malloc(size)
        resource.setrlimit(resource.RLIMIT_AS, (used() + need, resource.RLIM_INFINITY))

    def ended(self: Task) -> None:
        resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        end(self)

    Task.on_validation_epoch_start, Task.on_validation_epoch_end = begun, ended


@pytest.mark.full
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems don't keep to RLIMIT_AS")
def test_a_picture_that_torch_refuses_memory_for_is_scored_in_tiles_and_that_is_said(
    compose: Compose, pictures: Path, tmp_path: Path
) -> None:
    validation = tmp_path / "validation"
    validation.mkdir()
    scene = (pictures / "picture0.png").rename(tmp_path / "scene.png")
    Image.open(scene).resize((WIDTH, HEIGHT)).save(validation / "scene.png")
    words = [*SETTINGS, "data=folder", f"data.root={pictures}", f"data.val_root={validation}"]
    net = build(compose(*words).model)
    need = memory.peak_bytes(net, (1, 3, HEIGHT // 2, WIDTH // 2))
    assert need is not None

    def refused() -> None:
        bound(int(0.75 * need))
        free_memory.available_bytes = lambda: None  # so that nothing foresees it

    told, scores = tmp_path / "told.txt", []
    for run, before in (("free", lambda: None), ("foreseen", lambda: bound(int(0.75 * need))), ("refused", refused)):
        assert code(command([*words, f"hydra.run.dir={tmp_path}/{run}"], told, before)) == 0, told.read_text()
        sentence = f"an image of {WIDTH // 2}×{HEIGHT // 2} pixels doesn't fit into the memory of cpu as a whole; it is"
        assert told.read_text().count(sentence) == (run != "free"), (run, told.read_text())
        scores.append(json.loads((tmp_path / run / "results.json").read_text())["datasets"]["validation"])
    for other in scores[1:]:
        assert other["psnr"] == pytest.approx(scores[0]["psnr"], abs=1e-5)
        assert other["ssim"] == pytest.approx(scores[0]["ssim"], abs=1e-5)
