"""benchmarks/gpu.py on a CPU with tiny sizes."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest
from support import CONFIGS, ROOT


@pytest.fixture
def gpu() -> ModuleType:
    """benchmarks/gpu.py as a module."""
    spec = importlib.util.spec_from_file_location("gpu", ROOT / "benchmarks/gpu.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.full  # more than 10 s
def test_gpu_benchmark_runs_on_a_cpu_with_tiny_sizes(gpu: ModuleType, pictures: Path, tmp_path: Path) -> None:
    (tmp_path / "Set").mkdir()
    (pictures / "picture0.png").rename(tmp_path / "Set/scene.png")
    out = tmp_path / "gpu.json"
    arguments = ["--device", "cpu", "--smoke", "--out", out, "--images", pictures, "--validation", tmp_path / "Set"]
    assert gpu.main([str(word) for word in arguments]) == 0
    results = json.loads(out.read_text(encoding="utf-8"))
    assert {row["variant"] for row in results["steps"]} >= {
        "fp32",
        "bf16, channels_last",
        "bf16, channels_last, compile",
    }
    assert all(row["steps_per_second"] > 0 for row in results["steps"])
    assert [row["variant"] for row in results["loop"]] == ["eager"]
    assert all(row["steps_per_second"] > 0 for row in results["loop"])
    operators = {path.stem for path in (CONFIGS / "model/upsampler").glob("*.yaml")}
    assert {row["operator"] for row in results["parity"]} == operators
    assert all(row["output"] == 0 for row in results["parity"])  # the device is the CPU itself
    assert results["operators"]
    assert results["training"]["scores"]["Set"]["psnr"] > 5
    assert 0 <= results["training"]["share_waiting_for_data"] < 1
    assert list(results["seconds"]) == ["loop", "operators", "training", "parity", "steps"]


def test_part_that_exceeds_the_time_limit_is_cut_off(gpu: ModuleType, tmp_path: Path) -> None:
    out = tmp_path / "gpu.json"
    arguments = ["--device", "cpu", "--smoke", "--out", str(out), "--parts", "loop", "parity", "--limit", "0.001"]
    assert gpu.main(arguments) == 1
    results = json.loads(out.read_text(encoding="utf-8"))
    assert results["loop"] == results["parity"] == {"cut off": []}


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--parts", "training"], "--images"),
        (["--parts", "graphs"], "--device cuda"),
        (["--parts", "step"], "'step'"),
    ],
)
def test_parts_that_cannot_be_measured_are_rejected(
    gpu: ModuleType, arguments: list[str], expected: str, capsys
) -> None:
    with pytest.raises(SystemExit) as error:
        gpu.main(["--device", "cpu", "--smoke", "--out", "x.json", *arguments])
    assert error.value.code == 2
    assert expected in capsys.readouterr().err


@pytest.mark.full
def test_option_parts_selects_parts(gpu: ModuleType, tmp_path: Path) -> None:
    out = tmp_path / "gpu.json"
    assert gpu.main(["--device", "cpu", "--smoke", "--out", str(out), "--parts", "parity"]) == 0
    assert set(json.loads(out.read_text(encoding="utf-8"))["seconds"]) == {"parity"}


def test_failed_part_is_recorded_and_other_parts_are_measured(gpu: ModuleType, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(gpu, "measure_loop", lambda setting: [])
    monkeypatch.setattr(gpu, "measure_steps", lambda setting: [{"model": "edsr"}])
    monkeypatch.setattr(gpu, "measure_operators", lambda setting: ["all of them"])
    monkeypatch.setattr(gpu, "_difference", lambda operator, setting: 1 / 0)
    monkeypatch.setattr(gpu, "train_for", lambda *given: {}["nothing"])
    out = tmp_path / "gpu.json"
    assert gpu.main(["--device", "cpu", "--smoke", "--out", str(out), "--images", str(tmp_path)]) == 1
    results = json.loads(out.read_text(encoding="utf-8"))
    assert (results["steps"], results["operators"]) == ([{"model": "edsr"}], ["all of them"])
    assert {row["error"] for row in results["parity"]} == {"ZeroDivisionError: division by zero"}
    assert results["training"] == {"failed": "KeyError: 'nothing'"}


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"variant": "fp32", "error": "x"}, True),
        ({"operator": "nearest", "error": "x"}, True),
        ({"variant": "bf16, channels_last, compile", "error": "x"}, False),
        ({"variant": "fp32", "steps_per_second": 1.0}, False),
    ],
)
def test_error_in_a_required_row_makes_the_results_incomplete(gpu: ModuleType, row: dict, expected: bool) -> None:
    assert gpu.incomplete([{"model": "unet"}, row]) is expected
