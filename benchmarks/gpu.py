"""All benchmarks for a GPU in one command, with one JSON file as the result.

    python benchmarks/gpu.py --out gpu.json --images BSDS399/HR --validation Set5 Set14 --minutes 1

The parts, in this order:

loop        steps per second of `upnet train`, see train_loop.py
operators   time of every operator relative to torch's own, see operators.py
training    EDSR-baseline trained on --images for --minutes: PSNR, SSIM, and the fraction of time spent waiting for data
parity      differences between CPU and GPU
steps       steps per second of a bare loop, see steps.py
graphs      the same with CUDA graphs

Everything ends within --limit minutes: a part that is cut off keeps the rows measured so far, and the following parts
are skipped. The file is written after every part. The exit code is 1 if a part fails or is cut off, and if a row has an
error, except rows of compiled variants and CUDA graphs. --device cpu --smoke runs everything with tiny sizes on a CPU.
No network connection is needed.
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
    """The device, whether sizes are tiny, and the time limit.

    end: of the time limit, in seconds of time.monotonic().
    """

    device: torch.device
    smoke: bool
    end: float = math.inf

    @property
    def seconds_left(self) -> float:
        """Seconds until the time limit, at least 1."""
        return max(1.0, self.end - time.monotonic())


def composed(overrides: Sequence[str], smoke: bool) -> DictConfig:
    """The config of a training; smoke: with a tiny network and patch."""
    small = ["data.patch=12", "model.encoder.width=8"] if smoke else []
    small += ["model.block.blocks=1"] if smoke and "model=edsr" in overrides else []
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        return compose("train", [*overrides, *small])


def measure_loop(setting: Setting) -> Any:
    """The rows of benchmarks/train_loop.py."""
    return run_script("train_loop.py", setting, [])


def measure_steps(setting: Setting, graphs: bool = False) -> Any:
    """The rows of benchmarks/steps.py. Graphs have their own process: a failed capture may make the GPU unusable."""
    return run_script("steps.py", setting, ["--graphs"] if graphs else [])


def measure_operators(setting: Setting) -> Any:
    """The content of the JSON file of benchmarks/operators.py."""
    return run_script("operators.py", setting, ["--only", "nearest"] if setting.smoke else [])


def run_script(name: str, setting: Setting, options: Sequence[str]) -> Any:
    """Run another benchmark in a process, and return the content of its JSON file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "results.json"
        command = [sys.executable, str(HERE / name), "--device", setting.device.type, "--json", str(path), *options]
        try:
            seconds = None if math.isinf(setting.end) else setting.seconds_left
            subprocess.run([*command, *(["--smoke"] if setting.smoke else [])], check=True, timeout=seconds)
        except subprocess.TimeoutExpired:
            rows = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
            return {"cut off": rows}
        return json.loads(path.read_text(encoding="utf-8"))


def incomplete(result: Any) -> bool:
    """Whether a part was cut off, or a row has an error; errors of compiled variants and CUDA graphs don't count."""
    if isinstance(result, dict) and "cut off" in result:
        return True
    optional = ("compile", "graphs")
    return isinstance(result, list) and any(
        "error" in row and not any(word in row.get("variant", "") for word in optional) for row in result
    )


def one_line(error: Exception) -> str:
    """The class and message of an error in one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"


def measure_parity(setting: Setting) -> list[dict[str, Any]]:
    """The difference between GPU and CPU in float32, for every operator in the default U-Net: output and gradients."""
    rows: list[dict[str, Any]] = []
    for operator in sorted(path.stem for path in (CONFIGS / "model/upsampler").glob("*.yaml")):
        try:
            rows.append({"operator": operator, **_difference(operator, setting)})
        except Exception as error:  # errors of kernels and drivers have any type; the row states them
            rows.append({"operator": operator, "error": one_line(error)})
        print(rows[-1], flush=True)
    return rows


def _difference(operator: str, setting: Setting) -> dict[str, float]:
    """The largest absolute difference of the outputs, and the norm of the gradients' difference relative to theirs."""
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
    (cpu_output, cpu_gradients), (output, gradients) = results
    return {
        "output": (cpu_output - output).abs().max().item(),
        "gradients": ((cpu_gradients - gradients).norm() / cpu_gradients.norm()).item(),
    }


