"""Pages that follow from the code: one per operator, group of configs and package. A new file appears by itself.

They are generated into the folders of the hand-written pages and are not committed.
"""

import inspect
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

from operator_pages import operator_pages
from signatures import load, settings_table

from upnet.utils.paths import CONFIGS

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "upnet"


def write_pages(docs: Path) -> None:
    """Write explanation/operators/*.md, reference/configs/*.md and reference/api/*.md."""
    for folder, write in (
        ("explanation/operators", operator_pages),
        ("reference/configs", _config_pages),
        ("reference/api", _package_pages),
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


def _config_pages(folder: Path) -> Iterator[tuple[str, str]]:
    groups = sorted({path.parent.relative_to(CONFIGS).as_posix() for path in CONFIGS.rglob("*.yaml")})
    pages, rows = [], []
    for group in groups:
        title, name = ("train and evaluate", "root") if group == "." else (group, group.replace("/", "-"))
        paths = sorted((CONFIGS / group).glob("*.yaml"))
        parts = [f"# {title}\n"]
        for path in paths:
            choice = path.stem if group == "." else f"{group}={path.stem}"
            text = path.read_text(encoding="utf-8")
            target = re.search(r"^_target_: (upnet\.\S+)$", text, re.MULTILINE)
            settings = f"Settings of `{target[1]}`:\n\n{settings_table(load(target[1]))}\n" if target else ""
            parts.append(f"## {choice}\n\n```yaml\n{text}```\n\n{settings}")
        pages.append(name)
        rows.append(f"| [{title}]({name}.md) | {', '.join(f'`{path.stem}`' for path in paths)} |")
        yield name, "\n".join(parts)
    yield (
        "index",
        (
            "# Configs\n\nEvery group of `configs/`, with all its choices. `GROUP=NAME` on the command line takes a "
            "choice, `PATH.TO.IT=VALUE` sets a value.\n\n| group | choices |\n|---|---|\n"
            + "\n".join(rows)
            + "\n\n```{toctree}\n:hidden:\n\n"
            + "\n".join(pages)
            + "\n```\n"
        ),
    )


def _package_pages(folder: Path) -> Iterator[tuple[str, str]]:
    packages = sorted(path.parent for path in PACKAGE.rglob("__init__.py") if path.parent != PACKAGE)
    rows = []
    for package in packages:
        dotted = ".".join(package.relative_to(ROOT).parts)
        modules = sorted(path.stem for path in package.glob("*.py") if not path.stem.startswith("__"))
        parts = [f"# {dotted}\n\n```{{eval-rst}}\n.. automodule:: {dotted}\n```\n"]
        parts += [
            f"## {dotted}.{module}\n\n```{{eval-rst}}\n.. automodule:: {dotted}.{module}\n   :members:\n```\n"
            for module in modules
        ]
        rows.append((dotted, _summary(dotted)))
        yield dotted, "\n".join(parts)
    yield "upnet", "# upnet\n\n```{eval-rst}\n.. automodule:: upnet\n   :members:\n```\n"
    rows.insert(0, ("upnet", _summary("upnet")))
    table = "\n".join(f"| [{dotted}]({dotted}.md) | {summary} |" for dotted, summary in rows)
    toctree = "\n".join(dotted for dotted, _ in rows)
    yield (
        "index",
        f"# Python API\n\n| package | content |\n|---|---|\n{table}\n\n```{{toctree}}\n:hidden:\n\n{toctree}\n```\n",
    )


def _summary(module: str) -> str:
    """The first paragraph of a module's docstring, on one line."""
    return " ".join((inspect.getdoc(import_module(module)) or "").partition("\n\n")[0].split()).replace("|", "\\|")
