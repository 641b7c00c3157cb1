"""Names in figures are plain text, drawn in a font that has their glyphs."""

import io
import warnings

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font

from upnet.evaluation import figure_text
from upnet.evaluation.figure_text import apply_fallback_fonts, escape_missing_glyphs, no_math_text

ONLY_IN_STIX = "\u1d81"  # a Latin letter that is missing in DejaVu Sans, the default font


def draw(text: str) -> np.ndarray:
    """The pixels of a figure that contains only a text; a warning is an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with no_math_text():
            figure = Figure(figsize=(4, 1))
            canvas = FigureCanvasAgg(figure)
            figure.suptitle(text)
        apply_fallback_fonts(figure)
        figure.savefig(io.BytesIO(), format="png")
        canvas.draw()
        return np.asarray(canvas.buffer_rgba()).copy()


def test_dollar_signs_are_plain_text() -> None:
    from matplotlib import rc_context

    with rc_context({"text.parse_math": False}):
        expected = draw("A$x_$y")
    assert np.array_equal(draw("A$x_$y"), expected)
    assert not np.array_equal(draw("$x$"), draw("x"))


@pytest.mark.parametrize(
    "text", ["A$x_$y", "$\\frac{1}$", "caf\\xe9", "照片", "😀", "日本語 한국어 עברית العربية", "a\nb"]
)
def test_special_characters_are_drawn_without_warnings(text: str) -> None:
    assert draw(text).min() < 255


def test_glyph_missing_in_the_default_font_is_drawn_in_a_fallback_font() -> None:
    assert not get_font(findfont(FontProperties())).get_char_index(ord(ONLY_IN_STIX))
    assert escape_missing_glyphs(ONLY_IN_STIX) == ONLY_IN_STIX
    with no_math_text():
        figure = Figure()
        text = figure.suptitle(ONLY_IN_STIX)
    apply_fallback_fonts(figure)
    fonts = [get_font(findfont(FontProperties(family=[name]))) for name in text.get_fontfamily()]
    assert any(font.get_char_index(ord(ONLY_IN_STIX)) for font in fonts)


def test_glyph_missing_in_all_fonts_is_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figure_text, "_family_cache", {"照": None})
    assert escape_missing_glyphs("a照b") == "a\\u7167b"
