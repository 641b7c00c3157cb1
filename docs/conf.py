"""Sphinx configuration: `sphinx-build -W docs site`. The site needs no network to be read."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parent.parent))

import latex2mathml.converter
from docstrings import to_rst
from pages import write_pages

from upnet.utils.provenance import VERSION

project = "upnet"
author = "The upnet authors"
copyright = "The upnet authors. Apache-2.0"
version = release = VERSION

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx_copybutton"]
myst_enable_extensions = ["dollarmath", "attrs_inline"]
myst_heading_anchors = 3
exclude_patterns = ["_static"]
html_theme = "furo"
html_title = "upnet"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_math_renderer = "mathml"
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_mock_imports: list[str] = []
python_maximum_signature_line_length = 90
nitpicky = False
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True


def setup(app) -> None:
    """Generate the pages that follow from the folders of operators, configs and modules, and register the hooks."""
    write_pages(Path(app.srcdir))
    app.connect("autodoc-process-docstring", to_rst)

    def inline(translator, node) -> None:
        translator.body.append(latex2mathml.converter.convert(node.astext()))
        raise_skip()

    def display(translator, node) -> None:
        translator.body.append(latex2mathml.converter.convert(node.astext(), display="block"))
        raise_skip()

    def raise_skip() -> None:
        from docutils.nodes import SkipNode

        raise SkipNode

    # MathML is rendered by the browser itself, where MathJax would load scripts and fonts from a server.
    app.add_html_math_renderer("mathml", inline_renderers=(inline, None), block_renderers=(display, None))
