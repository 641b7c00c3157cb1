"""What is meant for a GPU runs on a CPU as well, as far as it needs no CUDA itself."""

import importlib.util
import json
from pathlib import Path

from support import CONFIGS, ROOT


def test_the_gpu_benchmark_runs_in_small_on_a_cpu(pictures: Path, tmp_path: Path) -> None:
    spec = importlib.util.spec_from_file_location("gpu", ROOT / "benchmarks/gpu.py")
    assert spec is not None
    assert spec.loader is not None
    gpu = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(gpu)
    (tmp_path / "Set").mkdir()
    (pictures / "picture0.png").rename(tmp_path / "Set/scene.png")
    out = tmp_path / "gpu.json"
    words = ["--device", "cpu", "--smoke", "--out", out, "--pictures", pictures, "--validation", tmp_path / "Set"]
    assert gpu.main([str(word) for word in words]) == 0
    found = json.loads(out.read_text(encoding="utf-8"))
    assert {row["variant"] for row in found["steps"]} >= {"fp32", "bf16, channels_last", "bf16, channels_last, compile"}
    assert all(row["steps_per_second"] > 0 for row in found["steps"])
    operators = {path.stem for path in (CONFIGS / "model/upsampler").glob("*.yaml")}
    assert {row["operator"] for row in found["parity"]} == operators
    assert all(row["output"] == 0 for row in found["parity"])  # the device is the CPU itself
    assert found["operators"]
    assert found["training"]["scores"]["Set"]["psnr"] > 5
