"""An installed wheel contains all configs and trains without the repository."""

import json
import os
import site
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest
from support import CONFIGS, ROOT

pytestmark = pytest.mark.full

SMALL = "steps=3 validations=1 data.patch=16 data.train.count=2 data.train.size=64 model.encoder.width=4 trainer=cpu"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True, timeout=120)
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of programs of an environment with the wheel and the dependencies of this environment."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=True)
    programs = folder / ("Scripts" if os.name == "nt" else "bin")
    subprocess.run(
        [str(programs / "python"), "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", str(wheel)],
        check=True,
        timeout=120,
    )
    query = "import sysconfig; print(sysconfig.get_path('purelib'))"
    done = subprocess.run([str(programs / "python"), "-c", query], capture_output=True, text=True, check=True)
    (Path(done.stdout.strip()) / "dependencies.pth").write_text("\n".join(site.getsitepackages()))
    return programs


def upnet(programs: Path, cwd: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    environment |= {"PATH": f"{programs}{os.pathsep}{environment['PATH']}", "XDG_CACHE_HOME": str(cwd / "cache")}
    return subprocess.run(
        [str(programs / "upnet"), *words], cwd=cwd, capture_output=True, text=True, timeout=300, env=environment
    )


def test_wheel_contains_every_config(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        shipped = {name.removeprefix("upnet/configs/") for name in archive.namelist() if "upnet/configs/" in name}
    assert shipped == {path.relative_to(CONFIGS).as_posix() for path in CONFIGS.rglob("*") if path.is_file()}


def test_installed_wheel_trains_in_an_empty_folder_and_prints_valid_commands(installed: Path, tmp_path: Path) -> None:
    done = upnet(installed, tmp_path, "train", *SMALL.split(), "hydra.run.dir=run")
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "run/results.json").read_text())["step"] == 3
    assert "upnet evaluate checkpoint=run/checkpoints/last.ckpt" in done.stdout
    evaluation = upnet(installed, tmp_path, "evaluate", "checkpoint=run/checkpoints/last.ckpt", "hydra.run.dir=scored")
    assert evaluation.returncode == 0, evaluation.stderr
    datasets = [json.loads((tmp_path / name / "results.json").read_text())["datasets"] for name in ("run", "scored")]
    assert datasets[0] == datasets[1]


def test_user_configs_take_precedence_over_packaged_ones(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "mine/experiment").mkdir(parents=True)
    (tmp_path / "mine/experiment/tiny.yaml").write_text("# @package _global_\nsteps: 7\nmodel:\n  skip: false\n")
    done = upnet(installed, tmp_path, "train", "--config-dir", "mine", "experiment=tiny", "--cfg", "job")
    assert done.returncode == 0, done.stderr
    assert "steps: 7" in done.stdout
    assert "skip: false" in done.stdout
    misspelt = upnet(installed, tmp_path, "train", "--config-dir", "mine", "experiment=tinny")
    assert (misspelt.returncode, "Did you mean tiny?" in misspelt.stderr) == (2, True), misspelt.stderr
