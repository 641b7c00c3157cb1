"""Steps per second and peak memory of two networks in every kind of arithmetic, the batch at hand and fresh ones.

    python benchmarks/steps.py [--device cuda] [--graphs] [--json FILE]

EDSR-baseline and the default U-Net take steps of training, 16 crops of 48 × 48 at ×2, by themselves, without Lightning:
how fast a device could be. Fresh batches are cut on the device, as in training. `--graphs` measures those alone whose
whole step is recorded once and played back (CUDA graphs). `--smoke` runs all of it in small.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig
from torch import Tensor, nn

from upnet.config import build
from upnet.data import CropSampler, DeadLeaves, build_store
from upnet.data.gpu_crops import CropPlanDataset, GPUStore

CONFIGS = Path(__file__).resolve().parents[1] / "configs"
MODELS = {"edsr": ["model=edsr", "data.patch=48"], "unet": ["model=unet", "data.patch=48"]}


@dataclass(frozen=True)
class Variant:
    """One kind of arithmetic. graphs: the whole step is recorded once and played back (CUDA graphs)."""

    name: str
    bf16: bool = False
    tf32: bool = False
    channels_last: bool = False
    compile: bool = False
    graphs: bool = False


VARIANTS = (
    Variant("fp32"),
    Variant("tf32", tf32=True),
    Variant("bf16", bf16=True),
    Variant("bf16, channels_last", bf16=True, channels_last=True),
    Variant("bf16, channels_last, compile", bf16=True, channels_last=True, compile=True),
    Variant("bf16, channels_last, graphs", bf16=True, channels_last=True, graphs=True),
    Variant("bf16, channels_last, compile, graphs", bf16=True, channels_last=True, compile=True, graphs=True),
)


@dataclass(frozen=True)
class Setting:
    """On what is measured, and how much of it."""

    device: torch.device
    smoke: bool

    @property
    def steps(self) -> int:
        return 2 if self.smoke else 50

    def synchronise(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize()


def composed(overrides: Sequence[str], smoke: bool) -> DictConfig:
    """The config of a training."""
    small = ["data.patch=12", "model.encoder.width=8"] if smoke else []
    small += ["model.block.blocks=1"] if smoke and "model=edsr" in overrides else []
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        return compose("train", [*overrides, *small])


@contextmanager
def arithmetic(variant: Variant) -> Any:
    """TF32 where the variant has it, and float32 in full everywhere else.

    By the older of torch's two ways to say it, as everywhere in upnet: torch refuses to have them mixed.
    """
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = variant.tf32
    try:
        yield
    finally:
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before


def stepper(config: DictConfig, variant: Variant, setting: Setting) -> Callable[[Tensor, Tensor], None]:
    """One step of training as a function of LR and HR, both (N, 3, …) in [0, 1] on the device."""
    layout = torch.channels_last if variant.channels_last else torch.contiguous_format
    torch.manual_seed(0)
    net: nn.Module = build(config.model).to(setting.device).to(memory_format=layout)
    loss = build(config.loss)
    optimizer = torch.optim.AdamW(net.parameters(), 1e-4, fused=True, capturable=variant.graphs)
    forward: Callable[[Tensor], Tensor] = net
    if variant.compile:
        forward = torch.compile(net, backend="aot_eager" if setting.smoke else "inductor")

    def step(lr: Tensor, hr: Tensor) -> None:
        lr, hr = lr.contiguous(memory_format=layout), hr.contiguous(memory_format=layout)
        with torch.autocast(setting.device.type, torch.bfloat16, enabled=variant.bf16):
            value = loss(forward(lr), hr)
        optimizer.zero_grad(set_to_none=not variant.graphs)
        value.backward()
        optimizer.step()

    return step


def recorded(step: Callable[[Tensor, Tensor], None], lr: Tensor, hr: Tensor) -> Callable[[Tensor, Tensor], None]:
    """The same step, played back from a CUDA graph."""
    still = [lr.clone(), hr.clone()]
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(5):
            step(*still)
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step(*still)

    def replay(lr: Tensor, hr: Tensor) -> None:
        still[0].copy_(lr)
        still[1].copy_(hr)
        graph.replay()

    return replay


def per_second(setting: Setting, work: Callable[[], object]) -> float:
    """How often a second the work is done: the best of five runs, after a few to warm up."""
    for _ in range(1 if setting.smoke else 8):
        work()
    rates = []
    for _ in range(1 if setting.smoke else 5):
        setting.synchronise()
        start = time.perf_counter()
        for _ in range(setting.steps):
            work()
        setting.synchronise()
        rates.append(setting.steps / (time.perf_counter() - start))
    return max(rates)


def measure_steps(
    setting: Setting, graphs: bool = False, report: Callable[[list[dict[str, Any]]], None] = lambda rows: None
) -> list[dict[str, Any]]:
    """Steps per second of every network in every kind of arithmetic, with the batch at hand and with fresh ones.

    graphs: whether those of CUDA graphs are meant, or all others.
    report: called with all rows so far after each.
    """
    rows: list[dict[str, Any]] = []
    store = build_store(DeadLeaves(4, 128 if setting.smoke else 256), 2)
    for model, overrides in list(MODELS.items())[: 1 if setting.smoke else None]:
        config = composed(overrides, setting.smoke)
        patch = config.data.patch
        plans = CropPlanDataset(CropSampler(store, patch, config.data.batch_size, 0, 2), rank=0, world_size=1)
        resident = GPUStore(store, patch, setting.device)

        def batch(number: int, plans: CropPlanDataset = plans, resident: GPUStore = resident) -> tuple[Tensor, Tensor]:
            crops = resident.batch(plans[number]["plan"].to(setting.device, non_blocking=True))
            return crops["lr"] / 255, crops["hr"] / 255

        for variant in (variant for variant in VARIANTS if variant.graphs == graphs):
            rows.append({"model": model, "variant": variant.name, **_rates(config, variant, setting, batch)})
            report(rows)
    return rows


def _rates(
    config: DictConfig, variant: Variant, setting: Setting, batch: Callable[[int], tuple[Tensor, Tensor]]
) -> dict[str, Any]:
    torch.compiler.reset()
    if setting.device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    numbers = iter(range(10**9))
    with arithmetic(variant):
        try:
            step = stepper(config, variant, setting)
            fixed = batch(0)
            step = recorded(step, *fixed) if variant.graphs else step
            rate = per_second(setting, lambda: step(*fixed))
            fresh = per_second(setting, lambda: step(*batch(next(numbers))))
        except Exception as fault:  # whatever a compiler or a driver raises is what there is to tell
            return {"refused": f"{type(fault).__name__}: {' '.join(str(fault).split())[:300]}"}
    found = {
        "steps_per_second": rate,
        "with_fresh_batches": fresh,
        "share_waiting_for_data": max(0.0, 1 - fresh / rate),
    }
    if setting.device.type == "cuda":
        found["peak_MiB"] = torch.cuda.max_memory_allocated() / 2**20
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--graphs", action="store_true", help="only what is recorded as CUDA graphs")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where to write the rows as well")
    parser.add_argument("--smoke", action="store_true", help="tiny sizes, to see that everything runs")
    given = parser.parse_args(arguments)
    if given.device == "cuda" and not torch.cuda.is_available():
        parser.error("--device cuda: torch sees no NVIDIA GPU here; take --device cpu")
    if given.graphs and given.device != "cuda":
        parser.error("--graphs takes --device cuda: only a GPU records")

    def report(rows: list[dict[str, Any]]) -> None:
        print(rows[-1], flush=True)
        if given.json:
            given.json.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")

    measure_steps(Setting(torch.device(given.device), given.smoke), given.graphs, report)
    return 0


if __name__ == "__main__":
    sys.exit(main())
