"""Everything that a GPU is to be measured on, in one command: `python benchmarks/gpu.py --out FILE.json`.

    python benchmarks/gpu.py --out gpu.json --pictures BSDS399/HR --validation Set5 Set14 --minutes 1

In this order: `loop`, the steps per second of train.py itself, launched, recorded as CUDA graphs, and compiled;
`operators`, every operator compared with torch's own; `training`, where pictures are given, EDSR-baseline trained for
so many minutes, with its scores and the share of its time that it waited for batches; `parity`, whether CPU and GPU
agree; `steps` and `graphs`, what bare loops of the same steps reach in every kind of arithmetic, launched and
recorded. It needs no network. All of it ends within `--limit` minutes: a part that the time cuts off keeps the rows
that it has, and the parts after it are skipped. The file is written after every part; a part that fails or is cut off
says so in it, costs none of the others, and makes the exit code 1, as does a row that is refused, unless it is one of
those that are compiled or recorded. `--parts` takes some alone. `--device cpu --smoke` runs all of it in small on a
CPU.
"""

import argparse
import json
import math
import platform
import statistics
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, open_dict
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import nn

from upnet.config import build, check
from upnet.config.schema import TrainSettings
from upnet.utils.device import no_tf32

HERE = Path(__file__).resolve().parent
CONFIGS = HERE.parent / "configs"
PARTS = ("loop", "operators", "training", "parity", "steps", "graphs")


@dataclass(frozen=True)
class Setting:
    """On what is measured, and whether in small."""

    device: torch.device
    smoke: bool
    end: float = math.inf
    """When, by time.monotonic(), no more time is left."""

    @property
    def left(self) -> float:
        """Seconds."""
        return max(1.0, self.end - time.monotonic())


def composed(overrides: Sequence[str], smoke: bool) -> DictConfig:
    """The config of a training."""
    small = ["data.patch=12", "model.encoder.width=8"] if smoke else []
    small += ["model.block.blocks=1"] if smoke and "model=edsr" in overrides else []
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        return compose("train", [*overrides, *small])


def measure_loop(setting: Setting) -> Any:
    """What benchmarks/train_loop.py finds."""
    return by_script("train_loop.py", setting, [])


def measure_steps(setting: Setting, graphs: bool = False) -> Any:
    """What benchmarks/steps.py finds; by itself, since a recording that goes wrong may leave its process no device."""
    return by_script("steps.py", setting, ["--graphs"] if graphs else [])


def measure_operators(setting: Setting) -> Any:
    """What benchmarks/operators.py finds."""
    return by_script("operators.py", setting, ["--only", "nearest"] if setting.smoke else [])


def by_script(name: str, setting: Setting, words: Sequence[str]) -> Any:
    """What another benchmark, a process of its own, writes as JSON."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "found.json"
        command = [sys.executable, str(HERE / name), "--device", setting.device.type, "--json", str(path), *words]
        try:
            seconds = None if math.isinf(setting.end) else setting.left
            subprocess.run([*command, *(["--smoke"] if setting.smoke else [])], check=True, timeout=seconds)
        except subprocess.TimeoutExpired:
            rows = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
            return {"cut off": rows}
        return json.loads(path.read_text(encoding="utf-8"))


def incomplete(found: Any) -> bool:
    """Whether time ran out, or a row was refused that has to be there; a compiler, or a recording, need not hold."""
    if isinstance(found, dict) and "cut off" in found:
        return True
    may = ("compile", "graphs")
    return isinstance(found, list) and any(
        "refused" in row and not any(word in row.get("variant", "") for word in may) for row in found
    )


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
        with no_tf32():
            output = net(lr.to(device))
            output.square().mean().backward()
        gradients = torch.cat([p.grad.flatten().cpu() for p in net.parameters() if p.grad is not None])
        results.append((output.detach().cpu(), gradients))
    (one, slope), (other, tilt) = results
    return {"output": (one - other).abs().max().item(), "gradients": ((slope - tilt).norm() / slope.norm()).item()}


def train_for(setting: Setting, minutes: float, pictures: Path, validation: Sequence[Path]) -> Any:
    """Train EDSR-baseline for about so many minutes, and score it."""
    from upnet.training import train
    from upnet.training.timing import time_training

    trainer = "gpu" if setting.device.type == "cuda" else "cpu"
    config = composed(
        ["model=edsr", "data.patch=48", "data=folder", "validations=1", f"trainer={trainer}"], setting.smoke
    )
    with tempfile.TemporaryDirectory() as folder, open_dict(config):
        config.run_dir = f"{folder}/run"
        config.data.root = str(pictures)
        config.data.val_root = [str(path) for path in validation] or None
        config.data.cache_dir = f"{folder}/cache"
        if setting.smoke:
            config.steps, config.trainer.log_every_n_steps = 4, 2
        else:
            config.steps = max(100, int(60 * minutes / time_training(check(config, TrainSettings)).step))
        settings = check(config, TrainSettings)
        if setting.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats()
        content = train(settings)
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
    parser.add_argument("--minutes", type=float, default=1.0, help="of the training")
    parser.add_argument("--limit", type=float, default=6.0, metavar="MINUTES", help="within which all of it ends")
    parser.add_argument("--parts", nargs="+", choices=PARTS, help="these alone")
    parser.add_argument("--smoke", action="store_true", help="tiny sizes, to see that everything runs")
    given = parser.parse_args(arguments)
    if given.device == "cuda" and not torch.cuda.is_available():
        parser.error("there is no GPU that torch can use; --device cpu --smoke shows that everything runs")
    if "training" in (given.parts or ()) and given.pictures is None:
        parser.error("--parts training takes --pictures FOLDER to train on")
    if "graphs" in (given.parts or ()) and given.device == "cpu":
        parser.error("--parts graphs takes --device cuda: only a GPU records")
    setting = Setting(torch.device(given.device), given.smoke, time.monotonic() + 60 * given.limit)
    parts: dict[str, Callable[[], Any]] = {
        "loop": lambda: measure_loop(setting),
        "operators": lambda: measure_operators(setting),
    }
    if given.pictures is not None:
        parts["training"] = lambda: train_for(setting, given.minutes, given.pictures, given.validation)
    parts["parity"] = lambda: measure_parity(setting)
    parts["steps"] = lambda: measure_steps(setting)
    if given.device == "cuda":
        parts["graphs"] = lambda: measure_steps(setting, graphs=True)
    found: dict[str, Any] = machine(setting)
    failed = False
    for name in (name for name in parts if name in (given.parts or parts)):
        start = time.perf_counter()
        try:
            found[name] = parts[name]() if time.monotonic() < setting.end else {"cut off": []}
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
