"""Text in matplotlib figures: plain text, in installed fonts that have its letters."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NO_MATH_TEXT: dict[Any, Any] = {"text.parse_math": False, "text.usetex": False}
"""Settings under which a dollar sign in a name begins no formula."""

_PLACEHOLDERS = "Last Resort"
"""Fonts that draw a box for every letter; matplotlib ships one."""


@contextmanager
def no_math_text() -> Iterator[None]:
    """Make a figure whose texts are names, not formulas; `letter` chooses their fonts before the figure is saved."""
    import matplotlib as mpl

    with mpl.rc_context(NO_MATH_TEXT):
        yield


def escape_missing_glyphs(text: str) -> str:
    """The text with each letter escaped that no installed font has: "\\u7167\\u7247" without a Chinese font."""
    families = _families(text)
    return "".join(
        sign.encode("unicode_escape").decode("ascii") if families.get(sign, "") is None else sign for sign in text
    )


def apply_fallback_fonts(figure: "Figure") -> None:
    """Give every text of a figure fonts that have its letters, and escape letters that none has.

    Tick labels that were set to names have to be `drawable` already, since an axis sets them again when it is drawn.
    """
    from matplotlib import rcParams
    from matplotlib.text import Text

    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            axis.get_ticklabels()  # which makes those that aren't there yet
    for text in figure.findobj(Text):
        if families := _families(text.get_text()):
            further = dict.fromkeys(family for family in families.values() if family is not None)
            text.set_text(escape_missing_glyphs(text.get_text()))
            text.set_fontfamily([*rcParams["font.family"], *further])


_found: dict[str, str | None] = {}
"""The family of a font by letter that the default font lacks; None for letters that no font has."""


def _families(text: str) -> dict[str, str | None]:
    """The same, of the letters of a text. Each font is opened once for all letters that are looked for."""
    from matplotlib.font_manager import FontProperties, findfont, fontManager

    default = findfont(FontProperties())
    lacking = {sign for sign in text if sign != "\n" and not _draws(default, sign)}
    wanted = lacking - _found.keys()
    for entry in fontManager.ttflist:
        if not wanted:
            break
        if entry.style == "normal" and not entry.name.startswith(_PLACEHOLDERS):
            drawn = {sign for sign in wanted if _draws(entry.fname, sign)}
            if drawn:
                # A family is named in a figure, and matplotlib may take another file of it.
                taken = findfont(FontProperties(family=[entry.name]))
                drawn = {sign for sign in drawn if _draws(taken, sign)}
            _found.update(dict.fromkeys(drawn, entry.name))
            wanted -= drawn
    _found.update(dict.fromkeys(wanted))
    return {sign: _found[sign] for sign in sorted(lacking)}


def _draws(path: str, sign: str) -> bool:
    """Whether matplotlib can draw a letter by a font: fonts of coloured images, as of emoji, have it and can't."""
    from matplotlib.font_manager import get_font

    try:
        font = get_font(path)
        if not font.get_char_index(ord(sign)):
            return False
        font.set_size(10, 72)
        font.load_char(ord(sign))
    except (OSError, RuntimeError):
        return False
    return True
