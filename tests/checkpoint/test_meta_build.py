"""A number in a config cannot make the network much larger than its file."""

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf
from support import CONFIGS, code, forked

from upnet.checkpoint import load_network
from upnet.checkpoint.loading import parameter_budget
from upnet.config.signatures import locate, signature
from upnet.utils.allocator import malloc_trim

HUGE = {
    "wide": {"width": 10**6},
    "deep": {"depth": 10**6, "growth": 1},
    "deep and growing": {"depth": 10**6},
    "growing": {"growth": 10**6, "depth": 16},
    "large stem": {"stem_kernel": 999_999},
}
OF_THE_SITE = {"channels", "in_channels", "out_channels", "scale"}
"""Arguments that the model sets, not the config."""
COMPONENTS = [
    (group, path.stem)
    for group in ("upsampler", "encoder", "block")
    for path in sorted((CONFIGS / "model" / group).glob("*.yaml"))
]


@pytest.mark.parametrize("name", HUGE)
def test_a_gigantic_encoder_is_rejected(written: Callable[..., Path], unchanged: Callable[..., Any], name: str) -> None:
    model, _ = unchanged()
    with pytest.raises(ValueError, match=r"far larger than|less than or equal to 16"):
        load_network(written(model={"encoder": {**model["encoder"], **HUGE[name]}}))


def huge_numbers(group: str, stem: str) -> list[dict[str, Any]]:
    """The config of a component with each of its numeric settings at the largest values that a checkpoint may have."""
    node = OmegaConf.to_container(OmegaConf.load(CONFIGS / "model" / group / f"{stem}.yaml"))
    assert isinstance(node, dict)
    takes = signature(locate(node["_target_"], group))
    assert takes is not None
    config = {str(key): value for key, value in node.items()}
    numeric = [name for name, hint in takes.hints.items() if "int" in str(hint) or "float" in str(hint)]
    return [
        {**config, name: [value] * 3 if "Sequence" in str(takes.hints[name]) else value}
        for name in numeric
        if name not in OF_THE_SITE
        for value in (999_999, 1_000_000)
    ]


def measure_loading(paths: list[Path], result: Path) -> None:
    """Load checkpoints; write for each the error, the growth of the peak memory in bytes, and the seconds."""
    import resource

    def peak() -> int:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

    malloc_trim()
    found, before = [], peak()
    for path in paths:
        start = time.perf_counter()
        try:
            load_network(path)
            problem = ""
        except ValueError as error:
            problem = str(error)
        found.append([path.name, problem, peak() - before, time.perf_counter() - start])
    result.write_text(json.dumps(found))


@pytest.mark.full
def test_no_number_makes_loading_need_much_memory_or_time(written: Callable[..., Path], tmp_path: Path) -> None:
    paths: list[Path] = []
    for group, stem in COMPONENTS:
        overrides = ["model=srcnn"] if stem == "conv_stack" else [f"model/{group}={stem}", "model.encoder.width=2"]
        for node in huge_numbers(group, stem):
            paths.append(written(*overrides, name=f"{group}-{stem}-{len(paths)}.ckpt", model={group: node}))
    assert len(paths) > 30
    resize_conv = ["model=edsr", "model/upsampler=resize_conv", "model.upsampler.init=bilinear"]
    for overrides in (["model=edsr"], ["model=unet"], ["model=fsrcnn"], resize_conv):
        for scale in (999_983, 1_000_000):  # a prime number and 2^6 · 5^6
            name = f"scale-{len(paths)}.ckpt"
            paths.append(written(*overrides, name=name, model={"scale": scale}, metadata={"scale": scale}))
    # In a process of its own, whose peak memory is that of loading.
    result = tmp_path / "result.json"
    assert code(forked(lambda: measure_loading(paths, result))) == 0
    found = json.loads(result.read_text())
    assert len(found) == len(paths)
    for name, problem, memory, seconds in found:
        assert memory < 300e6, (name, problem)
        assert seconds < 10, (name, problem)


def test_the_parameter_budget_counts_its_own_thread_only() -> None:
    def build() -> None:
        built.append(torch.nn.Sequential(*(torch.nn.Linear(1, 1) for _ in range(300))))

    built: list[torch.nn.Module] = []
    with parameter_budget({}, device="meta"):
        thread = threading.Thread(target=build)
        thread.start()
        thread.join()
        with pytest.raises(ValueError, match="far larger than the 0 tensors"):
            build()
    assert len(built) == 1
    assert not next(built[0].parameters()).is_meta
