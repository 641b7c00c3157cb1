"""One page per operator, from its config, the docstring of its class, and figures that the operator draws itself."""

import inspect
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import torch
from docstrings import ARGUMENT, paragraphs, render
from figures import draw_input, draw_operator
from signatures import load, settings_table

from upnet.upsample import Upsampler
from upnet.utils.paths import CONFIGS

SYMBOLS = {
    "x": "is the input",
    "y": "is the output",
    "s": "is the scale",
    "n": "is an input position (row, column), counted from 0",
    "o": "is an output position",
    "u": "is the position of output pixel $o$ in input pixels",
    "k": "is the weight of an input pixel at a distance of $t$ pixels",
    "W": "are weights",
    "b": "is a bias",
    "j": "is an output channel",
    "i": "is an input channel",
}
"""Symbols with the same meaning in most formulas. A class explains others, or another meaning, after `Symbols:`."""
_NO_SYMBOL = re.compile(r"\.\. math::|\\(text|operatorname|mathrm|begin|end)\{[^}]*\}|\\[A-Za-z]+")
"""Parts of a formula whose letters are no symbols: directives, text and commands."""


def operator_pages(folder: Path) -> Iterator[tuple[str, str]]:
    """Name and text of each page, and of the index; the figures are written to the folder."""
    names = sorted(path.stem for path in (CONFIGS / "model/upsampler").glob("*.yaml"))
    rows = []
    for name in names:
        config = (CONFIGS / f"model/upsampler/{name}.yaml").read_text(encoding="utf-8")
        target = re.search(r"^_target_: (\S+)$", config, re.MULTILINE)
        assert target is not None, name
        operator = load(target[1])
        summary = (inspect.getdoc(import_module(operator.__module__)) or "").partition("\n\n")[0].replace("\n", " ")
        figures = draw_operator(operator, folder, name)
        rows.append(_row(name, operator, summary))
        yield name, _page(name, operator, summary, config, figures)
    yield "index", _index(names, rows, draw_input(folder))


def _page(name: str, operator: type[Upsampler], summary: str, config: str, figures: dict[str, str]) -> str:
    kinds = _sort_paragraphs(operator)
    formula = "\n".join(kinds["formula"])
    parts = [f"# {name}", summary]
    if formula:
        parts += ["## Formula", _rst(kinds["formula"]), _symbols(formula, " ".join(kinds["symbols"]))]
    parts += ["## Response", _panels(figures), _rst(kinds["text"])]
    if kinds["source"]:
        parts += ["## Paper", _rst(kinds["source"])]
    parts += [
        "## Settings",
        f"```bash\nupnet train model/upsampler={name}\n```",
        f"`configs/model/upsampler/{name}.yaml`:\n\n```yaml\n{config}```",
        settings_table(operator),
        _rst(kinds["raises"]),
    ]
    if kinds["example"]:
        parts += ["## Example", _rst(kinds["example"])]
    package, anchor = operator.__module__.rpartition(".")[0], operator.__module__.replace(".", "")
    parts.append(f"For the methods see the API of [{operator.__module__}](../../reference/api/{package}.md#{anchor}).")
    return "\n\n".join(part for part in parts if part) + "\n"


def _symbols(formula: str, declared: str) -> str:
    """A sentence that explains every letter of a formula. Raises ValueError if a letter has no explanation.

    declared: the paragraph `Symbols: p is the padding; V, W are the kernels.` of a class, or "".
    """
    meanings: dict[str, str] = {}
    for item in declared.removeprefix("Symbols:").strip().rstrip(".").split("; ") if declared else []:
        symbol, verb, meaning = re.split(r" (is|are) ", item, maxsplit=1)
        meanings[symbol] = f"{verb} {meaning}"
    letters = set(re.findall("[A-Za-z]", _NO_SYMBOL.sub("", formula)))
    own = {symbol[0] for symbols in meanings for symbol in symbols.split(", ")}
    common = {letter: meaning for letter, meaning in SYMBOLS.items() if letter in letters - own}
    unexplained = letters - set("".join([*meanings, *common])) - set("t" if "k" in common else "")
    if unexplained:
        raise ValueError(f"nothing explains {', '.join(sorted(unexplained))} in {formula}")
    sentences = [f"${_latex(symbol)}$ {meaning}" for symbol, meaning in (common | meanings).items()]
    sentences += ["the subscripts 1 and 2 are the two axes"] * ("_1" in formula)
    sentences += [r"$\ast$ is a 2-D convolution"] * (r"\ast" in formula)
    return f"{'; '.join(sentences)}."


