"""Names in figures are text, drawn by a font that has their letters."""

import io
import warnings

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font

from upnet.evaluation import figure_text as lettering
from upnet.evaluation.figure_text import apply_fallback_fonts, escape_missing_glyphs, no_math_text

ONLY_IN_STIX = "\u1d81"  # a letter of Latin that DejaVu Sans, the default font, lacks


def drawn(text: str) -> np.ndarray:
    """A figure with nothing but a text in it, as pixels; a warning is an error."""
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


def test_dollar_signs_begin_no_formula() -> None:
    from matplotlib import rc_context

    with rc_context({"text.parse_math": False}):
        expected = drawn("A$x_$y")
    assert np.array_equal(drawn("A$x_$y"), expected)
    assert not np.array_equal(drawn("$x$"), drawn("x"))


@pytest.mark.parametrize(
    "text", ["A$x_$y", "$\\frac{1}$", "caf\\xe9", "照片", "😀", "日本語 한국어 עברית العربية", "a\nb"]
)
def test_no_name_raises_or_warns(text: str) -> None:
    assert drawn(text).min() < 255


def test_a_letter_that_the_default_font_lacks_is_drawn_by_one_that_has_it() -> None:
    assert not get_font(findfont(FontProperties())).get_char_index(ord(ONLY_IN_STIX))
    assert escape_missing_glyphs(ONLY_IN_STIX) == ONLY_IN_STIX
    with no_math_text():
        figure = Figure()
        text = figure.suptitle(ONLY_IN_STIX)
    apply_fallback_fonts(figure)
    fonts = [get_font(findfont(FontProperties(family=[name]))) for name in text.get_fontfamily()]
    assert any(font.get_char_index(ord(ONLY_IN_STIX)) for font in fonts)


def test_a_letter_that_no_font_has_is_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lettering, "_family_cache", {"照": None})
    assert escape_missing_glyphs("a照b") == "a\\u7167b"
