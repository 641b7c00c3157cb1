"""From a study's yaml to its plan: every variant composed, matched and counted, every cell keyed."""

import copy
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf, open_dict

from upnet.audit.leakage import warn_of_leakage
from upnet.cli.app import apply_target_overrides
from upnet.config import build, check
from upnet.config.schema import TrainSettings
from upnet.data import SRData
from upnet.models import EncoderDecoder
from upnet.models.complexity import multiply_adds, parameters
from upnet.study.cells import Cell, hashed
from upnet.study.code_version import code, targets
from upnet.study.design import Design, Variant
from upnet.study.matching import match, places, taps
from upnet.study.plan import Plan, Row
from upnet.training.factory import build_task, training_settings
from upnet.utils.overrides import quote_path_overrides
from upnet.utils.paths import CONFIGS


class Planner:
    """Composes the cells of one study.

    words:  the overrides of the command line, the choice of the study among them; they hold for all cells.
    folder: where the study lies.
    """

    def __init__(self, design: Design, words: Sequence[str], folder: Path) -> None:
        self.design, self.words, self.folder = design, list(words), folder
        self.configs: dict[str, DictConfig] = {}
        self._pictures: dict[str, dict[str, str]] = {}

    def plan(self) -> Plan:
        """Everything that can be known before training.

        Raises ValueError for whatever is wrong with the study as a whole: unknown settings, unfit pictures, two arms
        that are the same. An arm that can't be built, or not be matched to the reference, is a refused row.
        """
        self.design.check_words(self.words)
        rows: list[Row] = []
        references: dict[str, EncoderDecoder | str] = {}
        variants = self.design.variants()
        for variant in sorted(variants, key=lambda one: one.arm != self.design.reference):
            config = self._compose(variant)
            levels = json.dumps(dict(variant.levels))
            row, net = self._row(variant, config, references.get(levels))
            references.setdefault(levels, net if isinstance(net, EncoderDecoder) else f"the reference: {row.refused}")
            rows.append(row)
        rows.sort(key=lambda row: variants.index(row.variant))
        steps, validations = self._budget("steps"), self._budget("validations")
        names = {name for config in self.configs.values() for name in targets(_plain(config))}
        return Plan(self.folder, self.design, steps, validations, self.words, code(names), rows, self._cells(rows))

    def config(self, row: Row, seed: int, folder: Path) -> DictConfig:
        """The whole config of a cell, resolved, as a training by itself would have it."""
        config = changed(self.configs[row.variant.label], row.changes)
        with open_dict(config):
            config.seed = seed
            config.run_dir = str(folder)
            OmegaConf.resolve(config)
            config.study = None
        return config

    def _budget(self, name: str) -> int:
        """A setting that all variants share. Raises ValueError where they don't."""
        (first, config), *others = self.configs.items()
        for label, other in others:
            if other[name] != config[name]:
                raise ValueError(
                    f"study: all cells have one budget; {label} has {name}={other[name]} and {first} "
                    f"{name}={config[name]}: set it beside study:, for all of them"
                )
        return int(config[name])

    def _compose(self, variant: Variant) -> DictConfig:
        words = [*self.words, *variant.words]
        try:
            config = _composed(words)
        except HydraException as fault:
            raise ValueError(f"study: {variant.label}: {' '.join(str(fault).split())}") from fault
        apply_target_overrides(config, words)
        with open_dict(config):
            config.run_dir = str(self.folder)
        self.configs[variant.label] = config
        try:
            check(self.config(Row(variant), self.design.seeds[0], self.folder), TrainSettings)
        except ValueError as fault:
            raise ValueError(f"study: {variant.label}: {fault}") from fault
        return config

    def _row(
        self, variant: Variant, config: DictConfig, reference: EncoderDecoder | str | None
    ) -> tuple[Row, EncoderDecoder | None]:
        """A variant matched to the reference, which is None for the reference itself, or why there is none."""
        if isinstance(reference, str):
            return Row(variant, refused=reference), None
        try:
            model = _plain(config.model)

            def make(changes: Mapping[str, Any]) -> EncoderDecoder:
                return build(changed(config, changes).model)

            changes = {} if reference is None else match(self.design.regime, make, model, reference)
            cell = self.config(Row(variant, changes=changes), self.design.seeds[0], self.folder)
            net = build_task(cell, model, {}).net
        except ValueError as fault:
            return Row(variant, refused=str(fault)), None
        counts = {place: taps(operators) for place, operators in places(net).items()}
        return Row(variant, parameters(net), multiply_adds(net), counts, changes), net

    def _cells(self, rows: Sequence[Row]) -> list[Cell]:
        cells: list[Cell] = []
        for seed in self.design.seeds:
            for row in rows:
                if row.refused is not None:
                    continue
                variant = row.variant
                key = self._key(self.config(row, seed, self.folder))
                twin = next((cell for cell in cells if cell.key == key), None)
                if twin is not None:
                    raise ValueError(
                        f"study: {variant.label} and {twin.label} are one and the same training; remove one of them"
                    )
                folder = self.folder / "cells" / f"{variant.stem(seed)}-{key}"
                cells.append(Cell(len(cells) + 1, variant.arm, variant.levels, variant.label, seed, key, folder))
        return cells

    def _key(self, config: DictConfig) -> str:
        """What a result depends on: pictures by their content, so that a folder that was moved makes no other cell."""
        settings = training_settings(config)
        pictures = self._digests(config)
        settings["data"]["train"] = pictures
        return hashed(
            {
                "model": _plain(config.model),
                "settings": settings,
                "protocol": _plain(config.protocol),
                "validations": config.validations,
                "channels_last": config.channels_last,
                "compile": config.compile,
                "deterministic": config.trainer.get("deterministic", False),
            }
        )

    def _digests(self, config: DictConfig) -> dict[str, str]:
        """A hash of the pixels of every set, decoded here at the latest. Raises ValueError where they are unfit."""
        content = {name: value for name, value in _plain(config.data).items() if name != "seed"}
        key = json.dumps(content, sort_keys=True)
        if key not in self._pictures:
            data = build(config.data)
            assert isinstance(data, SRData)
            data.prepare()
            warn_of_leakage(data.train_store(), data.val_sets(), data.copy_check)
            sets = {f"validation {name}": store.digest for name, store in data.val_sets().items()}
            self._pictures[key] = {"train": data.train_store().digest, **sets}
        return self._pictures[key]


def _plain(node: DictConfig) -> dict[str, Any]:
    content = OmegaConf.to_container(node, resolve=True)
    assert isinstance(content, dict)
    return {str(key): value for key, value in content.items()}


def changed(config: DictConfig, changes: Mapping[str, Any]) -> DictConfig:
    """A copy of a config with other values at some paths."""
    made = copy.deepcopy(config)
    for path, value in changes.items():
        OmegaConf.update(made, path, value, force_add=True)
    return made


def _composed(words: Sequence[str]) -> DictConfig:
    words = quote_path_overrides(words)
    if GlobalHydra.instance().is_initialized():  # which also knows folders of configs that the command line named
        return compose("train", overrides=words)
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        return compose("train", overrides=words)
