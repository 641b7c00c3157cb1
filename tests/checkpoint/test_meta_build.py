"""No number in a config, however large, makes its network larger than the file it came in."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from support import CONFIGS, Compose

from upnet.checkpoint import load_network

HUGE = {
    "wide": {"width": 10**6},
    "deep": {"depth": 10**6, "growth": 1},
    "deep and wider": {"depth": 10**6},
    "wider": {"growth": 10**6, "depth": 16},
    "a stem": {"stem_kernel": 999_999},
}
PROGRAM = """
import json, resource, sys, time
import torch
from upnet.checkpoint import load_network

def memory():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

told, before = [], memory()
for path in sys.argv[1:]:
    start = time.perf_counter()
    try:
        load_network(path)
        said = ""
    except ValueError as fault:
        said = str(fault)
    told.append([path, said, memory() - before, time.perf_counter() - start])
print(json.dumps(told))
"""


def parts() -> list[tuple[str, str, list[str]]]:
    """Every yaml of the family: the group it belongs to, its stem, and the words that choose it."""
    return [
        (group, path.stem, ["model=srcnn"] if path.stem == "conv_stack" else [f"model/{group}={path.stem}"])
        for group in ("upsampler", "encoder", "block")
        for path in sorted((CONFIGS / "model" / group).glob("*.yaml"))
    ]


@pytest.mark.parametrize("name", HUGE)
def test_a_gigantic_encoder_is_refused(written: Callable[..., Path], compose: Compose, name: str) -> None:
    from omegaconf import OmegaConf

    encoder = OmegaConf.to_container(compose("model.encoder.width=4").model.encoder, resolve=True)
    assert isinstance(encoder, dict)
    with pytest.raises(ValueError, match=r"far larger than|less than or equal to 16"):
        load_network(written(model={"encoder": {**encoder, **HUGE[name]}}))


def test_no_number_makes_loading_take_memory_or_time(
    written: Callable[..., Path], compose: Compose, tmp_path: Path
) -> None:
    """Every setting of every part that takes a number, one after the other, at the most that a checkpoint may say."""
    from omegaconf import OmegaConf

    from upnet.config.signatures import locate, signature

    files: list[str] = []
    for part, stem, words in parts():
        model = OmegaConf.to_container(compose(*words).model, resolve=True)
        assert isinstance(model, dict)
        target = locate(model[part]["_target_"], part)
        takes = signature(target)
        assert takes is not None
        numbers = [name for name, hint in takes.hints.items() if "int" in str(hint) or "float" in str(hint)]
        for name in numbers:
            if name in ("channels", "in_channels", "out_channels", "scale"):
                continue  # of the place, not of the config
            for value in (999_999, 1_000_000):
                node = {**model[part], name: [value] * 3 if "Sequence" in str(takes.hints[name]) else value}
                files.append(str(written(*words, name=f"{stem}-{name}-{value}.ckpt", model={part: node})))
    assert len(files) > 30
    files += [str(written(*w, name=f"{'-'.join(w)}-{s}.ckpt".replace("/", "-"), model={"scale": s}, told={"scale": s}))
              for s in (999_983, 1_000_000) for w in (["model=edsr"], ["model=unet"], ["model=fsrcnn"],
              ["model=edsr", "model/upsampler=resize_conv", "model.upsampler.init=bilinear"])]  # fmt: skip
    ended = subprocess.run([sys.executable, "-c", PROGRAM, *files], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    for path, said, memory, seconds in json.loads(ended.stdout):
        assert memory < 300e6, (path, said)
        assert seconds < 10, (path, said)


def test_other_threads_may_build_what_they_like_meanwhile(written: Callable[..., Path]) -> None:
    import threading

    from upnet.checkpoint.loading import parameter_budget

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
