"""Schemas of results.json and plan.json, which may come from an untrusted source: reading and validation."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from pydantic import ConfigDict, TypeAdapter, ValidationError
from typing_extensions import NotRequired, TypedDict

from upnet.utils.errors import UserError

Number = float | Literal["inf"]
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_MAX_DEPTH = 50


class _Open(TypedDict):
    """A mapping that may have further keys."""

    __pydantic_config__ = ConfigDict(extra="allow")  # pyright: ignore[reportGeneralTypeIssues]


class Scores(_Open):
    """PSNR in dB, SSIM, and perceptual metrics by name."""

    psnr: Number
    ssim: Number


class Image(Scores):
    """The scores of one image."""

    baseline: Scores


class Baseline(Scores):
    """The mean scores of an interpolation."""

    name: str


class Dataset(Scores):
    """The scores of a data set: means, and image by image."""

    pictures: str
    baseline: Baseline
    images: dict[str, Image]
    lr_from: NotRequired[str | None]
    left_out: NotRequired[list[str]]
    exact: NotRequired[list[str]]
    remark: NotRequired[str]


class Protocol(_Open):
    """The evaluation protocol."""

    name: str
    scale: int
    channel: str
    crop: int


class Method(_Open):
    """The evaluated network or interpolation."""

    kind: NotRequired[str]
    name: NotRequired[str]


class Results(_Open):
    """results.json; see `upnet.evaluation.results`."""

    protocol: Protocol
    datasets: dict[str, Dataset]
    method: NotRequired[Method]
    measures: NotRequired[dict[str, dict[str, Any]]]
    device: NotRequired[str | None]
    tile: NotRequired[str | int | None]
    versions: NotRequired[dict[str, str | None]]
    minutes: NotRequired[float]
    step: NotRequired[int]


class Run(Results):
    """results.json of a training run."""

    settings: dict[str, Any]
    model: dict[str, Any]
    seed: int
    parameters: int
    scale: NotRequired[int]
    val_root: NotRequired[str | list[str] | None]


class Variant(_Open):
    """An arm at one level of every factor."""

    arm: str
    levels: dict[str, str]
    changes: NotRequired[dict[str, Any] | None]
    refused: str | None


class Cell(_Open):
    """A training run, and its folder relative to that of the study."""

    folder: str
    arm: str
    levels: dict[str, str]
    seed: int


class Plan(_Open):
    """plan.json; see `upnet.study.plan`."""

    study: str
    match: str
    reference: str
    variants: list[Variant]
    cells: list[Cell]
    overrides: NotRequired[list[str]]


def read_json_object(path: Path, kind: str) -> dict[str, Any]:
    """Read the JSON object in a file.

    kind: what the file should be, for errors.

    Raises UserError if the file is unreadable or no JSON object, or if a text in it has a control character.
    """
    cure = "Give a file that upnet has written, or its folder"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        control = next((text for text in _texts(content) if _CONTROL.search(text)), None)
    except OSError as error:
        raise UserError(f"{path} can't be read as {kind}: {error.strerror}", cure=cure) from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} can't be read as {kind}: it is not valid JSON", cure=cure) from error
    if control is not None:
        raise UserError(f"{path} can't be read as {kind}: {control[:40]!r} has control characters", cure=cure)
    if not isinstance(content, dict):
        raise UserError(f"{path} can't be read as {kind}: it is not a JSON object", cure=cure)
    return content


def validate(content: dict[str, Any], schema: Any, path: Path, kind: str) -> None:
    """Validate what was read from a file against a schema. Raises UserError that names the first invalid value."""
    try:
        TypeAdapter(schema).validate_python(content, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise UserError(f"{path} is not a valid {kind}: {place}: {first['msg']}") from error


def _texts(value: Any, depth: int = 0) -> Iterator[str]:
    """Every text in a JSON value, keys included."""
    if depth > _MAX_DEPTH:
        raise ValueError(f"nested more than {_MAX_DEPTH} levels deep")
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from value
        for inner in value.values():
            yield from _texts(inner, depth + 1)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner, depth + 1)
