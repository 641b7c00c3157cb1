"""Evaluation pictures among the training pictures: what an audit finds, and what a training is warned of."""

import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import torch

from upnet.audit import feature_cache as gallery
from upnet.audit.candidates import Album
from upnet.audit.feature_cache import Budget, OutOfTimeError, duration
from upnet.audit.features import VERSION, Features, describe
from upnet.audit.finding import Finding
from upnet.audit.near_duplicates import Copy, shared
from upnet.audit.verification import ALIKE
from upnet.data.store import Store

log = logging.getLogger(__name__)

_TOLD = 20


class Leak(NamedTuple):
    """An evaluation picture that shows what a training picture shows: their names, how, and the correlation."""

    evaluated: str
    trained: str
    how: str
    score: float


def find_leaks(train: Store, evaluation: Store, budget: Budget | None = None) -> list[Leak]:
    """The pictures of an evaluation set that are among the training pictures, near copies included.

    What was found is kept in the training pictures' store, and the features in both stores, so that a second call costs
    milliseconds. Raises OutOfTimeError where it would take longer than the budget allows.
    """
    file = train.folder / f"copies-{VERSION}-{evaluation.digest[:24]}.json"
    known = _known(file)
    if known is None:
        albums = album_of(train, budget), album_of(evaluation, budget)
        copies = shared(albums[1], albums[0], f"Looking for {evaluation.name} in {train.name}", budget)
        known = leaks(copies, evaluation.names, train.names)
        gallery.write(file, lambda part: part.write_text(json.dumps([ALIKE, known]), encoding="utf-8"))
    return known


def leaks(copies: Iterable[Copy], evaluated: Sequence[str], trained: Sequence[str]) -> list[Leak]:
    """Copies by name."""
    return [Leak(evaluated[one.first], trained[one.second], one.likeness.told(), one.likeness.score) for one in copies]


def warn_of_copies(train: Store, sets: Mapping[str, Store], seconds: float | None = None) -> list[str]:
    """Log one warning that names the sets' pictures that are among the training pictures; return what it names.

    seconds: that the search may take; 0 leaves it out, None sets no limit. What would take longer is given up, after
             about a second, with a warning.

    Pictures that are equal in every pixel are no matter of warning: the SRData refuses them.
    """
    if seconds == 0:
        return []
    budget, told = Budget(seconds), []
    try:
        for name, store in sets.items():
            leaked = find_leaks(train, store, budget)
            told += [f"{leak.evaluated} of {name} is {leak.trained} of {train.name} ({leak.how})" for leak in leaked]
    except OutOfTimeError as fault:
        log.warning(
            "Near copies of validation images among the %d images of %s are not looked for: that takes about %s once, "
            "and data.copy_check=%g allows %g s; data.copy_check=null looks for them, data.copy_check=0 never does",
            len(train),
            train.name,
            duration(fault.seconds),
            seconds,
            seconds,
        )
    if told:
        log.warning(
            "Validation pictures are among the training pictures, and scores on them flatter the network: %s; "
            "take them out of one of the two",
            "; ".join(told[:_TOLD]) + (f"; and {len(told) - _TOLD} more" if len(told) > _TOLD else ""),
        )
    return told


def album_of(store: Store, budget: Budget | None = None) -> Album:
    """The features of a store's HR pictures, kept inside the store. Raises OutOfTimeError as by_all_cores does."""
    file = store.folder / f"features-{VERSION}.npz"
    features = gallery.load(file, len(store))
    if features is None:

        def make(number: int) -> Features:
            with torch.no_grad():
                return describe(store.hr(number))

        features = list(gallery.by_all_cores(make, len(store), f"Looking at {store.name}", budget))
        gallery.save(file, features)
    return Album(features)


def judge(found: Sequence[Leak], name: str) -> list[Finding]:
    """Findings on one evaluation set, one per picture of it."""
    findings = []
    for evaluated in dict.fromkeys(leak.evaluated for leak in found):
        mine = [leak for leak in found if leak.evaluated == evaluated]
        told = "; ".join(f"{leak.trained} ({leak.how}, correlation {leak.score:.2f})" for leak in mine)
        findings.append(
            Finding(
                "leakage",
                f"{evaluated} of {name} is among the pictures here: {told}.",
                "A network trained on it has seen the answer: its score on this picture means nothing.",
                f"Take {'it' if len(mine) == 1 else 'them'} out of the training pictures.",
                [evaluated, *[leak.trained for leak in mine]],
                figures={"set": name, "correlation": [round(leak.score, 3) for leak in mine]},
            )
        )
    return findings


def _known(file: Path) -> list[Leak] | None:
    try:
        threshold, found = json.loads(file.read_text(encoding="utf-8"))
        return [Leak(*leak) for leak in found] if threshold == ALIKE else None
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError) as error:
        log.info("%s cannot be used and is made again: %s", file, error)
        return None
