"""Everything that a GPU is to be measured on, in one command: `python benchmarks/gpu.py --out FILE.json`.

    python benchmarks/gpu.py --out gpu.json --pictures BSDS399/HR --validation Set5 Set14 --minutes 4

Steps per second and peak memory of EDSR-baseline and the default U-Net in every kind of arithmetic; what batches cost
that are cut on the GPU; whether CPU and GPU agree; every operator beside torch's own; and, where pictures are given, a
training of EDSR-baseline of so many minutes with its scores and the share of its time that it waited for batches. It
needs no network, and about ten minutes, of which compiling and the training take most. The file is written after
every part; a part that fails is told in it, costs none of the others, and makes the exit code 1, as does a row that is
refused, unless it is one of those that are compiled or recorded. What is recorded as CUDA graphs comes last, since a
recording that goes wrong may leave the device unusable. `--parts` takes some alone, where the GPU is lent for minutes.
`--device cpu --smoke` runs all of it in small on a CPU.
"""

import argparse
import copy
import json
import platform
import statistics
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, open_dict
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import Tensor, nn

from upnet.config import build, check
from upnet.data import DeadLeaves, Sampler
from upnet.data import build as build_store
from upnet.data.resident import Resident
from upnet.settings import TrainSettings

HERE = Path(__file__).resolve().parent
CONFIGS = HERE.parent / "configs"
PARTS = ("steps", "parity", "operators", "training", "graphs")
OPERATOR_SECONDS = 300
"""When the comparison of operators, a process of its own, is given up."""
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


def measure_steps(setting: Setting, graphs: bool = False) -> list[dict[str, Any]]:
    """Steps per second of every network in every kind of arithmetic, with the batch at hand and with fresh ones.

    graphs: whether those of CUDA graphs are meant, or all others.
    """
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

        for variant in (variant for variant in VARIANTS if variant.graphs == graphs):
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
        try:
            step = stepper(config, variant, setting)
            fixed = batch(0)
            step = recorded(step, *fixed) if variant.graphs else step
            rate = per_second(setting, lambda: step(*fixed))
            fresh = per_second(setting, lambda: step(*batch(next(numbers))))
        except Exception as fault:  # whatever a compiler or a driver raises is what there is to tell
            return {"refused": told(fault)}
    found = {
        "steps_per_second": rate,
        "with_fresh_batches": fresh,
        "share_waiting_for_data": max(0.0, 1 - fresh / rate),
    }
    if setting.device.type == "cuda":
        found["peak_MiB"] = torch.cuda.max_memory_allocated() / 2**20
    return found


def incomplete(found: Any) -> bool:
    """Whether a row was refused that has to be there; a compiler, or a recording, need not hold."""
    may = {variant.name for variant in VARIANTS if variant.compile or variant.graphs}
    return isinstance(found, list) and any("refused" in row and row.get("variant") not in may for row in found)


def told(fault: Exception) -> str:
    """An error in one line."""
    return f"{type(fault).__name__}: {' '.join(str(fault).split())[:300]}"


def measure_parity(setting: Setting) -> list[dict[str, Any]]:
    """How far the GPU is from the CPU in float32, for every operator in the default U-Net: output and gradients."""
    rows: list[dict[str, Any]] = []
    for operator in sorted(path.stem for path in (CONFIGS / "model/upsampler").glob("*.yaml")):
        try:
            rows.append({"operator": operator, **_difference(operator, setting)})
        except Exception as fault:
            rows.append({"operator": operator, "refused": told(fault)})
        print(rows[-1], flush=True)
    return rows


def _difference(operator: str, setting: Setting) -> dict[str, float]:
    """The largest of the output, and that of the gradients as a share of their norm."""
    config = composed(["model=unet", f"model/upsampler={operator}"], setting.smoke)
    results = []
    for device in (torch.device("cpu"), setting.device):
        torch.manual_seed(0)
        net: nn.Module = build(config.model)
        lr = torch.rand(2, 3, 33, 30, generator=torch.Generator().manual_seed(1))
        net = net.to(device)
        with arithmetic(Variant("fp32")):
            output = net(lr.to(device))
            output.square().mean().backward()
        gradients = torch.cat([p.grad.flatten().cpu() for p in net.parameters() if p.grad is not None])
        results.append((output.detach().cpu(), gradients))
    (one, slope), (other, tilt) = results
    return {"output": (one - other).abs().max().item(), "gradients": ((slope - tilt).norm() / slope.norm()).item()}


