"""Pages that follow from the code: one per operator, group of configs and package. A new file appears by itself.

They are written beside the pages that are written by hand, and are not committed.
"""

import inspect
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import torch

from upnet.gallery.example import prepare
from upnet.gallery.figure import draw, save
from upnet.upsample import Upsampler
from upnet.utils.paths import CONFIGS

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "upnet"


def write_pages(docs: Path) -> None:
    """Write explanation/operators/*.md, reference/configs/*.md and reference/api/*.md."""
    for folder, write in (
        ("explanation/operators", _operators),
        ("reference/configs", _configs),
        ("reference/api", _packages),
    ):
        target = docs / folder
        pages = dict(write(target))
        for old in target.glob("*.md"):
            if old.stem not in pages:
                old.unlink()
        for name, text in pages.items():
            _write(target / f"{name}.md", text)


def _write(path: Path, text: str) -> None:
    """Write a page unless it is there already, so that Sphinx doesn't build it again."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


def _operators(folder: Path) -> Iterator[tuple[str, str]]:
    names = sorted(path.stem for path in (CONFIGS / "model/upsampler").glob("*.yaml"))
    for name in names:
        config = (CONFIGS / f"model/upsampler/{name}.yaml").read_text(encoding="utf-8")
        target = re.search(r"^_target_: (\S+)$", config, re.MULTILINE)
        assert target is not None, name
        module, _, cls = target[1].rpartition(".")
        operator = getattr(import_module(module), cls)
        _draw(operator, folder / f"{name}.png")
        image = f"```{{image}} {name}.png\n:alt: Output, impulse response and spectra of {cls}\n:width: 100%\n```"
        summary = (inspect.getdoc(import_module(operator.__module__)) or "").splitlines()[0]
        yield (
            name,
            (
                f"# {name}\n\n{summary}\n\n"
                f"```bash\nupnet train model/upsampler={name}\nupnet operators --operator {cls}\n```\n\n"
                f"{image}\n\n## Settings\n\n`configs/model/upsampler/{name}.yaml`:\n\n```yaml\n{config}```\n\n"
                f"## Class\n\n```{{eval-rst}}\n.. autoclass:: {operator.__module__}.{cls}\n   :no-index:\n```\n"
            ),
        )
    yield (
        "index",
        (
            "# Operators\n\nOne page per operator. The figures are drawn by the operators themselves: the output "
            "for a detail of a photograph,\nthe response to a single LR pixel, the frequencies that pass, and the "
            "spectrum of the output. Operators with weights are\nshown as initialised.\n\n"
            "```{toctree}\n:maxdepth: 1\n\n" + "\n".join(names) + "\n```\n"
        ),
    )


def _draw(operator: type[Upsampler], path: Path) -> None:
    """Draw the operator with its default settings, unless the figure is newer than the code that draws it."""
    sources = [inspect.getfile(operator), *(PACKAGE / "gallery").glob("*.py")]
    if not path.is_file() or path.stat().st_mtime < max(Path(source).stat().st_mtime for source in sources):
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.manual_seed(0)
        example = prepare(operator, 2, {})
        save(draw([example], 2, 0), path, [example])


def _configs(folder: Path) -> Iterator[tuple[str, str]]:
    groups = sorted({path.parent.relative_to(CONFIGS).as_posix() for path in CONFIGS.rglob("*.yaml")})
    pages = []
    for group in groups:
        title, name = ("the root", "root") if group == "." else (group, group.replace("/", "-"))
        parts = [f"# {title}\n"]
        for path in sorted((CONFIGS / group).glob("*.yaml")):
            choice = path.stem if group == "." else f"{group}={path.stem}"
            parts.append(f"## {choice}\n\n```yaml\n{path.read_text(encoding='utf-8')}```\n")
        pages.append(name)
        yield name, "\n".join(parts)
    yield (
        "index",
        (
            "# Configs\n\nEvery group of `configs/`, with all its choices. `GROUP=NAME` on the command line takes a "
            "choice, `PATH.TO.IT=VALUE` sets a value.\n\n```{toctree}\n:maxdepth: 1\n\n" + "\n".join(pages) + "\n```\n"
        ),
    )


def _packages(folder: Path) -> Iterator[tuple[str, str]]:
    packages = sorted(path.parent for path in PACKAGE.rglob("__init__.py") if path.parent != PACKAGE)
    names = []
    for package in packages:
        dotted = ".".join(package.relative_to(ROOT).parts)
        modules = sorted(path.stem for path in package.glob("*.py") if not path.stem.startswith("__"))
        parts = [f"# {dotted}\n\n```{{eval-rst}}\n.. automodule:: {dotted}\n```\n"]
        parts += [
            f"## {dotted}.{module}\n\n```{{eval-rst}}\n.. automodule:: {dotted}.{module}\n   :members:\n```\n"
            for module in modules
        ]
        names.append(dotted)
        yield dotted, "\n".join(parts)
    yield "upnet", "# upnet\n\n```{eval-rst}\n.. automodule:: upnet\n   :members:\n```\n"
    yield "index", ("# Python API\n\n```{toctree}\n:maxdepth: 1\n\nupnet\n" + "\n".join(names) + "\n```\n")
