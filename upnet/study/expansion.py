"""Expansion of the design of a study into its plan: variants are composed and matched, and cells get their keys."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from upnet.audit.leakage import warn_of_leakage
from upnet.config import ConfigError, build, check
from upnet.config.compose import Config, compose_training, plain_mapping, with_values
from upnet.config.schema import TrainSettings
from upnet.data import SRData
from upnet.models import EncoderDecoder
from upnet.models.complexity import multiply_adds, parameters
from upnet.study.cells import Cell, earlier_names, short_hash
from upnet.study.code_version import code_version, config_targets
from upnet.study.design import Design, Variant
from upnet.study.matching import match_variant, taps_by_location
from upnet.study.plan import Plan, PlannedVariant
from upnet.training.factory import build_task, training_settings
from upnet.utils.errors import UserError


class Planner:
    """Composes the configs of one study and plans its cells.

    overrides: those of the command line, including the one that chooses the study. They apply to all cells.
    folder:    of the study.

    Example:

        arms = {"nearest": ["model/upsampler=nearest"], "bilinear": ["model/upsampler=bilinear"]}
        design = Design("demo", arms, reference="nearest", seeds=[0, 1, 2])
        plan = Planner(design, ["data.root=photos"], Path("runs/studies/demo")).plan()
        plan.rejections()  # why arms can't be trained or compared; [] here
        len(plan.cells)    # 6
    """

    def __init__(self, design: Design, overrides: Sequence[str], folder: Path) -> None:
        self.design, self.overrides, self.folder = design, list(overrides), folder
        self.configs: dict[str, Config] = {}
        """The config of every variant by its label, before matching."""
        self._digests: dict[str, dict[str, str]] = {}

    def plan(self) -> Plan:
        """The plan: matched variants with their costs, and cells with their keys and folders.

        Raises UserError for errors that concern the whole study: unknown settings, invalid images, variants with
        different numbers of steps or validations, two equal variants. A variant that can't be built or matched is
        planned with the reason of its rejection.
        """
        self.design.check_overrides(self.overrides)
        variants = self.design.variants()
        planned = self._match_variants(variants)
        steps, validations = self._shared_setting("steps"), self._shared_setting("validations")
        targets = {target for config in self.configs.values() for target in config_targets(plain_mapping(config))}
        code, cells = code_version(targets), self._cells(planned)
        return Plan(self.folder, self.design, steps, validations, self.overrides, code, planned, cells)

    def settings(self, planned: PlannedVariant, seed: int, folder: Path) -> TrainSettings:
        """The settings of a cell, equal to those of a training without a study. Raises ConfigError as `check` does."""
        values = {**planned.changes, "seed": seed, "run_dir": str(folder)}
        config = with_values(self.configs[planned.variant.label], values)
        return replace(check(config, TrainSettings), study=None)

    def _shared_setting(self, name: str) -> int:
        """A setting that has one value in all variants. Raises UserError where it has several."""
        (first, config), *others = self.configs.items()
        for label, other in others:
            if other[name] != config[name]:
                raise UserError(
                    f"all cells of a study have the same {name}, but {first} has {config[name]} and {label} "
                    f"{other[name]}",
                    setting=name,
                    cure=f"Set {name} once for all variants, outside of study",
                )
        return int(config[name])

    def _match_variants(self, variants: Sequence[Variant]) -> list[PlannedVariant]:
        """Every variant, composed and matched to the reference arm at the same levels of all factors."""
        planned: dict[str, PlannedVariant] = {}
        references: dict[str, tuple[PlannedVariant, EncoderDecoder | None]] = {}
        for variant in sorted(variants, key=lambda variant: variant.arm != self.design.reference):
            config = self._compose(variant)
            levels = json.dumps(dict(variant.levels))
            reference, reference_net = references.get(levels, (None, None))
            if reference is not None and reference.rejection is not None:
                rejection = f"the reference is rejected: {reference.rejection}"
                planned[variant.label] = PlannedVariant(variant, rejection=rejection)
                continue
            planned[variant.label], net = self._match(variant, config, reference_net)
            references.setdefault(levels, (planned[variant.label], net))
        return [planned[variant.label] for variant in variants]

    def _compose(self, variant: Variant) -> Config:
        """The config of a variant before matching. Raises UserError with its label where it is invalid."""
        try:
            config = compose_training([*self.overrides, *variant.overrides])
            self.configs[variant.label] = with_values(config, {"run_dir": str(self.folder)})
            self.settings(PlannedVariant(variant), self.design.seeds[0], self.folder)
        except ConfigError as error:
            raise UserError(f"{variant.label}: {error}", setting="study") from error
        return self.configs[variant.label]

    def _match(
        self, variant: Variant, config: Config, reference: EncoderDecoder | None
    ) -> tuple[PlannedVariant, EncoderDecoder | None]:
        """A variant matched to the reference, and its network; a rejection and None where that isn't possible.

        reference: the network of the reference at the same levels; None for the reference itself.
        """

        def build_variant(changes: Mapping[str, Any]) -> EncoderDecoder:
            return build(with_values(config, changes).model)

        try:
            model = plain_mapping(config.model)
            changes = {} if reference is None else match_variant(self.design.match, build_variant, model, reference)
            settings = self.settings(PlannedVariant(variant, changes=changes), self.design.seeds[0], self.folder)
            net = build_task(settings).net
        except UserError as error:
            return PlannedVariant(variant, rejection=str(error)), None
        return PlannedVariant(variant, parameters(net), multiply_adds(net), taps_by_location(net), changes), net

    def _cells(self, variants: Sequence[PlannedVariant]) -> list[Cell]:
        """Every variant that isn't rejected, with every seed. Raises UserError for two equal trainings."""
        cells: list[Cell] = []
        for seed in self.design.seeds:
            for planned in variants:
                if planned.rejection is not None:
                    continue
                variant = planned.variant
                content = self._key_content(self.settings(planned, seed, self.folder))
                key, folder = self._key_and_folder(variant.folder_stem(seed), content)
                duplicate = next((cell for cell in cells if cell.key == key), None)
                if duplicate is not None:
                    raise UserError(
                        f"{variant.label} and {duplicate.label} are the same training",
                        setting="study.arms",
                        cure="Remove one of them",
                    )
                cells.append(Cell(len(cells) + 1, variant.arm, variant.levels, variant.label, seed, key, folder))
        return cells

    def _key_and_folder(self, stem: str, content: Mapping[str, Any]) -> tuple[str, Path]:
        """The key of a cell and its folder; an existing folder whose key has the former names of settings is used."""
        keys = [short_hash(content), short_hash(earlier_names(content))]
        folders = [self.folder / "cells" / f"{stem}-{key}" for key in keys]
        index = 1 if folders[1].is_dir() and not folders[0].is_dir() else 0
        return keys[index], folders[index]

    def _key_content(self, settings: TrainSettings) -> dict[str, Any]:
        """What the result of a cell depends on. Images are identified by their pixels, and not by their paths."""
        recorded = training_settings(settings)
        recorded["data"]["train"] = self._image_digests(settings)
        return {
            "model": settings.model,
            "settings": recorded,
            "protocol": asdict(settings.protocol),
            "validations": settings.validations,
            "channels_last": settings.channels_last,
            "compile": settings.compile,
            "deterministic": settings.trainer.get("deterministic", False),
        }

    def _image_digests(self, settings: TrainSettings) -> dict[str, str]:
        """The pixel hashes of the data sets by use: "train", "validation NAME". Sets not in the cache are decoded."""
        without_seed = {name: value for name, value in settings.data.items() if name != "seed"}
        key = json.dumps(without_seed, sort_keys=True)
        if key not in self._digests:
            data = build(settings.data, "data")
            assert isinstance(data, SRData)
            data.prepare()
            warn_of_leakage(data.train_store(), data.val_sets(), data.copy_check)
            sets = {f"validation {name}": store.digest for name, store in data.val_sets().items()}
            self._digests[key] = {"train": data.train_store().digest, **sets}
        return self._digests[key]