def measure_operators(setting: Setting) -> Any:
    """What benchmarks/operators.py finds."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "operators.json"
        command = [sys.executable, str(HERE / "operators.py"), "--device", setting.device.type, "--json", str(path)]
        small = ["--smoke", "--only", "nearest"] if setting.smoke else []
        subprocess.run([*command, *small], check=True, timeout=OPERATOR_SECONDS)
        return json.loads(path.read_text(encoding="utf-8"))


def train_for(setting: Setting, minutes: float, pictures: Path, validation: Sequence[Path]) -> Any:
    """Train EDSR-baseline for about so many minutes, and score it."""
    from upnet.training import train
    from upnet.training.study.rehearsal import rehearse

    trainer = "gpu" if setting.device.type == "cuda" else "cpu"
    config = composed([*MODELS["edsr"], "data=folder", "validations=1", f"trainer={trainer}"], setting.smoke)
    with tempfile.TemporaryDirectory() as folder, open_dict(config):
        config.run_dir = f"{folder}/run"
        config.data.root = str(pictures)
        config.data.val_root = [str(path) for path in validation] or None
        config.data.cache_dir = f"{folder}/cache"
        if setting.smoke:
            config.steps, config.trainer.log_every_n_steps = 4, 2
        else:
            config.steps = max(100, int(60 * minutes / rehearse(copy.deepcopy(config)).step))
        check(config, TrainSettings)
        if setting.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats()
        content = train(config)
        shares = logged(Path(folder) / "run/tensorboard", "train/data_share")
    found = {"steps": config.steps, "minutes": content["minutes"], "protocol": content["protocol"]}
    if shares:
        found["share_waiting_for_data"] = statistics.median(shares)
    if setting.device.type == "cuda":
        found["peak_MiB"] = torch.cuda.max_memory_allocated() / 2**20
    found["scores"] = {
        name: {what: one[what] for what in ("psnr", "ssim")} for name, one in content["datasets"].items()
    }
    return found


def logged(folder: Path, tag: str) -> list[float]:
    """What a training wrote for TensorBoard under a name."""
    reader = EventAccumulator(str(folder)).Reload()
    return [event.value for event in reader.Scalars(tag)] if tag in reader.Tags()["scalars"] else []


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="where the figures go")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cuda")
    parser.add_argument("--pictures", type=Path, help="a folder to train on")
    parser.add_argument("--validation", type=Path, nargs="+", default=[], help="folders to score")
    parser.add_argument("--minutes", type=float, default=4.0, help="of the training")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, help="these alone")
    parser.add_argument("--smoke", action="store_true", help="tiny sizes, to see that everything runs")
    given = parser.parse_args(arguments)
    if given.device == "cuda" and not torch.cuda.is_available():
        parser.error("there is no GPU that torch can use; --device cpu --smoke shows that everything runs")
    setting = Setting(torch.device(given.device), given.smoke)
    parts: dict[str, Callable[[], Any]] = {
        "steps": lambda: measure_steps(setting),
        "parity": lambda: measure_parity(setting),
        "operators": lambda: measure_operators(setting),
    }
    if given.pictures is not None:
        parts["training"] = lambda: train_for(setting, given.minutes, given.pictures, given.validation)
    if given.device == "cuda":
        parts["graphs"] = lambda: measure_steps(setting, graphs=True)
    found: dict[str, Any] = machine(setting)
    failed = False
    for name in (name for name in parts if name in given.parts):
        start = time.perf_counter()
        try:
            found[name] = parts[name]()
            failed |= incomplete(found[name])
        except Exception as fault:
            traceback.print_exc()
            found[name], failed = {"failed": told(fault)}, True
        found["seconds"][name] = round(time.perf_counter() - start, 1)
        given.out.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    print(f"Written to {given.out}")
    return int(failed)


def machine(setting: Setting) -> dict[str, Any]:
    """What the figures were taken on, and by which command."""
    on_gpu = setting.device.type == "cuda"
    return {
        "device": torch.cuda.get_device_name() if on_gpu else platform.processor() or platform.machine(),
        "torch": str(torch.__version__),
        "cuda": torch.version.cuda if on_gpu else None,
        "cudnn": torch.backends.cudnn.version() if on_gpu else None,
        "command": " ".join(sys.argv),
        "seconds": {},
    }


if __name__ == "__main__":
    raise SystemExit(main())
