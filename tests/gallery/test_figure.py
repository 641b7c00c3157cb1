"""The figure of operators: all are drawn, no text overlaps, files are written atomically."""

import itertools

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from PIL import Image

from upnet.cli.operators import main
from upnet.gallery.example import build_example, public_operators
from upnet.gallery.figure import draw_figure, load_image_pair, match_contrast, save_figure, upsample_image
from upnet.upsample import Bilinear, MaxUnpool, Transposed


def draw_operators(scale: float) -> Figure:
    torch.manual_seed(0)
    operators = [operator for operator in public_operators().values() if scale == int(scale) or operator.fractional]
    return draw_figure([build_example(operator, scale, {}) for operator in operators], scale, seed=0)


@pytest.fixture(scope="module")
def figure() -> Figure:
    return draw_operators(2)


@pytest.mark.full
def test_command_draws_every_operator_into_a_png(tmp_path, capsys):
    path = tmp_path / "operators.png"
    assert main(["--figure", str(path)]) == 0
    assert "operators.png, 2000 ×" in " ".join(capsys.readouterr().out.split())
    with Image.open(path) as image:
        image.load()
        assert image.format == "PNG"
        assert image.width == 2000
        assert all(f"{name}: " in image.info["Description"] for name in public_operators())
        assert np.asarray(image.convert("L")).std() > 30
    assert [file.name for file in tmp_path.iterdir()] == ["operators.png"]


def test_every_operator_has_a_name_and_four_images(figure):
    texts = [text.get_text() for text in figure.texts]
    assert all(name in texts for name in public_operators())
    images = [axes for axes in figure.axes if axes.get_position().width * 2000 == pytest.approx(336)]
    bars = 3
    assert len(images) == 4 * (len(public_operators()) + 1) + bars


@pytest.mark.rotating
@pytest.mark.parametrize("scale", [2, 3, 1.5])
def test_texts_and_images_do_not_overlap_and_are_inside_the_figure(scale, figure):
    tested = figure if scale == 2 else draw_operators(scale)
    boxes = [(text.get_text(), text.get_window_extent()) for text in tested.texts if text.get_text()]
    boxes += [("image", axes.get_window_extent()) for axes in tested.axes]
    for (text, box), (other_text, other) in itertools.combinations(boxes, 2):
        separate = box.x1 <= other.x0 or other.x1 <= box.x0 or box.y1 <= other.y0 or other.y1 <= box.y0
        assert separate, f"{text!r} overlaps {other_text!r}"
    for text, box in boxes:
        assert 0 < box.x0 < box.x1 < tested.bbox.width, text
        assert 0 < box.y0 < box.y1 < tested.bbox.height, text


def test_failed_write_raises_and_leaves_no_file(tmp_path, figure):
    taken = tmp_path / "taken.png"
    taken.mkdir()
    with pytest.raises(OSError, match=r"taken\.png"):
        save_figure(figure, taken, [])
    assert list(tmp_path.iterdir()) == [taken]


def test_equal_seeds_draw_equal_figures(tmp_path, capsys):
    paths = [tmp_path / f"{name}.png" for name in "abc"]
    for path, seed in zip(paths, ("3", "3", "4"), strict=True):
        main(["--operator", "PixelShuffle", "--seed", seed, "--figure", str(path)])
    first, again, other = (np.asarray(Image.open(path)) for path in paths)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("scale", [1, 2, 3, 5, 1.14, 1.5])
def test_example_image_pair_fits_every_scale(scale):
    pair = load_image_pair(scale)
    assert upsample_image(Bilinear(1, scale).double(), pair).shape == pair.hr.shape == (3, 84, 84)


def test_max_unpooling_of_the_example_restores_the_maxima_of_hr():
    pair = load_image_pair(2)
    out = upsample_image(MaxUnpool(1, 2).double(), pair)
    assert torch.equal(out[out != 0], pair.hr[out != 0])
    blocks = out.unfold(1, 2, 2).unfold(2, 2, 2).amax((-1, -2))
    assert torch.equal(blocks, pair.hr.unfold(1, 2, 2).unfold(2, 2, 2).amax((-1, -2)))


def test_match_contrast_gives_the_mean_and_standard_deviation_of_the_reference():
    pair = load_image_pair(2)
    out = match_contrast(upsample_image(Transposed(1, 2).double(), pair), pair.hr).detach()
    assert out.mean().item() == pytest.approx(pair.hr.mean().item())
    assert out.std().item() == pytest.approx(pair.hr.std().item())
