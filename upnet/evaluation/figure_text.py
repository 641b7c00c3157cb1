"""Text in matplotlib figures: names are drawn literally, in installed fonts that contain their characters."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NO_MATH_TEXT: dict[Any, Any] = {"text.parse_math": False, "text.usetex": False}
"""matplotlib settings under which a dollar sign starts no formula."""

_PLACEHOLDER_FONTS = "Last Resort"
"""Prefix of fonts that draw a box for every character; matplotlib ships one."""


@contextmanager
def no_math_text() -> Iterator[None]:
    """Create figures whose texts are names, not formulas; call `apply_fallback_fonts` before the figure is saved."""
    import matplotlib as mpl

    with mpl.rc_context(NO_MATH_TEXT):
        yield


def escape_missing_glyphs(text: str) -> str:
    """Escape each character that no installed font can draw: "\\u7167" if no Chinese font is installed.

    >>> escape_missing_glyphs("baby")
    'baby'
    """
    families = _fallback_families(text)
    return "".join(
        char.encode("unicode_escape").decode("ascii") if families.get(char, "") is None else char for char in text
    )


def apply_fallback_fonts(figure: "Figure") -> None:
    """Give every text of a figure fonts that have its characters, and escape characters that no font has.

    Tick labels that were set to names must be passed through `escape_missing_glyphs` before, because an axis sets its
    labels again when it is drawn.
    """
    from matplotlib import rcParams
    from matplotlib.text import Text

    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            axis.get_ticklabels()  # creates the labels that don't exist yet
    for text in figure.findobj(Text):
        if families := _fallback_families(text.get_text()):
            fallbacks = dict.fromkeys(family for family in families.values() if family is not None)
            text.set_text(escape_missing_glyphs(text.get_text()))
            text.set_fontfamily([*rcParams["font.family"], *fallbacks])


_family_cache: dict[str, str | None] = {}
"""Character that the default font lacks -> family of a font that has it; None if no font has it."""


def _fallback_families(text: str) -> dict[str, str | None]:
    """`_family_cache` for the characters of a text. Each font file is opened once for all missing characters."""
    from matplotlib.font_manager import FontProperties, findfont, fontManager

    default = findfont(FontProperties())
    missing = {char for char in text if char != "\n" and not _has_glyph(default, char)}
    unresolved = missing - _family_cache.keys()
    for entry in fontManager.ttflist:
        if not unresolved:
            break
        if entry.style != "normal" or entry.name.startswith(_PLACEHOLDER_FONTS):
            continue
        supported = {char for char in unresolved if _has_glyph(entry.fname, char)}
        if supported:
            # A figure names the family, and matplotlib may choose another file of that family.
            family_file = findfont(FontProperties(family=[entry.name]))
            supported = {char for char in supported if _has_glyph(family_file, char)}
        _family_cache.update(dict.fromkeys(supported, entry.name))
        unresolved -= supported
    _family_cache.update(dict.fromkeys(unresolved))
    return {char: _family_cache[char] for char in sorted(missing)}


def _has_glyph(path: str, char: str) -> bool:
    """Whether matplotlib can draw a character with a font file. Colour bitmap fonts (emoji) list it but can't draw."""
    from matplotlib.font_manager import get_font

    try:
        font = get_font(path)
        if not font.get_char_index(ord(char)):
            return False
        font.set_size(10, 72)
        font.load_char(ord(char))
    except (OSError, RuntimeError):
        return False
    return True
