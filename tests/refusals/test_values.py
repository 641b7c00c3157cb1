"""Values of settings that are not allowed are rejected by the check of the config."""

import copy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import DictConfig, OmegaConf, open_dict
from refusals import settings_table
from refusals.conftest import EVALUATE, TRAIN
from support import Compose

from upnet.config import ConfigError, check
from upnet.config.schema import EvaluateSettings, TrainSettings
from upnet.utils.errors import UserError

SCHEMAS = {"train": TrainSettings, "evaluate": EvaluateSettings, "study": TrainSettings}


@pytest.fixture(scope="module")
def configs(compose: Compose) -> dict[str, DictConfig]:
    """The composed configs of a training, an evaluation and a study."""
    configs = {
        "train": compose(*TRAIN),
        "evaluate": compose(*EVALUATE, "checkpoint=good.ckpt", command="evaluate"),
        "study": compose("experiment=study/smoke"),
    }
    for config in configs.values():
        with open_dict(config):
            config.run_dir = "run"
    return configs


def rejected(config: DictConfig, schema: type, setting: str, value: object) -> UserError:
    """The error of a config in which one setting is changed."""
    config = copy.deepcopy(config)
    OmegaConf.update(config, setting, value)
    with pytest.raises(ConfigError) as caught:
        check(config, schema)
    (error,) = caught.value.errors
    return error


@pytest.mark.parametrize(
    ("command", "setting", "value", "problem"),
    [
        *(("train", *row) for row in settings_table.TRAIN_VALUES),
        *(("evaluate", *row) for row in settings_table.EVALUATE_VALUES),
        ("study", "study.match", "X", "'none', 'params', 'macs' or 'support'"),
    ],
)
def test_invalid_values_are_rejected(
    configs: dict[str, DictConfig], command: str, setting: str, value: object, problem: str
) -> None:
    error = rejected(configs[command], SCHEMAS[command], setting, value)
    assert error.setting == setting
    assert repr(error.value) == repr(value)  # nan differs from itself, and True equals 1
    assert problem in error.problem


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
"""Integer settings -> the smallest and the largest allowed value."""


@settings(deadline=None, max_examples=20)
@given(name=st.sampled_from(sorted(NUMBERS)), value=st.one_of(st.integers(), st.floats(), st.text(), st.booleans()))
def test_integer_settings_accept_integers_of_their_range_only(
    configs: dict[str, DictConfig], name: str, value: object
) -> None:
    value = value.replace("$", "§") if isinstance(value, str) else value  # "${" begins an interpolation
    low, high = NUMBERS[name]
    if type(value) is int and value >= low and (high is None or value <= high):
        config = copy.deepcopy(configs["train"])
        OmegaConf.update(config, name, value)
        check(config, TrainSettings)
        return
    error = rejected(configs["train"], TrainSettings, name, value)
    assert error.setting == name
    assert repr(error.value) == repr(value)
    assert error.problem.startswith("must be ")
