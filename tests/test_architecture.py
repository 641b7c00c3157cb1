"""The architecture: order of the packages, libraries of each package, stems of yaml files, paths in the README."""

import ast
import inspect
import re
from functools import cache
from pathlib import Path

import pytest
from hydra.utils import get_object
from omegaconf import OmegaConf
from support import CONFIGS, ROOT

PACKAGE = ROOT / "upnet"
LAYERS = [
    *(
        "utils",
        "site",
        "config",
        "imaging",
        "losses",
        "schedulers",
        "blocks",
        "upsample",
        "encoders",
        "metrics",
        "data",
    ),
    *("models", "checkpoint", "audit", "inference", "evaluation", "gallery", "training", "study", "cli"),
]
"""Every package of upnet; each may import the ones before it. A `__main__` module belongs to `cli`."""
LIBRARIES = {
    "pytorch_lightning": {"training", "data/lightning"},
    "hydra": {"config", "cli"},
    "omegaconf": {"config", "cli"},
    "matplotlib": {"evaluation", "gallery", "study"},
    "rich": {"evaluation", "gallery", "study", "cli"},
    "argparse": {"cli"},
}
"""Library -> the packages or modules that may import it."""


@cache
def imported(path: Path) -> frozenset[str]:
    """The dotted names that a file imports, except under TYPE_CHECKING."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    only_types = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for inner in ast.walk(node)
    }
    names: set[str] = set()
    for node in ast.walk(tree):
        if id(node) in only_types:
            continue
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(names)


def package(path: Path) -> str:
    """The package of upnet that a module belongs to; `cli` for a `__main__` module."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return "cli" if parts[-1] == "__main__" else parts[0]


MODULES = sorted(PACKAGE.rglob("*.py"))


def test_every_package_has_a_layer() -> None:
    assert {package(path) for path in MODULES} == {*LAYERS, "__init__"}


@pytest.mark.parametrize("name", LAYERS)
def test_a_package_imports_only_the_layers_below_it(name: str) -> None:
    below = LAYERS[: LAYERS.index(name) + 1]
    for path in MODULES:
        if package(path) == name:
            imports = {
                parts[1]
                for parts in (dotted.split(".") for dotted in imported(path))
                if parts[0] == "upnet" and parts[1:]
            }
            assert not (imports & set(LAYERS)) - set(below), f"{path} imports {sorted(imports - set(below))}"


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_library_is_imported_only_by_its_packages(library: str) -> None:
    for path in MODULES:
        if any(dotted.split(".")[0] == library for dotted in imported(path)):
            inside = str(path.relative_to(PACKAGE).with_suffix(""))
            assert {package(path), inside} & LIBRARIES[library], f"{path} imports {library}"


@pytest.mark.parametrize(
    ("group", "folder"),
    [("model/upsampler", "upsample"), ("model/encoder", "encoders"), ("model/block", "blocks")],
)
def test_a_yaml_has_the_stem_of_the_module_of_its_class(group: str, folder: str) -> None:
    for yaml in (CONFIGS / group).glob("*.yaml"):
        target = re.search(r"^_target_: (\S+)$", yaml.read_text(encoding="utf-8"), re.MULTILINE)
        assert target is not None, yaml
        name = target[1].rsplit(".", 1)[-1]
        module = PACKAGE / folder / f"{yaml.stem}.py"
        assert f"class {name}(" in module.read_text(encoding="utf-8"), (
            f"{yaml} names {name}, which {module} doesn't define"
        )


def test_scripts_stay_short() -> None:
    for name in ("train.py", "evaluate.py"):
        assert len((ROOT / name).read_text(encoding="utf-8").splitlines()) < 60, name


def test_the_readme_has_its_two_commands_and_its_images_exist() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```sh\n(.*?)^```$", readme, re.MULTILINE | re.DOTALL)
    assert "train.py" in blocks[0]
    assert "pytest" in blocks[1]
    for image in re.findall(r'(?:!\[[^\]]*\]\(|src=")([^)"]+)', readme):
        assert (ROOT / image).is_file(), image


def test_paths_in_the_readme_exist() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for path in re.findall(r"`(configs/[\w/.]+\.yaml|upnet/[\w/.]+\.py)`", readme):
        if "NAME" in path:
            continue  # stands for a name of the reader's own
        assert (ROOT / path).is_file(), path


COMPONENTS = [
    path
    for group in ("model/encoder", "model/block", "model/upsampler", "loss", "scheduler", "callbacks", "data")
    for path in sorted((CONFIGS / group).glob("*.yaml"))
]


@pytest.mark.parametrize("path", COMPONENTS, ids=lambda path: str(path.relative_to(CONFIGS).with_suffix("")))
def test_a_yaml_and_its_class_have_the_same_defaults(path: Path) -> None:
    def check(node: object) -> None:
        if not isinstance(node, dict):
            return
        target = str(node.get("_target_", ""))
        if target.startswith("upnet."):
            known = inspect.signature(get_object(target)).parameters
            for key, value in node.items():
                default = known[key].default if key in known else inspect.Parameter.empty
                computed = isinstance(value, dict) or (isinstance(value, str) and ("${" in value or value == "???"))
                if default is not inspect.Parameter.empty and not computed:
                    plain = list(default) if isinstance(default, tuple) else default
                    assert plain == value, f"{target}: {key} is {default} in the class and {value} in the yaml"
        for value in node.values():
            check(value)

    check(OmegaConf.to_container(OmegaConf.load(path)))