def _latex(symbol: str) -> str:
    """Words and subscripts of several letters become upright; Greek letters become commands."""
    return re.sub(r"[A-Za-z]{2,}", r"\\text{\g<0>}", symbol).replace("Δ", r"\Delta")


def _sort_paragraphs(operator: type[Upsampler]) -> dict[str, list[str]]:
    """The docstring's paragraphs by what they hold, as lines of reStructuredText."""
    kinds: dict[str, list[str]] = {kind: [] for kind in ("formula", "symbols", "text", "raises", "source", "example")}
    for paragraph in paragraphs((inspect.getdoc(operator) or "").splitlines()):
        first = paragraph[0]
        if first.startswith(".. math::"):
            kind = "formula"
        elif first.startswith(">>>"):
            kind = "example"
        elif first.startswith("Symbols:"):
            kinds["symbols"] += [line.strip() for line in paragraph]
            continue
        elif re.match(r"Sources?:", first):
            kind = "source"
        elif ARGUMENT.fullmatch(first):
            continue
        elif first.startswith("Raises "):
            kind = "raises"
        else:
            kind = "text"
        kinds[kind] += render([re.sub(r"^Sources?: ", "", first), *paragraph[1:]])
    return kinds


def _rst(lines: list[str]) -> str:
    return "```{eval-rst}\n" + "\n".join(lines).strip("\n") + "\n```" if lines else ""


def _panels(figures: dict[str, str]) -> str:
    """Figures with captions, in as many columns as fit the window."""
    items = [
        f"```{{figure}} {file}\n:alt: {re.split(r'[.:]', caption.replace('*', ''))[0]}\n\n{caption}\n```"
        for file, caption in figures.items()
    ]
    return "````{container} panels\n" + "\n".join(items) + "\n````"


@torch.no_grad()
def _row(name: str, operator: type[Upsampler], summary: str) -> str:
    """A row of the index: what the operator declares, with 64 channels at scale 2."""
    built = operator(channels=64, scale=2)
    weights = sum(parameter.numel() for parameter in built.parameters())
    support = built.support_size
    output = (summary.partition(": ")[2] or summary).rstrip(".")
    reads = ", ".join(sorted(operator.requires)) or "–"
    kind = "predicted from the input" if operator.content_adaptive else "learned" if weights else "fixed"
    return (
        f"| [{name}]({name}.md) | {f'{weights:,}'.replace(',', ' ')} | {kind} | "
        f"{'all' if support is None else support} | "
        f"{'any' if operator.fractional else 'integer'} | {reads} | {output[0].upper()}{output[1:]} |"
    )


def _index(names: list[str], rows: list[str], figures: dict[str, str]) -> str:
    impulses = "\n".join(
        f"```{{figure}} {name}-impulse.png\n:alt: Impulse response of {name}\n:target: {name}.html\n\n{name}\n```"
        for name in names
    )
    return (
        "# Operators\n\nAn operator maps a feature map (N, C, h, w) to the s times larger grid. The page of an "
        "operator shows its formula, its output for an image, its impulse response, its paper and its settings.\n\n"
        "## Impulse responses\n\nThe output for a single LR pixel at scale 2. Red is positive, blue negative. "
        f"Operators with weights are shown as initialised.\n\n````{{container}} panels small\n{impulses}\n````\n\n"
        "## Properties\n\nParameters are counted for 64 channels and scale 2. The support is the number of LR pixels "
        "that an output pixel depends on.\n\n"
        "````{container} meanings\n| operator | parameters | weights | support | scales | requires | output |\n"
        "|---|--:|---|--:|---|---|---|\n"
        + "\n".join(rows)
        + "\n````"
        + f"\n\n## The image of all pages\n\n{_panels(figures)}\n\n"
        "```{toctree}\n:hidden:\n\n" + "\n".join(names) + "\n```\n"
    )
