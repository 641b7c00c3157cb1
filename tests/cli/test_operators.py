"""`upnet operators`: printed values, settings, and errors."""

import re
import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F
from support import ROOT
from torch import Tensor

from upnet.cli.operators import main
from upnet.gallery.example import public_operators
from upnet.upsample import Bicubic, Transposed

X = torch.tensor([[1.0, 2.0], [3.0, 4.0]], dtype=torch.float64)[None, None]


def counting(*shape: int) -> Tensor:
    return torch.arange(1.0, 1 + torch.Size(shape).numel(), dtype=torch.float64).view(shape)


EXPECTED = {
    "BedOfNails": torch.tensor([[1, 0, 2, 0], [0, 0, 0, 0], [3, 0, 4, 0], [0, 0, 0, 0]]),
    "Bicubic": Bicubic(1, 2).upsample_full(X),
    "Bilinear": F.interpolate(X, scale_factor=2, mode="bilinear"),
    "Nearest": torch.tensor([[1, 1, 2, 2], [1, 1, 2, 2], [3, 3, 4, 4], [3, 3, 4, 4]]),
    "PixelShuffle": F.pixel_shuffle(F.conv2d(X, counting(4, 1, 3, 3), padding=1), 2),
    "ResizeConv": F.conv2d(F.interpolate(X, scale_factor=2), counting(1, 1, 3, 3), padding=1),
    "Transposed": F.conv_transpose2d(X, counting(1, 1, 3, 3), stride=2, padding=1, output_padding=1),
}


@pytest.fixture(autouse=True)
def narrow(monkeypatch):
    """Set the width of a pipe."""
    monkeypatch.setenv("COLUMNS", "80")


def section(printed: str, name: str) -> list[str]:
    """The lines below the heading of an operator, up to the next heading."""
    lines = printed.splitlines()
    start = next(i for i, line in enumerate(lines) if re.match(rf"{name}\(.*─", line))
    end = next((i for i in range(start + 1, len(lines)) if "──" in lines[i]), len(lines))
    return lines[start + 1 : end]


def read_block(lines: list[str], title: str) -> Tensor:
    """The matrix printed in the last columns below a title; dots are zeros."""
    place, column = next((i, m.start()) for i, line in enumerate(lines) if (m := re.search(rf"(?<!\S){title}$", line)))
    rows: list[list[float]] = []
    for line in lines[place + 1 :]:
        cells = line[column:].replace("·", "0").split()
        if not cells:
            break
        rows.append([float(cell) for cell in cells])
    return torch.tensor(rows, dtype=torch.float64)


@pytest.mark.full
def test_module_prints_the_values_of_every_operator_without_importing_matplotlib():
    """Output into a pipe has no colours and no control characters."""
    code = "import atexit, runpy, sys; atexit.register(lambda: print(*sys.modules, file=sys.stderr)); "
    code += "runpy.run_module('upnet.upsample', run_name='__main__')"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, encoding="utf-8", check=True)
    assert "\x1b" not in done.stdout
    assert {*EXPECTED, "MaxUnpool"} <= set(public_operators())
    for name in public_operators():
        assert section(done.stdout, name)
    for name, expected in EXPECTED.items():
        printed = read_block(section(done.stdout, name), "y")
        torch.testing.assert_close(printed, expected.double().reshape(4, 4), rtol=0, atol=5.1e-5)
    imported = {name.partition(".")[0] for name in done.stderr.split()}
    assert "torch" in imported
    assert not imported & {"matplotlib", "skimage", "pytorch_lightning", "hydra"}


def test_piped_lines_have_at_most_80_columns(capsys):
    main([])
    assert max(len(line) for line in capsys.readouterr().out.splitlines()) <= 80


def test_transposed_is_printed_in_three_equal_views(capsys):
    main(["--operator", "Transposed"])
    lines = section(capsys.readouterr().out, "Transposed")
    y = EXPECTED["Transposed"].reshape(4, 4)
    assert torch.equal(read_block(lines, "F.conv2d of both"), y)
    assert torch.equal(read_block(lines, "interleaved"), y)
    assert " ".join(" ".join(lines).split()).count("The result equals y.") == 3


