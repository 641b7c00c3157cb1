"""The benchmark of the operators runs, measures every one of them, and writes what it prints."""

import json

import pytest
import torch

from benchmarks.operators import FOLDER, main
from benchmarks.operators import cases as benchmark_cases


def test_every_yaml_and_every_way_is_measured_and_written(tmp_path, capsys):
    path = tmp_path / "operators.json"
    assert main(["--smoke", "--no-keep-memory", "--json", str(path)]) == 0
    written = json.loads(path.read_text(encoding="utf-8"))
    assert written["large_blocks_kept"] is False
    rows = written["rows"]
    ways = {(row["operator"], row["type"], row["layout"], row["backward"]) for row in rows}
    assert len(ways) == len(rows) == 8 * len(benchmark_cases())
    assert {path.stem for path in FOLDER.glob("*.yaml")} <= {row["operator"] for row in rows}
    assert all(value > 0 for row in rows for value in (*row["milliseconds"].values(), *row["ratios"].values()))
    printed = capsys.readouterr().out.splitlines()
    assert sum("channels_last" in line or "contiguous" in line for line in printed) == len(rows)


def test_torchs_own_stands_beside_whatever_torch_has(tmp_path):
    path = tmp_path / "operators.json"
    names = ["nearest", "bilinear", "bicubic", "max_unpool", "pixel_shuffle", "transposed", "resize_conv"]
    main(["--smoke", "--no-keep-memory", "--json", str(path), "--only", *names])
    rows = json.loads(path.read_text(encoding="utf-8"))["rows"]
    assert {row["operator"] for row in rows} == set(names)
    assert all({"ours", "torch", "floor"} <= set(row["milliseconds"]) for row in rows)
    assert all("sub-pixel" in row["ratios"] for row in rows if row["operator"] == "transposed")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_refused():
    with pytest.raises(SystemExit, match="use --device cpu"):
        main(["--smoke", "--device", "cuda"])
