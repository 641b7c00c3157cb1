"""Everything that a GPU is to be measured on, in one command: `python benchmarks/gpu.py --out FILE.json`.

    python benchmarks/gpu.py --out gpu.json --pictures BSDS399/HR --validation Set5 Set14 --minutes 5

Steps per second and peak memory of EDSR-baseline and the default U-Net in every kind of arithmetic; what batches cost
that are cut on the GPU; every operator beside torch's own; whether CPU and GPU agree; and, where pictures are given, a
training of EDSR-baseline of so many minutes with its scores. `--device cpu --smoke` runs all of it in small on a CPU.
"""

import argparse
import json
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, open_dict
from torch import Tensor, nn

from upnet.config import build, check
from upnet.data import DeadLeaves, Sampler
from upnet.data import build as build_store
from upnet.data.resident import Resident
from upnet.settings import TrainSettings

HERE = Path(__file__).resolve().parent
CONFIGS = HERE.parent / "configs"
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
    """TF32 where the variant has it, and float32 in full everywhere else."""
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


def measure_steps(setting: Setting) -> list[dict[str, Any]]:
    """Steps per second of every network in every kind of arithmetic, with the batch at hand and with fresh ones."""
    rows: list[dict[str, Any]] = []
    store = build_store(DeadLeaves(4, 128 if setting.smoke else 256), 2)
    for model, overrides in MODELS.items():
        config = composed(overrides, setting.smoke)
        patch = config.data.patch
        sampler = Sampler(store, patch, config.data.batch_size, 0, 2)
        resident = Resident(store, patch, setting.device)

        def batch(number: int, sampler: Sampler = sampler, resident: Resident = resident) -> tuple[Tensor, Tensor]:
            crops = resident.batch(sampler.plan(number).to(setting.device, non_blocking=True))
            return crops["lr"] / 255, crops["hr"] / 255

        for variant in VARIANTS:
            if variant.graphs and setting.device.type != "cuda":
                continue
            rows.append({"model": model, "variant": variant.name, **_rates(config, variant, setting, batch)})
            print(rows[-1], flush=True)
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
        step = stepper(config, variant, setting)
        fixed = batch(0)
        try:
            step = recorded(step, *fixed) if variant.graphs else step
            rate = per_second(setting, lambda: step(*fixed))
            fresh = per_second(setting, lambda: step(*batch(next(numbers))))
        except (RuntimeError, NotImplementedError) as fault:
            return {"refused": " ".join(str(fault).split())[:300]}
    found = {
        "steps_per_second": rate,
        "with_fresh_batches": fresh,
        "share_waiting_for_data": max(0.0, 1 - fresh / rate),
    }
    if setting.device.type == "cuda":
        found["peak_MiB"] = torch.cuda.max_memory_allocated() / 2**20
    return found


def measure_parity(setting: Setting) -> list[dict[str, Any]]:
    """How far the GPU is from the CPU in float32, for every operator in the default U-Net: output and gradients."""
    rows: list[dict[str, Any]] = []
    for operator in sorted(path.stem for path in (CONFIGS / "model/upsampler").glob("*.yaml")):
        config = composed(["model=unet", f"model/upsampler={operator}"], setting.smoke)
        results = []
        for device in (torch.device("cpu"), setting.device):
            torch.manual_seed(0)
            net: nn.Module = build(config.model)
            lr = torch.rand(2, 3, 33, 30, generator=torch.Generator().manual_seed(1))
            net = net.to(device)
            exact = torch.backends.cudnn.flags(enabled=True, allow_tf32=False)
            with exact if device.type == "cuda" else nullcontext():
                output = net(lr.to(device))
                output.square().mean().backward()
            gradients = torch.cat([p.grad.flatten().cpu() for p in net.parameters() if p.grad is not None])
            results.append((output.detach().cpu(), gradients))
        (one, slope), (other, tilt) = results
        row = {
            "operator": operator,
            "output": (one - other).abs().max().item(),
            "gradients": ((slope - tilt).norm() / slope.norm()).item(),
        }
        rows.append(row)
        print(row, flush=True)
    return rows


def measure_operators(setting: Setting) -> Any:
    """What benchmarks/operators.py finds."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "operators.json"
        command = [sys.executable, str(HERE / "operators.py"), "--device", setting.device.type, "--json", str(path)]
        subprocess.run([*command, *(["--smoke", "--only", "nearest"] if setting.smoke else [])], check=True)
        return json.loads(path.read_text(encoding="utf-8"))


def train_for(setting: Setting, minutes: float, rate: float, pictures: Path, validation: Sequence[Path]) -> Any:
    """Train EDSR-baseline for about so many minutes, and score it."""
    from upnet.training import train

    steps = 4 if setting.smoke else max(100, int(rate * 60 * minutes))
    roots = ",".join(str(path) for path in validation)
    config = composed(
        [
            *MODELS["edsr"],
            "data=folder",
            f"data.root={pictures}",
            f"data.val_root=[{roots}]",
            f"steps={steps}",
            "validations=1",
            f"trainer={'gpu' if setting.device.type == 'cuda' else 'cpu'}",
        ],
        setting.smoke,
    )
    with tempfile.TemporaryDirectory() as folder:
        with open_dict(config):
            config.run_dir = f"{folder}/run"
        check(config, TrainSettings)
        content = train(config)
    scores = {name: {what: told[what] for what in ("psnr", "ssim")} for name, told in content["datasets"].items()}
    return {"steps": steps, "minutes": content["minutes"], "scores": scores, "protocol": content["protocol"]}


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="where the figures go")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cuda")
    parser.add_argument("--pictures", type=Path, help="a folder to train on")
    parser.add_argument("--validation", type=Path, nargs="+", default=[], help="folders to score")
    parser.add_argument("--minutes", type=float, default=5.0, help="of the training")
    parser.add_argument("--smoke", action="store_true", help="tiny sizes, to see that everything runs")
    given = parser.parse_args(arguments)
    if given.device == "cuda" and not torch.cuda.is_available():
        parser.error("there is no GPU that torch can use; --device cpu --smoke shows that everything runs")
    setting = Setting(torch.device(given.device), given.smoke)
    name = torch.cuda.get_device_name() if given.device == "cuda" else platform.processor() or platform.machine()
    found: dict[str, Any] = {"device": name, "torch": str(torch.__version__), "command": " ".join(sys.argv)}

    def keep() -> None:
        given.out.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")

    found["steps"] = measure_steps(setting)
    keep()
    found["parity"] = measure_parity(setting)
    keep()
    found["operators"] = measure_operators(setting)
    keep()
    if given.pictures is not None:
        best = max(row.get("with_fresh_batches", 0.0) for row in found["steps"] if row["model"] == "edsr")
        found["training"] = train_for(setting, given.minutes, best, given.pictures, given.validation)
        keep()
    print(f"Written to {given.out}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