def test_printed_matrix_maps_the_printed_input_to_the_output(capsys):
    main(["--operator", "transposed", "--set", "kernel_size=4"])
    lines = section(capsys.readouterr().out, "Transposed")
    top = next(i for i, line in enumerate(lines) if "Cᵀ, 16 × 4" in line)
    rows = [line.replace("·", "0").replace("→", "").split() for line in lines[top + 1 :]]
    table = [[float(cell) for cell in row] for row in rows[: rows.index([]) + 15] if row][:16]
    matrix = torch.tensor([row[:4] for row in table])
    x = torch.tensor([row[4] for row in table[:4]])
    product = torch.tensor([row[-1] for row in table])
    operator = Transposed(1, 2, kernel_size=4)
    with torch.no_grad():
        operator.conv.weight.copy_(counting(1, 1, 4, 4))
    assert torch.equal(matrix, operator.matrix(2, 2))
    assert torch.equal(matrix @ x, product)


def test_zero_inserted_input_is_printed(capsys):
    main(["--operator", "Transposed"])
    printed = capsys.readouterr().out
    top = printed.splitlines().index(next(line for line in printed.splitlines() if "zero_inserted(x)" in line))
    grid = [line[2:13] for line in printed.splitlines()[top + 1 : top + 7]]
    dots = "· · · · · ·"
    assert grid == [dots, "· 1 · 2 · ·", dots, "· 3 · 4 · ·", dots, dots]


def test_max_unpooling_prints_consistent_indices_and_output(capsys):
    main(["--operator", "max_unpool", "--input", "5 -1 2; 0.5 3 4"])
    lines = section(capsys.readouterr().out, "MaxUnpool")
    y = read_block(lines, "y")
    assert y.shape == (4, 6)
    values, counts = y.unique(return_counts=True)
    assert values.tolist() == [-1, 0, 0.5, 2, 3, 4, 5]
    assert counts.tolist() == [1, 18, 1, 1, 1, 1, 1]
    positions = [int(cell) for line in lines for cell in line.split() if cell.isdigit() and int(cell) > 5]
    assert set(positions) <= set(range(24))


def test_operators_without_fractional_scales_are_listed_as_not_shown(capsys):
    main(["--scale", "1.5"])
    printed = " ".join(capsys.readouterr().out.split())
    integer = [name for name, operator in public_operators().items() if not operator.fractional]
    assert f"Not shown, since they need an integer scale: {', '.join(integer)}." in printed
    assert not any(f"{name}(channels" in printed for name in integer)


def test_scale_one_inserts_no_zeros(capsys):
    main(["--operator", "Transposed", "--scale", "1"])
    printed = " ".join(capsys.readouterr().out.split())
    assert "An ordinary convolution of the zero-padded input; scale 1 inserts no zeros." in printed


@pytest.mark.parametrize("scale", ["3", "4", "7", "2.5"])
def test_other_scales_and_inputs_are_printed(scale, capsys):
    assert main(["--scale", scale, "--input", "0 1e3 -2.5"]) == 0
    assert "Bilinear(channels=1" in capsys.readouterr().out


def test_settings_are_passed_to_the_operator(capsys):
    main(["--operator", "ResizeConv", "--set", "fixed=BedOfNails", "--set", "kernel_size=1"])
    printed = read_block(section(capsys.readouterr().out, "ResizeConv"), "y")
    assert torch.equal(printed, EXPECTED["BedOfNails"].double())


