"""Training steps per second and peak memory of two networks by precision and memory format, in a bare loop.

    python benchmarks/steps.py [--device cuda] [--graphs] [--json FILE]

EDSR-baseline and the default U-Net are trained without Lightning on batches of 16 crops of 48 × 48 LR pixels at ×2: an
upper bound for the speed of `upnet train`. Each variant is measured with one fixed batch and with new batches, which
are cropped on the device as in training. `--graphs` measures only the variants whose step is a CUDA graph. `--smoke`
runs everything with tiny sizes.

Rows: steps_per_second (fixed batch), with_fresh_batches (steps per second with new batches), share_waiting_for_data
(fraction of the time with new batches that the fixed batch does not need), peak_MiB (GPU only), or error.
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
    """A precision and memory format. graphs: the step is captured once as a CUDA graph, and replayed."""

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
    """The device, and whether sizes are tiny."""

    device: torch.device
    smoke: bool

    @property
    def steps(self) -> int:
        return 2 if self.smoke else 50

    def synchronise(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize()


def composed(overrides: Sequence[str], smoke: bool) -> DictConfig:
    """The config of a training; smoke: with a tiny network and patch."""
    small = ["data.patch=12", "model.encoder.width=8"] if smoke else []
    small += ["model.block.blocks=1"] if smoke and "model=edsr" in overrides else []
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        return compose("train", [*overrides, *small])


@contextmanager
def arithmetic(variant: Variant) -> Any:
    """Enable TF32 if the variant has it, and disable it otherwise.

    Uses torch's older setting, as upnet does everywhere: torch raises an error if both settings are used.
    """
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = variant.tf32
    try:
        yield
    finally:
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before


def stepper(config: DictConfig, variant: Variant, setting: Setting) -> Callable[[Tensor, Tensor], None]:
    """A function that runs one training step on LR, (N, 3, h, w), and HR, (N, 3, H, W), in [0, 1] on the device."""
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


def captured(step: Callable[[Tensor, Tensor], None], lr: Tensor, hr: Tensor) -> Callable[[Tensor, Tensor], None]:
    """The same step, replayed from a CUDA graph."""
    static_lr, static_hr = lr.clone(), hr.clone()
    side_stream = torch.cuda.Stream()
    side_stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side_stream):
        for _ in range(5):
            step(static_lr, static_hr)
    torch.cuda.current_stream().wait_stream(side_stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step(static_lr, static_hr)

    def replay(lr: Tensor, hr: Tensor) -> None:
        static_lr.copy_(lr)
        static_hr.copy_(hr)
        graph.replay()

    return replay


def per_second(setting: Setting, function: Callable[[], object]) -> float:
    """Calls of a function per second: the highest of five runs, after a few calls to warm up."""
    for _ in range(1 if setting.smoke else 8):
        function()
    rates = []
    for _ in range(1 if setting.smoke else 5):
        setting.synchronise()
        start = time.perf_counter()
        for _ in range(setting.steps):
            function()
        setting.synchronise()
        rates.append(setting.steps / (time.perf_counter() - start))
    return max(rates)


def measure_steps(
    setting: Setting, graphs: bool = False, report: Callable[[list[dict[str, Any]]], None] = lambda rows: None
) -> list[dict[str, Any]]:
    """One row per network and variant; see the head of this module.

    graphs: measure the variants with CUDA graphs; otherwise all others.
    report: called after each row with all rows measured so far.
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
            fixed_batch = batch(0)
            step = captured(step, *fixed_batch) if variant.graphs else step
            rate = per_second(setting, lambda: step(*fixed_batch))
            rate_with_new_batches = per_second(setting, lambda: step(*batch(next(numbers))))
        except Exception as error:  # errors of compilers and drivers have any type; the row states them
            return {"error": f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"}
    row = {
        "steps_per_second": rate,
        "with_fresh_batches": rate_with_new_batches,
        "share_waiting_for_data": max(0.0, 1 - rate_with_new_batches / rate),
    }
    if setting.device.type == "cuda":
        row["peak_MiB"] = torch.cuda.max_memory_allocated() / 2**20
    return row


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--graphs", action="store_true", help="measure only the variants with CUDA graphs")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the rows to this file")
    parser.add_argument("--smoke", action="store_true", help="tiny sizes, to check that everything runs")
    options = parser.parse_args(arguments)
    if options.device == "cuda" and not torch.cuda.is_available():
        parser.error("--device cuda: torch finds no NVIDIA GPU; use --device cpu")
    if options.graphs and options.device != "cuda":
        parser.error("--graphs needs --device cuda: a CPU has no CUDA graphs")

    def report(rows: list[dict[str, Any]]) -> None:
        print(rows[-1], flush=True)
        if options.json:
            options.json.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")

    measure_steps(Setting(torch.device(options.device), options.smoke), options.graphs, report)
    return 0


if __name__ == "__main__":
    sys.exit(main())
