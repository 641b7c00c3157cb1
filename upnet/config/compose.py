"""Compose the config of a training run from overrides, and copy a config with other values.

Packages that don't import Hydra and OmegaConf (such as upnet.study) use configs through this module.
"""

import copy
import dataclasses
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, open_dict

from upnet.config.errors import invalid
from upnet.config.signatures import required_arguments
from upnet.utils.overrides import quote_path_overrides
from upnet.utils.paths import CONFIGS

Config = DictConfig
"""A composed config. Its settings are attributes: `config.steps`."""


def compose_training(overrides: Sequence[str]) -> Config:
    """The config of `upnet train OVERRIDES`.

    Raises ConfigError for overrides that Hydra rejects.

    >>> compose_training(["model=edsr", "steps=7"]).steps
    7
    """
    # Where a Hydra program is running, its search path also contains the folders named by --config-dir.
    running = GlobalHydra.instance().is_initialized()
    context = nullcontext() if running else initialize_config_dir(str(CONFIGS), version_base="1.3")
    try:
        with context:
            config = compose("train", overrides=quote_path_overrides(overrides))
    except HydraException as error:
        raise invalid(" ".join(str(error).split())) from error
    apply_target_overrides(config, overrides)
    return config


def apply_target_overrides(config: Config, overrides: Sequence[str]) -> None:
    """Drop the settings of a component that an override replaces by `NODE._target_=my.module.Class`.

    They belong to the replaced class. Settings that the overrides themselves give stay, and so do those that the new
    class requires.
    """
    paths = [override.lstrip("+").partition("=")[0] for override in overrides]
    for path in (path.removesuffix("._target_") for path in paths if path.endswith("._target_")):
        node = OmegaConf.select(config, path)
        required = required_arguments(node["_target_"])
        with open_dict(config):
            for key in list(node):
                given = any(f"{other}.".startswith(f"{path}.{key}.") for other in paths)
                if key not in ("_target_", "_partial_", *required) and not given:
                    del node[key]


def with_values(config: Config, values: Mapping[str, Any]) -> Config:
    """A copy of a config with other values at some paths, which need not exist: `{"model.encoder.width": 16}`."""
    changed = copy.deepcopy(config)
    for path, value in values.items():
        OmegaConf.update(changed, path, value, merge=False, force_add=True)
    return changed


def plain_mapping(node: Config) -> dict[str, Any]:
    """A config as nested dicts and lists, interpolations resolved.

    >>> plain_mapping(compose_training([]).protocol)["name"]
    'rgb8'
    """
    content = OmegaConf.to_container(node, resolve=True)
    assert isinstance(content, dict)
    return {str(key): value for key, value in content.items()}


def to_yaml(settings: Any) -> str:
    """The settings that `upnet.config.check` returned, as yaml."""
    return OmegaConf.to_yaml(OmegaConf.create(dataclasses.asdict(settings)))


def job_overrides() -> list[str]:
    """The overrides on the command line of the running Hydra program."""
    return list(HydraConfig.get().overrides.task)


def job_folder(config: Config) -> Path:
    """The folder of the running Hydra program: of a single run `run_dir`, of a multirun the folder of all its runs."""
    job = HydraConfig.get()
    return Path(job.sweep.dir).absolute() if job.mode == RunMode.MULTIRUN else Path(config.run_dir)
