"""What is meant for a GPU runs on a CPU as well, as far as it needs no CUDA itself."""

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


def test_the_gpu_benchmark_runs_in_small_on_a_cpu(gpu: ModuleType, pictures: Path, tmp_path: Path) -> None:
    (tmp_path / "Set").mkdir()
    (pictures / "picture0.png").rename(tmp_path / "Set/scene.png")
    out = tmp_path / "gpu.json"
    words = ["--device", "cpu", "--smoke", "--out", out, "--images", pictures, "--validation", tmp_path / "Set"]
    assert gpu.main([str(word) for word in words]) == 0
    found = json.loads(out.read_text(encoding="utf-8"))
    assert {row["variant"] for row in found["steps"]} >= {"fp32", "bf16, channels_last", "bf16, channels_last, compile"}
    assert all(row["steps_per_second"] > 0 for row in found["steps"])
    assert [row["variant"] for row in found["loop"]] == ["eager"]
    assert all(row["steps_per_second"] > 0 for row in found["loop"])
    operators = {path.stem for path in (CONFIGS / "model/upsampler").glob("*.yaml")}
    assert {row["operator"] for row in found["parity"]} == operators
    assert all(row["output"] == 0 for row in found["parity"])  # the device is the CPU itself
    assert found["operators"]
    assert found["training"]["scores"]["Set"]["psnr"] > 5
    assert 0 <= found["training"]["share_waiting_for_data"] < 1
    assert list(found["seconds"]) == ["loop", "operators", "training", "parity", "steps"]


def test_a_part_without_time_is_cut_off_and_keeps_its_rows(gpu: ModuleType, tmp_path: Path) -> None:
    out = tmp_path / "gpu.json"
    words = ["--device", "cpu", "--smoke", "--out", str(out), "--parts", "loop", "parity", "--limit", "0.001"]
    assert gpu.main(words) == 1
    found = json.loads(out.read_text(encoding="utf-8"))
    assert found["loop"] == found["parity"] == {"cut off": []}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--parts", "training"], "--images"),
        (["--parts", "graphs"], "--device cuda"),
        (["--parts", "step"], "'step'"),
    ],
)
def test_parts_that_cannot_be_measured_are_refused(gpu: ModuleType, words: list[str], told: str, capsys) -> None:
    with pytest.raises(SystemExit) as refused:
        gpu.main(["--device", "cpu", "--smoke", "--out", "x.json", *words])
    assert refused.value.code == 2
    assert told in capsys.readouterr().err


def test_some_parts_alone_are_measured(gpu: ModuleType, tmp_path: Path) -> None:
    out = tmp_path / "gpu.json"
    assert gpu.main(["--device", "cpu", "--smoke", "--out", str(out), "--parts", "parity"]) == 0
    assert set(json.loads(out.read_text(encoding="utf-8"))["seconds"]) == {"parity"}


def test_a_part_that_fails_is_told_and_costs_no_other(gpu: ModuleType, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(gpu, "measure_loop", lambda setting: [])
    monkeypatch.setattr(gpu, "measure_steps", lambda setting: [{"model": "edsr"}])
    monkeypatch.setattr(gpu, "measure_operators", lambda setting: ["all of them"])
    monkeypatch.setattr(gpu, "_difference", lambda operator, setting: 1 / 0)
    monkeypatch.setattr(gpu, "train_for", lambda *given: {}["nothing"])
    out = tmp_path / "gpu.json"
    assert gpu.main(["--device", "cpu", "--smoke", "--out", str(out), "--images", str(tmp_path)]) == 1
    found = json.loads(out.read_text(encoding="utf-8"))
    assert (found["steps"], found["operators"]) == ([{"model": "edsr"}], ["all of them"])
    assert {row["error"] for row in found["parity"]} == {"ZeroDivisionError: division by zero"}
    assert found["training"] == {"failed": "KeyError: 'nothing'"}


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ({"variant": "fp32", "error": "x"}, True),
        ({"operator": "nearest", "error": "x"}, True),
        ({"variant": "bf16, channels_last, compile", "error": "x"}, False),
        ({"variant": "fp32", "steps_per_second": 1.0}, False),
    ],
)
def test_a_row_that_has_to_be_there_makes_the_figures_incomplete(gpu: ModuleType, row: dict, told: bool) -> None:
    assert gpu.incomplete([{"model": "unet"}, row]) is told
