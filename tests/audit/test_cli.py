"""The command: clean sets pass, every planted fault is named, wrong use says so."""

import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from upnet.cli.arguments import command_parser, run_parsed
from upnet.cli.audit import add_parser
from upnet.imaging.imresize import imresize

Save = Callable[[Path, np.ndarray], None]


def audit(*arguments: object) -> int:
    parser = command_parser("upnet data", "")
    add_parser(parser.add_subparsers())
    return run_parsed(parser, ["audit", *map(str, arguments)])


@pytest.fixture
def paired(tmp_path: Path, photographs: dict[str, np.ndarray], save: Save) -> Path:
    """Four pairs of scale 2 without a fault."""
    root = tmp_path / "paired"
    for name in ("astronaut", "chelsea", "coffee", "coins"):
        save(root / "HR" / f"{name}.png", photographs[name])
        save(root / "LR_bicubic" / "X2" / f"{name}x2.png", _reduced(photographs[name]))
    return root


def _reduced(picture: np.ndarray) -> np.ndarray:
    cut = picture[: picture.shape[0] // 2 * 2, : picture.shape[1] // 2 * 2]
    return imresize(cut, Fraction(1, 2))


def _kinds(file: Path) -> list[str]:
    return [finding["kind"] for finding in json.loads(file.read_text(encoding="utf-8"))["findings"]]


def test_a_set_without_faults_passes(paired: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert audit(paired, "--json", tmp_path / "r.json") == 0
    assert "No defects found" in capsys.readouterr().out
    report = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))
    assert report["clean"]
    assert (report["pictures"], report["scales"]) == (4, [2])


def test_the_other_border_is_a_fault_only_where_it_is_not_expected(paired: Path, tmp_path: Path) -> None:
    assert audit(paired, "--resizing", "imresize-symmetric") == 0
    assert audit(paired, "--resizing", "imresize-replicate", "--json", tmp_path / "r.json") == 1
    assert _kinds(tmp_path / "r.json") == ["resizing"]
    assert audit(paired, "--resizing", "any") == 0


def test_lr_made_by_something_else_is_named_with_what_made_it(
    paired: Path, photographs: dict[str, np.ndarray], save: Save, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = photographs["coffee"][:256, :384]
    nearest = np.asarray(Image.fromarray(picture).resize((192, 128), Image.Resampling.LANCZOS))
    save(paired / "HR" / "coffee.png", picture)
    save(paired / "LR_bicubic" / "X2" / "coffeex2.png", nearest)
    assert audit(paired) == 1
    output = capsys.readouterr().out
    assert "1 of 4 LR images was not made by imresize with either border: coffee" in output
    assert "Pillow's Lanczos" in output


def test_shift_sizes_names_and_swapped_partners_are_all_found(
    paired: Path, photographs: dict[str, np.ndarray], save: Save, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lr = paired / "LR_bicubic" / "X2"
    save(lr / "chelseax2.png", photographs["chelsea"][: 2 * 128 : 2, : photographs["chelsea"].shape[1] // 2 * 2 : 2])
    save(lr / "coinsx2.png", _reduced(photographs["coins"])[:-1])
    cat = Image.fromarray(photographs["rocket"]).resize((256, 256))
    save(lr / "astronautx2.png", _reduced(np.asarray(cat)))
    save(paired / "HR" / "lonely.png", photographs["camera"])
    (paired / "HR" / "broken.png").write_bytes(b"no picture")
    save(lr / "brokenx2.png", _reduced(photographs["camera"]))
    assert audit(paired, "--json", tmp_path / "r.json") == 1
    assert set(_kinds(tmp_path / "r.json")) == {"unreadable", "pairs", "sizes", "resizing", "shift"}
    output = capsys.readouterr().out
    assert "lonely" in output
    assert "The LR image of astronaut" in output
    assert "chelsea (" in output


def test_copies_within_and_evaluation_pictures_are_named(
    tmp_path: Path, photographs: dict[str, np.ndarray], save: Save, capsys: pytest.CaptureFixture[str]
) -> None:
    train, evaluation = tmp_path / "train", tmp_path / "evaluation"
    for name in ("coffee", "coins", "camera"):
        save(train / f"{name}.png", photographs[name])
    save(train / "again.jpg", photographs["coins"])
    save(train / "same.png", photographs["camera"])
    save(evaluation / "cup.jpg", photographs["coffee"][30:230, 80:330][:, ::-1])
    save(evaluation / "other.png", photographs["astronaut"])
    assert audit(train, "--against", evaluation, "--json", tmp_path / "r.json") == 1
    assert _kinds(tmp_path / "r.json") == ["duplicates", "duplicates", "leakage"]
    output = capsys.readouterr().out
    assert "camera, same are equal in every pixel" in output
    assert "again and coins show the same content" in output
    assert "cup of evaluation is among the images of this folder: coffee (" in output
    assert "other" not in output


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["nowhere"], "there is no folder nowhere"),
        (["{paired}", "--scale", "3"], "--scale=3: paired has no LR images of this scale. Allowed: 2"),
        (["{paired}", "--scale", "0"], "--scale must be an integer of at least 1; got '0'"),
        (["{paired}", "--patch", "0"], "--patch must be an integer of at least 1; got '0'"),
        (["{paired}", "--against", "nowhere"], "there is no folder nowhere"),
        (["{paired}", "--json", "no/such/folder/r.json"], "there is no folder no/such/folder"),
    ],
)
def test_wrong_use_is_one_sentence_and_code_two(
    arguments: list[str], sentence: str, paired: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert audit(*[argument.format(paired=paired) for argument in arguments]) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert error.count("\n") == 1


def test_the_benchmark_sets_were_made_with_the_replicate_border(benchmark_sets: Path) -> None:
    assert audit(benchmark_sets / "Set5", "--resizing", "imresize-replicate", "--scale", "4") == 0


def test_set5_and_set14_share_a_face_and_a_butterfly(benchmark_sets: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert audit(benchmark_sets / "Set14", "--scale", "4", "--against", benchmark_sets / "Set5") == 1
    output = capsys.readouterr().out
    assert "img_004 of Set5 is among the images of this folder: img_006" in output
    assert "img_003 of Set5 is among the images of this folder: img_011" in output
    assert "2 findings." in output
