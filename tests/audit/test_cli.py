"""The command `upnet data audit`: clean sets pass, each defect is named, user errors are reported."""

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


def run_audit(*arguments: object) -> int:
    parser = command_parser("upnet data", "")
    add_parser(parser.add_subparsers())
    return run_parsed(parser, ["audit", *map(str, arguments)])


@pytest.fixture
def paired(tmp_path: Path, photographs: dict[str, np.ndarray], save: Save) -> Path:
    """The folder of four pairs of scale 2 without defects."""
    root = tmp_path / "paired"
    for name in ("astronaut", "chelsea", "coffee", "coins"):
        save(root / "HR" / f"{name}.png", photographs[name])
        save(root / "LR_bicubic" / "X2" / f"{name}x2.png", _downscale(photographs[name]))
    return root


def _downscale(image: np.ndarray) -> np.ndarray:
    hr = image[: image.shape[0] // 2 * 2, : image.shape[1] // 2 * 2]
    return imresize(hr, Fraction(1, 2))


def _finding_kinds(file: Path) -> list[str]:
    return [finding["kind"] for finding in json.loads(file.read_text(encoding="utf-8"))["findings"]]


def test_a_set_without_defects_passes(paired: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_audit(paired, "--json", tmp_path / "r.json") == 0
    assert "No defects found" in capsys.readouterr().out
    report = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))
    assert report["clean"]
    assert (report["pictures"], report["scales"]) == (4, [2])


def test_a_border_mode_other_than_the_expected_one_is_a_defect(paired: Path, tmp_path: Path) -> None:
    assert run_audit(paired, "--resizing", "imresize-symmetric") == 0
    assert run_audit(paired, "--resizing", "imresize-replicate", "--json", tmp_path / "r.json") == 1
    assert _finding_kinds(tmp_path / "r.json") == ["resizing"]
    assert run_audit(paired, "--resizing", "any") == 0


def test_an_lr_image_from_another_degradation_is_named_with_it(
    paired: Path, photographs: dict[str, np.ndarray], save: Save, capsys: pytest.CaptureFixture[str]
) -> None:
    image = photographs["coffee"][:256, :384]
    lanczos_lr = np.asarray(Image.fromarray(image).resize((192, 128), Image.Resampling.LANCZOS))
    save(paired / "HR" / "coffee.png", image)
    save(paired / "LR_bicubic" / "X2" / "coffeex2.png", lanczos_lr)
    assert run_audit(paired) == 1
    output = capsys.readouterr().out
    assert "1 of 4 LR images was not made by imresize with either border: coffee" in output
    assert "Pillow's Lanczos" in output


def test_shifts_wrong_sizes_missing_partners_and_swapped_images_are_found(
    paired: Path, photographs: dict[str, np.ndarray], save: Save, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lr = paired / "LR_bicubic" / "X2"
    save(lr / "chelseax2.png", photographs["chelsea"][: 2 * 128 : 2, : photographs["chelsea"].shape[1] // 2 * 2 : 2])
    save(lr / "coinsx2.png", _downscale(photographs["coins"])[:-1])
    other_image = Image.fromarray(photographs["rocket"]).resize((256, 256))
    save(lr / "astronautx2.png", _downscale(np.asarray(other_image)))
    save(paired / "HR" / "lonely.png", photographs["camera"])
    (paired / "HR" / "broken.png").write_bytes(b"no image")
    save(lr / "brokenx2.png", _downscale(photographs["camera"]))
    assert run_audit(paired, "--json", tmp_path / "r.json") == 1
    assert set(_finding_kinds(tmp_path / "r.json")) == {"unreadable", "pairs", "sizes", "resizing", "shift"}
    output = capsys.readouterr().out
    assert "lonely" in output
    assert "The LR image of astronaut" in output
    assert "chelsea (" in output


def test_duplicates_and_leaked_evaluation_images_are_named(
    tmp_path: Path, photographs: dict[str, np.ndarray], save: Save, capsys: pytest.CaptureFixture[str]
) -> None:
    train, evaluation = tmp_path / "train", tmp_path / "evaluation"
    for name in ("coffee", "coins", "camera"):
        save(train / f"{name}.png", photographs[name])
    save(train / "again.jpg", photographs["coins"])
    save(train / "same.png", photographs["camera"])
    save(evaluation / "cup.jpg", photographs["coffee"][30:230, 80:330][:, ::-1])
    save(evaluation / "other.png", photographs["astronaut"])
    assert run_audit(train, "--against", evaluation, "--json", tmp_path / "r.json") == 1
    assert _finding_kinds(tmp_path / "r.json") == ["duplicates", "duplicates", "leakage"]
    output = capsys.readouterr().out
    assert "camera, same are equal in every pixel" in output
    assert "again and coins show the same content" in output
    assert "cup of evaluation is among the images of this folder: coffee (" in output
    assert "other" not in output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "there is no folder nowhere"),
        (["{paired}", "--scale", "3"], "--scale=3: paired has no LR images of this scale. Allowed: 2"),
        (["{paired}", "--scale", "0"], "--scale must be an integer of at least 1; got '0'"),
        (["{paired}", "--patch", "0"], "--patch must be an integer of at least 1; got '0'"),
        (["{paired}", "--against", "nowhere"], "there is no folder nowhere"),
        (["{paired}", "--json", "no/such/folder/r.json"], "there is no folder no/such/folder"),
    ],
)
def test_user_errors_print_one_line_and_exit_with_2(
    arguments: list[str], message: str, paired: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_audit(*[argument.format(paired=paired) for argument in arguments]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_set5_lr_images_match_imresize_with_replicate_border(benchmark_sets: Path) -> None:
    assert run_audit(benchmark_sets / "Set5", "--resizing", "imresize-replicate", "--scale", "4") == 0


def test_set5_and_set14_share_two_images(benchmark_sets: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_audit(benchmark_sets / "Set14", "--scale", "4", "--against", benchmark_sets / "Set5") == 1
    output = capsys.readouterr().out
    assert "img_004 of Set5 is among the images of this folder: img_006" in output
    assert "img_003 of Set5 is among the images of this folder: img_011" in output
    assert "2 findings." in output