def test_user_defined_operator_is_found_by_its_import_path(tmp_path, monkeypatch, capsys):
    source = '''"""Twice: nearest, and twice as bright."""
from upnet.upsample import Nearest

class Twice(Nearest):
    def expand(self, x, site):
        return 2 * super().expand(x, site)
'''
    (tmp_path / "students_module.py").write_text(source, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    main(["--operator", "students_module.Twice"])
    lines = section(capsys.readouterr().out, "Twice")
    assert "Twice: nearest, and twice as bright." in lines[0]
    assert torch.equal(read_block(lines, "y"), 2 * EXPECTED["Nearest"].double())


INVALID = {
    "unknown operator": (["--operator", "Transpose"], "Did you mean Transposed?"),
    "not an operator": (["--operator", "os.system"], "operator=os.system: is not an operator"),
    "the abstract base class": (["--operator", "upnet.upsample.Upsampler"], "is not an operator"),
    "missing module": (["--operator", "no_such_module.Operator"], "No module named 'no_such_module'"),
    "not a path": (["--operator", ".."], "operator=..: cannot be imported"),
    "scale zero": (["--scale", "0"], "from 1 to 16; got '0'"),
    "scale nan": (["--scale", "nan"], "from 1 to 16; got 'nan'"),
    "scale huge": (["--scale", "1e9"], "from 1 to 16; got '1e9'"),
    "scale in words": (["--scale", "two"], "from 1 to 16; got 'two'"),
    "fractional scale": (["--operator", "Transposed", "--scale", "1.5"], "needs an integer scale"),
    "words for numbers": (["--input", "one two"], "must be numbers"),
    "ragged rows": (["--input", "1 2; 3"], "the same number of values in each row"),
    "no numbers": (["--input", ""], "the same number of values in each row"),
    "not finite": (["--input", "1 inf"], "finite numbers"),
    "too many": (["--input", "1 " * 65], "at most 64"),
    "setting without operator": (["--set", "a=-0.75"], "Choose the operator by --operator NAME"),
    "setting unknown": (
        ["--operator", "Bicubic", "--set", "b=1"],
        "b: Bicubic has no such setting. Allowed: kernel or a",
    ),
    "operator without settings": (["--operator", "Nearest", "--set", "b=1"], "Allowed: none"),
    "setting without value": (["--operator", "Bicubic", "--set", "a"], "SETTING=VALUE"),
    "setting out of range": (["--operator", "Bicubic", "--set", "a=3"], "a number in [-1, 0]"),
    "setting of a wrong type": (["--operator", "Bicubic", "--set", "a=x"], "cannot be built with {'a': 'x'}"),
    "kernel too small": (
        ["--operator", "Transposed", "--set", "kernel_size=1"],
        "needs a kernel at least as large as the scale",
    ),
    "figure in a missing folder": (["--figure", "no/such/folder/out.png"], "there is no folder"),
    "figure of another format": (["--figure", "out.jpg"], "must end in .png"),
    "unknown option": (["--operators", "x"], "unrecognized arguments"),
}


@pytest.mark.parametrize(("arguments", "message"), INVALID.values(), ids=INVALID.keys())
def test_invalid_arguments_are_one_line_and_exit_code_two(arguments, message, capsys):
    assert main(arguments) == 2
    printed = capsys.readouterr()
    assert message in printed.err
    assert printed.err.count("\n") == 1
    assert printed.out == ""


def test_folder_as_figure_is_rejected_and_not_changed(tmp_path, capsys):
    folder = tmp_path / "folder.png"
    folder.mkdir()
    assert main(["--figure", str(folder)]) == 2
    assert "is a folder. Name a file in it" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == [folder]


def test_full_disk_is_reported_in_one_line_with_exit_code_one(tmp_path, monkeypatch, capsys):
    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("upnet.gallery.figure.save_figure", fail)
    assert main(["--operator", "Nearest", "--figure", str(tmp_path / "out.png")]) == 1
    assert "out.png cannot be written: No space left on device\n" in capsys.readouterr().err


def test_help_lists_every_option_and_operator(capsys):
    assert main(["--help"]) == 0
    printed = capsys.readouterr().out
    assert all(
        word in printed for word in ("--scale", "--input", "--operator", "--set", "--figure", "--seed", "examples:")
    )
    assert all(name in printed for name in public_operators())
