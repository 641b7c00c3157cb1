"""Output names are unique, overwrite no source and stay inside the output folder."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from upnet.inference.output_names import _unique_names, make_output_folder, make_subfolder, plan_outputs


def create_images(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (2, 2)).save(path, format="PNG")


STEMS = st.sampled_from(["a", "A", "a.png", "a.jpg", "a.jpg.png", "é", "e\u0301", "b/a", "a.jpg-2"])
SUFFIXES = st.sampled_from([".png", ".PNG", ".jpg", ".tif", ".jpg.png"])


@given(st.sets(st.builds(lambda stem, suffix: Path(stem + suffix), STEMS, SUFFIXES), max_size=12))
def test_output_names_are_unique_on_every_file_system(paths: set[Path]) -> None:
    import unicodedata

    names = _unique_names(sorted(paths))
    folded = {unicodedata.normalize("NFC", name.as_posix()).casefold() for name in names}
    assert len(folded) == len(paths)
    assert all(name.suffix == ".png" for name in names)
    assert [name.parent for name in names] == [path.parent for path in sorted(paths)]


def test_nested_and_unusual_names_keep_their_folder_and_order(tmp_path: Path) -> None:
    names = ["-rf.png", "a b.png", "b/c/日本.jpg", "naïve\n.png", "~.tif", "z.PNG"]
    create_images(*(tmp_path / "in" / name for name in names))
    create_images(tmp_path / "in/.hidden.png", tmp_path / "in/.cache/a.png", tmp_path / "in/left.part")
    jobs = plan_outputs(tmp_path / "in", tmp_path / "out", 2).jobs
    relative = [source.relative_to(tmp_path / "in") for source, _ in jobs]
    assert relative == sorted(Path(name) for name in names)
    assert [output for _, output in jobs] == [tmp_path / "out" / path.with_suffix(".png") for path in relative]


def test_default_outputs_are_in_the_folder_of_the_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    create_images(tmp_path / "in/a.jpg")
    assert plan_outputs(tmp_path / "in/a.jpg", None, 3).jobs[0][1] == tmp_path / "in/a_x3.png"
    assert plan_outputs(tmp_path / "in", None, 3).folder == tmp_path / "in_x3"
    monkeypatch.chdir(tmp_path / "in")
    assert plan_outputs(Path("."), None, 3).folder == tmp_path / "in_x3"


def test_an_output_folder_inside_the_input_is_not_read(tmp_path: Path) -> None:
    create_images(tmp_path / "a.png", tmp_path / "large/a.png")
    assert plan_outputs(tmp_path, tmp_path / "large", 2).jobs == ((tmp_path / "a.png", tmp_path / "large/a.png"),)


def test_an_input_folder_inside_the_output_is_read(tmp_path: Path) -> None:
    create_images(tmp_path / "small/a.png")
    assert plan_outputs(tmp_path / "small", tmp_path, 2).jobs == ((tmp_path / "small/a.png", tmp_path / "a.png"),)


def test_overwriting_a_source_is_rejected(tmp_path: Path) -> None:
    create_images(tmp_path / "x/x/a.png", tmp_path / "x/a.png", tmp_path / "b.png")
    (tmp_path / "link.png").symlink_to(tmp_path / "b.png")
    with pytest.raises(ValueError, match="would overwrite"):
        plan_outputs(tmp_path / "x", tmp_path, 2)
    for source in ("b.png", "link.png"):
        with pytest.raises(ValueError, match="would overwrite"):
            plan_outputs(tmp_path / source, tmp_path / "b.png", 2)
    with pytest.raises(ValueError, match="is the input folder"):
        plan_outputs(tmp_path / "x", tmp_path / "x", 2)


def test_a_link_to_the_input_folder_adds_no_images(tmp_path: Path) -> None:
    create_images(tmp_path / "in/a.png")
    (tmp_path / "in/circle").symlink_to(tmp_path / "in")
    assert len(plan_outputs(tmp_path / "in", tmp_path / "out", 2).jobs) == 1


def test_a_link_out_of_the_output_folder_is_rejected(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out/deep").symlink_to(tmp_path / "elsewhere")
    for name in ("deep/a.png", "deep/deeper/a.png"):
        with pytest.raises(ValueError, match="is outside the output folder"):
            make_subfolder(tmp_path / "out", tmp_path / "out" / name)
    assert not list((tmp_path / "elsewhere").iterdir())
    (tmp_path / "also").symlink_to(tmp_path / "out")
    make_subfolder(tmp_path / "also", tmp_path / "also/new/a.png")
    assert (tmp_path / "out/new").is_dir()


@pytest.mark.parametrize("folder", ["file/out", "file"])
def test_an_unwritable_output_is_rejected(tmp_path: Path, folder: str) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ValueError, match=r"output=.*: cannot be written to: .*Set output to a folder"):
        make_output_folder(tmp_path / folder)
