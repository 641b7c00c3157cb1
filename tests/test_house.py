"""What keeps the house in order: imports point one way, one stem for module and yaml, the README tells the truth."""

import ast
import inspect
import re
from pathlib import Path

import pytest
from hydra.utils import get_object
from omegaconf import OmegaConf
from support import CONFIGS, ROOT

PACKAGE = ROOT / "upnet"
# Each may import from the groups before it and from itself; leaves know nothing of models.
ORDER = [
    *("site", "blocks upsample encoders", "models", "ema cuda_graph recording results scoring task checkpoint"),
    "study figures upscaler",
]
LEAVES = {"imresize", "metrics", "losses", "schedulers", "data", "config", "precision", "version", "plain_text"}
LEAVES |= {"command_line", "starting"}
LIGHTNING = {"task", "recording", "callbacks", "training", "data/feeding"}
HYDRA = {"config", "running", "sentences", "training", "evaluating", "upscaling", "report"}


def imported(path: Path) -> set[str]:
    """The dotted modules a file imports, type checking left out."""
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
    return names


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def test_imports_point_one_way() -> None:
    rank = {name: level for level, names in enumerate(ORDER) for name in names.split()}
    for path in modules():
        if room(path) not in rank:
            continue
        for name in imported(path):
            parts = name.split(".")
            if parts[0] == "upnet" and len(parts) > 1 and parts[1] in rank:
                assert rank[parts[1]] <= rank[room(path)], f"{path} imports {name}"


def test_leaves_know_nothing_of_models() -> None:
    for path in modules():
        if room(path) in LEAVES:
            reached = {name.split(".")[1] for name in imported(path) if name.startswith("upnet.")}
            assert not reached - LEAVES, f"{path} imports {reached - LEAVES}"


@pytest.mark.parametrize(
    ("library", "rooms"),
    [("pytorch_lightning", LIGHTNING), ("hydra", HYDRA), ("omegaconf", HYDRA)],
)
def test_only_the_rooms_that_should_see_a_library_do(library: str, rooms: set[str]) -> None:
    for path in modules():
        if any(name.split(".")[0] == library for name in imported(path)):
            inside = str(path.relative_to(PACKAGE).with_suffix(""))
            assert room(path) in rooms or inside in rooms, f"{path} imports {library}"


@pytest.mark.parametrize(
    ("group", "package"),
    [("model/upsampler", "upsample"), ("model/encoder", "encoders"), ("model/block", "blocks")],
)
def test_a_yaml_has_the_stem_of_the_module_its_class_lives_in(group: str, package: str) -> None:
    for yaml in (CONFIGS / group).glob("*.yaml"):
        target = re.search(r"^_target_: (\S+)$", yaml.read_text(encoding="utf-8"), re.MULTILINE)
        assert target is not None, yaml
        name = target[1].rsplit(".", 1)[-1]
        module = PACKAGE / package / f"{yaml.stem}.py"
        assert f"class {name}(" in module.read_text(encoding="utf-8"), (
            f"{yaml} names {name}, which {module} doesn't define"
        )


def test_scripts_stay_short() -> None:
    for name in ("train.py", "evaluate.py"):
        assert len((ROOT / name).read_text(encoding="utf-8").splitlines()) < 60, name


def test_the_readme_has_the_two_commands_and_its_pictures_exist() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```sh\n(.*?)^```$", readme, re.MULTILINE | re.DOTALL)
    assert "train.py" in blocks[0]
    assert "pytest" in blocks[1]
    for picture in re.findall(r'(?:!\[[^\]]*\]\(|src=")([^)"]+)', readme):
        assert (ROOT / picture).is_file(), picture


def test_settings_named_in_the_readme_exist() -> None:
    """Every configs/… path that the README names is there."""
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
def test_the_defaults_of_a_yaml_are_those_of_its_class(path: Path) -> None:
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
