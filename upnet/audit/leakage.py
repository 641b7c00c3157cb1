"""Leakage: evaluation images among the training images. `upnet data audit` and `upnet train` report it."""

import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import torch

from upnet.audit.candidates import FeatureIndex
from upnet.audit.feature_cache import load_features, save_features, try_write
from upnet.audit.features import VERSION, Features, extract_features
from upnet.audit.finding import Finding
from upnet.audit.near_duplicates import NearDuplicate, duplicates_between
from upnet.audit.parallel import TimeBudget, TimeBudgetError, format_duration, parallel_map
from upnet.audit.verification import MATCH_THRESHOLD
from upnet.data.store import Store

log = logging.getLogger(__name__)

_MAX_NAMED = 20


class Leak(NamedTuple):
    """An evaluation image that shows the content of a training image.

    evaluation_image: its name.
    training_image:   its name.
    relation:         how they relate, for example "the full image, mirrored".
    correlation:      of the region they share, MATCH_THRESHOLD to 1.
    """

    evaluation_image: str
    training_image: str
    relation: str
    correlation: float


def find_leaks(train: Store, evaluation: Store, budget: TimeBudget | None = None) -> list[Leak]:
    """Find the images of an evaluation set that are near duplicates of training images.

    The result is saved in the folder of the training store, and the features in the folders of both stores. A second
    call reads these files.

    Raises TimeBudgetError if the search would exceed the budget.
    """
    file = train.folder / f"copies-{VERSION}-{evaluation.digest[:24]}.json"
    leaks = _load_leaks(file)
    if leaks is None:
        train_index, evaluation_index = index_store(train, budget), index_store(evaluation, budget)
        stage = f"Searching {evaluation.name} in {train.name}"
        duplicates = duplicates_between(evaluation_index, train_index, stage, budget)
        leaks = name_leaks(duplicates, evaluation.names, train.names)
        content = json.dumps([MATCH_THRESHOLD, leaks])
        try_write(file, lambda stream: stream.write(content.encode()))
    return leaks


def name_leaks(
    duplicates: Iterable[NearDuplicate], evaluation_names: Sequence[str], training_names: Sequence[str]
) -> list[Leak]:
    """Near duplicates, the evaluation image first, as leaks with the names of their images."""
    return [
        Leak(evaluation_names[first], training_names[second], match.describe(), match.correlation)
        for first, second, match in duplicates
    ]


def warn_of_leakage(train: Store, sets: Mapping[str, Store], seconds: float | None = None) -> list[str]:
    """Log one warning that names the validation images which are near duplicates of training images; return the names.

    seconds: time limit of the search; 0: no search, None: no limit. If the estimated duration exceeds the limit, the
             search stops after about a second with a warning.

    Images that are equal in every pixel are not searched for here: upnet.data.SRData rejects them.
    """
    if seconds == 0:
        return []
    budget, leaks = TimeBudget(seconds), []
    try:
        for name, store in sets.items():
            leaks += [
                f"{leak.evaluation_image} of {name} is {leak.training_image} of {train.name} ({leak.relation})"
                for leak in find_leaks(train, store, budget)
            ]
    except TimeBudgetError as error:
        log.warning(
            "The search for near duplicates of validation images among the %d images of %s is skipped: it would take "
            "about %s, and data.copy_check=%g allows %g s. Set data.copy_check=null to search without limit, or "
            "data.copy_check=0 to skip the search without this warning",
            len(train),
            train.name,
            format_duration(error.seconds),
            seconds,
            seconds,
        )
    if leaks:
        log.warning(
            "Validation images are among the training images, and their scores are too high: %s. Remove them from one "
            "of the two sets",
            "; ".join(leaks[:_MAX_NAMED])
            + (f"; and {len(leaks) - _MAX_NAMED} more" if len(leaks) > _MAX_NAMED else ""),
        )
    return leaks


def index_store(store: Store, budget: TimeBudget | None = None) -> FeatureIndex:
    """Index the HR images of a store. Their features are saved in its folder.

    Raises TimeBudgetError if the extraction would exceed the budget.
    """
    file = store.folder / f"features-{VERSION}.npz"
    features = load_features(file, len(store))
    if features is None:

        def extract(index: int) -> Features:
            with torch.no_grad():
                return extract_features(store.hr(index))

        features = list(parallel_map(extract, len(store), f"Reading {store.name}", budget))
        save_features(file, features)
    return FeatureIndex(features)


def report_leaks(leaks: Sequence[Leak], set_name: str) -> list[Finding]:
    """Findings on one evaluation set, one per evaluation image."""
    findings = []
    for evaluation_image in dict.fromkeys(leak.evaluation_image for leak in leaks):
        matches = [leak for leak in leaks if leak.evaluation_image == evaluation_image]
        names = "; ".join(
            f"{leak.training_image} ({leak.relation}, correlation {leak.correlation:.2f})" for leak in matches
        )
        findings.append(
            Finding(
                "leakage",
                f"{evaluation_image} of {set_name} is among the images of this folder: {names}.",
                "A network trained on this folder has seen the evaluation image; its score there is invalid.",
                f"Remove {'it' if len(matches) == 1 else 'them'} from the training images.",
                [evaluation_image, *[leak.training_image for leak in matches]],
                measurements={"set": set_name, "correlation": [round(leak.correlation, 3) for leak in matches]},
            )
        )
    return findings


def _load_leaks(file: Path) -> list[Leak] | None:
    """The saved result of `find_leaks`; None if the file is missing, damaged, or of another threshold."""
    try:
        threshold, leaks = json.loads(file.read_text(encoding="utf-8"))
        return [Leak(*leak) for leak in leaks] if threshold == MATCH_THRESHOLD else None
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError) as error:
        log.info("%s cannot be read and is computed again: %s", file, error)
        return None
