"""A validation image that doesn't fit into memory is computed in tiles and has the same scores."""

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
"""Size of the HR image."""
SETTINGS = [
    "data.patch=8", "data.batch_size=2", "model.encoder.width=16", "callbacks.progress=null", "callbacks.grid=null",
    "trainer=cpu", "steps=1", "validations=1", "keep_memory=false", "precision=32",
]  # fmt: skip


def address_space() -> int:
    """The size of this process's address space in bytes."""
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


def limit_memory(need: int) -> None:
    """Limit the additional memory of the process to `need` bytes during each validation."""
    begin, end = Task.on_validation_epoch_start, Task.on_validation_epoch_end

    def begin_limited(self: Task) -> None:
        begin(self)
        library = ctypes.CDLL(None)
        library.malloc_trim(0)
        # The limit does not affect heap memory that earlier tests left free: fill the heap until it grows.
        # Blocks above a threshold are mapped separately and don't fill the heap, so smaller blocks follow.
        for size in (1 << 20, 1 << 16, 1 << 14):
            before = address_space()
            while address_space() == before:
                library.malloc(size)
        resource.setrlimit(resource.RLIMIT_AS, (address_space() + need, resource.RLIM_INFINITY))

    def end_unlimited(self: Task) -> None:
        resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        end(self)

    Task.on_validation_epoch_start, Task.on_validation_epoch_end = begin_limited, end_unlimited


@pytest.mark.full
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems don't enforce RLIMIT_AS")
def test_an_image_larger_than_the_memory_is_scored_in_tiles_with_a_message(
    compose: Compose, pictures: Path, tmp_path: Path
) -> None:
    validation = tmp_path / "validation"
    validation.mkdir()
    scene = (pictures / "picture0.png").rename(tmp_path / "scene.png")
    Image.open(scene).resize((WIDTH, HEIGHT)).save(validation / "scene.png")
    overrides = [*SETTINGS, "data=folder", f"data.root={pictures}", f"data.val_root={validation}"]
    net = build(compose(*overrides).model)
    need = memory.peak_bytes(net, (1, 3, HEIGHT // 2, WIDTH // 2))
    assert need is not None

    def limit_unforeseen() -> None:
        limit_memory(int(0.75 * need))
        free_memory.available_bytes = lambda: None  # so that tiling starts only when an allocation fails

    output, scores = tmp_path / "output.txt", []
    for run, before in (
        ("free", lambda: None),
        ("foreseen", lambda: limit_memory(int(0.75 * need))),
        ("unforeseen", limit_unforeseen),
    ):
        assert code(command([*overrides, f"hydra.run.dir={tmp_path}/{run}"], output, before)) == 0, output.read_text()
        sentence = f"an image of {WIDTH // 2}×{HEIGHT // 2} pixels doesn't fit into the memory of cpu as a whole; it is"
        assert output.read_text().count(sentence) == (run != "free"), (run, output.read_text())
        scores.append(json.loads((tmp_path / run / "results.json").read_text())["datasets"]["validation"])
    for tiled in scores[1:]:
        assert tiled["psnr"] == pytest.approx(scores[0]["psnr"], abs=1e-5)
        assert tiled["ssim"] == pytest.approx(scores[0]["ssim"], abs=1e-5)
