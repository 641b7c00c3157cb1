"""JSON that lies in the folder of a run or a study, which may come from a stranger: read, and held against a schema."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from pydantic import ConfigDict, TypeAdapter, ValidationError
from typing_extensions import NotRequired, TypedDict

Number = float | Literal["inf"]
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_DEEPEST = 50


class _Open(TypedDict):
    """A mapping that may hold further keys."""

    __pydantic_config__ = ConfigDict(extra="allow")  # pyright: ignore[reportGeneralTypeIssues]


class Scores(_Open):
    """PSNR in dB, SSIM, and further measures."""

    psnr: Number
    ssim: Number


class Image(Scores):
    """Of one picture."""

    baseline: Scores


class Baseline(Scores):
    """Of an interpolation."""

    name: str


class Dataset(Scores):
    """Of a data set: means, and picture by picture."""

    pictures: str
    baseline: Baseline
    images: dict[str, Image]
    lr_from: NotRequired[str | None]
    left_out: NotRequired[list[str]]
    exact: NotRequired[list[str]]
    remark: NotRequired[str]


class Protocol(_Open):
    """What was scored and how."""

    name: str
    scale: int
    channel: str
    crop: int


class Method(_Open):
    """What enlarged the pictures."""

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
    """results.json of a training."""

    settings: dict[str, Any]
    model: dict[str, Any]
    seed: int
    parameters: int
    scale: NotRequired[int]
    val_root: NotRequired[str | list[str] | None]


class Variant(_Open):
    """An arm at its levels."""

    arm: str
    levels: dict[str, str]
    changes: NotRequired[dict[str, Any] | None]
    refused: str | None


class Cell(_Open):
    """A training, and its folder below the study's."""

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


def read_json_object(path: Path, what: str) -> dict[str, Any]:
    """The mapping in a JSON file. Raises ValueError where it is none, or has a control character in a text.

    what: the word for it in a refusal.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        control = next((text for text in _texts(content) if _CONTROL.search(text)), None)
    except (OSError, ValueError, RecursionError) as fault:
        reason = fault.strerror if isinstance(fault, OSError) else "it isn't JSON"
        raise ValueError(
            f"{path} can't be read as {what}: {reason}; give a file that upnet has written, or its folder"
        ) from fault
    if control is not None:
        raise ValueError(
            f"{path} can't be read as {what}: it holds {control[:40]!r}, whose control characters no name has"
        )
    if not isinstance(content, dict):
        raise ValueError(f"{path} can't be read as {what}: it holds no mapping")
    return content


def validate(content: dict[str, Any], schema: Any, path: Path, what: str) -> None:
    """Hold what was read against a schema. Raises ValueError that names the first place at which it differs."""
    try:
        TypeAdapter(schema).validate_python(content, strict=True)
    except ValidationError as fault:
        first = fault.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise ValueError(f"{path} is no whole {what}: {place}: {first['msg']}") from fault


def _texts(value: Any, depth: int = 0) -> Iterator[str]:
    if depth > _DEEPEST:
        raise ValueError(f"it is nested more than {_DEEPEST} levels deep")
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from value
        for inner in value.values():
            yield from _texts(inner, depth + 1)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner, depth + 1)
