"""benchmarks/operators.py with tiny sizes."""

import json
import runpy
from types import SimpleNamespace

import pytest
import torch
from support import CONFIGS, ROOT


@pytest.fixture(scope="module")
def benchmark() -> SimpleNamespace:
    """The functions of benchmarks/operators.py."""
    return SimpleNamespace(**runpy.run_path(str(ROOT / "benchmarks/operators.py")))


def test_every_operator_is_measured_in_every_dtype_and_layout(benchmark: SimpleNamespace, tmp_path, capsys):
    path = tmp_path / "operators.json"
    assert benchmark.main(["--smoke", "--no-keep-memory", "--json", str(path)]) == 0
    written = json.loads(path.read_text(encoding="utf-8"))
    assert written["large_blocks_kept"] is False
    rows = written["rows"]
    variants = {(row["operator"], row["type"], row["layout"], row["backward"]) for row in rows}
    assert len(variants) == len(rows) == 8 * len(benchmark.cases())
    assert {path.stem for path in (CONFIGS / "model/upsampler").glob("*.yaml")} <= {row["operator"] for row in rows}
    assert all(value > 0 for row in rows for value in (*row["milliseconds"].values(), *row["ratios"].values()))
    printed = capsys.readouterr().out.splitlines()
    assert sum("channels_last" in line or "contiguous" in line for line in printed) == len(rows)


def test_operators_are_compared_with_torch(benchmark: SimpleNamespace, tmp_path):
    path = tmp_path / "operators.json"
    names = ["nearest", "bilinear", "bicubic", "max_unpool", "pixel_shuffle", "transposed", "resize_conv"]
    benchmark.main(["--smoke", "--no-keep-memory", "--json", str(path), "--only", *names])
    rows = json.loads(path.read_text(encoding="utf-8"))["rows"]
    assert {row["operator"] for row in rows} == set(names)
    assert all({"ours", "torch", "floor"} <= set(row["milliseconds"]) for row in rows)
    assert all("sub-pixel" in row["ratios"] for row in rows if row["operator"] == "transposed")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_missing_gpu_is_rejected(benchmark: SimpleNamespace):
    with pytest.raises(SystemExit, match="use --device cpu"):
        benchmark.main(["--smoke", "--device", "cuda"])
