"""Whatever is wrong ends in one sentence with the value, what is allowed and the cure, and leaves nothing behind."""

import copy
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import DictConfig, OmegaConf, open_dict
from refusals.conftest import EVALUATE, TRAIN, Command, Ended
from refusals.table import CHECKPOINTS, DECODED, PATHS, PICTURES, SETTINGS, STUDIES
from support import ROOT, Compose

from upnet.config import ConfigError, check
from upnet.config.schema import TrainSettings

Case = tuple[str, str, str, str]
SUBPROCESSES = [PICTURES[0], CHECKPOINTS[-2]]


def named(cases: list[Case]) -> list[object]:
    return [pytest.param(*case, id=f"{case[0]} {case[1]}") for case in cases]


def refused(ended: Ended, value: str, allowed: str) -> None:
    assert ended.code == 2, ended
    assert len(ended.told.splitlines()) == 1, ended.told
    assert value in ended.told
    assert allowed in ended.told
    assert "Traceback" not in ended.told


@pytest.mark.parametrize(("script", "words", "value", "allowed"), named(SETTINGS + PATHS + PICTURES + CHECKPOINTS))
def test_bad_input_ends_in_one_sentence_and_leaves_nothing(
    command: Command, script: str, words: str, value: str, allowed: str
) -> None:
    ended = command(script, *shlex.split(words))
    refused(ended, value, allowed)
    assert not ended.new


@pytest.mark.parametrize(("script", "words", "value", "allowed"), named(DECODED))
def test_what_only_pictures_tell_leaves_nothing_but_their_store(
    command: Command, script: str, words: str, value: str, allowed: str
) -> None:
    ended = command(script, *shlex.split(words))
    refused(ended, value, allowed)
    assert all(".upnet" in Path(path).parts for path in ended.new)
    assert not any(".part" in path for path in ended.new)


@pytest.mark.parametrize(("script", "words", "value", "allowed"), named(STUDIES))
def test_a_study_that_makes_no_sense_is_refused(
    command: Command, script: str, words: str, value: str, allowed: str
) -> None:
    study = [] if words.startswith("experiment=") else ["experiment=study/smoke"]
    ended = command(script, *study, *shlex.split(words), small=[])
    refused(ended, value, allowed)
    assert not ended.new


@pytest.mark.parametrize(("script", "words", "value", "allowed"), named(SUBPROCESSES))
def test_the_command_itself_ends_so(pristine: Path, script: str, words: str, value: str, allowed: str) -> None:
    small = TRAIN if script == "train" else EVALUATE
    typed = [sys.executable, str(ROOT / f"{script}.py"), *small, "hydra.run.dir=out", *shlex.split(words)]
    before = set(pristine.rglob("*"))
    done = subprocess.run(typed, capture_output=True, text=True, cwd=pristine, timeout=120)
    told = "\n".join(line for line in done.stderr.replace("\r", "\n").splitlines() if value in line)
    refused(Ended(done.returncode, told, []), value, allowed)
    assert "Traceback" not in done.stderr
    assert set(pristine.rglob("*")) == before


def test_a_traceback_is_shown_where_it_is_asked_for(command: Command) -> None:
    with pytest.raises(ConfigError, match="steps=0: must be"):
        command("train", "steps=0", "debug=true")


NUMBERS = {
    "steps": (1, None),
    "scale": (2, None),
    "validations": (1, None),
    "seed": (0, 2**32 - 1),
    "max_pixels": (1, None),
    "data.batch_size": (1, None),
    "data.patch": (1, None),
    "data.workers": (0, 256),
    "model.encoder.width": (1, None),
    "model.encoder.depth": (0, 16),
    "callbacks.checkpoints.keep": (0, None),
    "callbacks.grid.size": (16, None),
    "protocol.crop": (0, None),
}
"""Whole numbers, and how far they may go."""


@pytest.fixture(scope="module")
def composed(compose: Compose) -> DictConfig:
    config = compose("data=folder", "data.root=x")
    with open_dict(config):
        config.run_dir = "run"
    return config


@settings(deadline=None, max_examples=60)
@given(name=st.sampled_from(sorted(NUMBERS)), value=st.one_of(st.integers(), st.floats(), st.text(), st.booleans()))
def test_a_number_passes_where_it_is_allowed_and_is_named_where_not(
    composed: DictConfig, name: str, value: object
) -> None:
    config = copy.deepcopy(composed)
    OmegaConf.update(config, name, value if not isinstance(value, str) else value.replace("$", "§"))
    low, high = NUMBERS[name]
    allowed = type(value) is int and value >= low and (high is None or value <= high)
    if allowed:
        check(config, TrainSettings)
        return
    with pytest.raises(ConfigError) as caught:
        check(config, TrainSettings)
    (line,) = str(caught.value).splitlines()
    assert line.startswith(f"{name}=")
    assert ": must be " in line


def test_a_multirun_of_trainings_that_start_processes_is_refused(command: Command) -> None:
    ended = command("train", "trainer=ddp", "seed=1,2", "steps=0", "hydra.sweep.dir=out", "-m")
    assert ended.code == 2, ended
    assert "trainer=ddp can't be combined with -m" in ended.told
    assert "Traceback" not in ended.told