def train_for(setting: Setting, minutes: float, images: Path, validation: Sequence[Path]) -> Any:
    """Train EDSR-baseline on a folder of images for about this many minutes, and evaluate it."""
    from upnet.training import train
    from upnet.training.timing import time_training

    trainer = "gpu" if setting.device.type == "cuda" else "cpu"
    config = composed(
        ["model=edsr", "data.patch=48", "data=folder", "validations=1", f"trainer={trainer}"], setting.smoke
    )
    with tempfile.TemporaryDirectory() as folder, open_dict(config):
        config.run_dir = f"{folder}/run"
        config.data.root = str(images)
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
        shares = logged_values(Path(folder) / "run/tensorboard", "train/data_share")
    result = {"steps": config.steps, "minutes": content["minutes"], "protocol": content["protocol"]}
    if shares:
        result["share_waiting_for_data"] = statistics.median(shares)
    if setting.device.type == "cuda":
        result["peak_MiB"] = torch.cuda.max_memory_allocated() / 2**20
    result["scores"] = {
        name: {metric: scores[metric] for metric in ("psnr", "ssim")} for name, scores in content["datasets"].items()
    }
    return result


def logged_values(folder: Path, tag: str) -> list[float]:
    """The values of a scalar in a TensorBoard log; empty if it was not logged."""
    reader = EventAccumulator(str(folder)).Reload()
    return [event.value for event in reader.Scalars(tag)] if tag in reader.Tags()["scalars"] else []


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="the JSON file of the results")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cuda")
    parser.add_argument("--images", type=Path, metavar="FOLDER", help="training images of the part training")
    parser.add_argument("--validation", type=Path, nargs="+", default=[], metavar="FOLDER", help="its test images")
    parser.add_argument("--minutes", type=float, default=1.0, help="duration of the part training")
    parser.add_argument("--limit", type=float, default=6.0, metavar="MINUTES", help="time limit of all parts together")
    parser.add_argument("--parts", nargs="+", choices=PARTS, help="run only these parts")
    parser.add_argument("--smoke", action="store_true", help="tiny sizes, to check that everything runs")
    options = parser.parse_args(arguments)
    if options.device == "cuda" and not torch.cuda.is_available():
        parser.error("torch finds no NVIDIA GPU; --device cpu --smoke checks that everything runs")
    if "training" in (options.parts or ()) and options.images is None:
        parser.error("--parts training needs --images FOLDER")
    if "graphs" in (options.parts or ()) and options.device == "cpu":
        parser.error("--parts graphs needs --device cuda: a CPU has no CUDA graphs")
    setting = Setting(torch.device(options.device), options.smoke, time.monotonic() + 60 * options.limit)
    parts: dict[str, Callable[[], Any]] = {
        "loop": lambda: measure_loop(setting),
        "operators": lambda: measure_operators(setting),
    }
    if options.images is not None:
        parts["training"] = lambda: train_for(setting, options.minutes, options.images, options.validation)
    parts["parity"] = lambda: measure_parity(setting)
    parts["steps"] = lambda: measure_steps(setting)
    if options.device == "cuda":
        parts["graphs"] = lambda: measure_steps(setting, graphs=True)
    results: dict[str, Any] = machine(setting)
    failed = False
    for name in (name for name in parts if name in (options.parts or parts)):
        start = time.perf_counter()
        try:
            results[name] = parts[name]() if time.monotonic() < setting.end else {"cut off": []}
            failed |= incomplete(results[name])
        except Exception as error:  # the other parts are measured all the same, and the exit code is 1
            traceback.print_exc()
            results[name], failed = {"failed": one_line(error)}, True
        results["seconds"][name] = round(time.perf_counter() - start, 1)
        options.out.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    print(f"Results written to {options.out}")
    return int(failed)


def machine(setting: Setting) -> dict[str, Any]:
    """The device, the versions and the command of the measurement; "seconds" is filled in with the time per part."""
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
