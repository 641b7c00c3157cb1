"""Which results may share a table, and the labels and footnotes that state what every number depends on."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from upnet.utils.errors import UserError

Content = Mapping[str, Any]
"""The content of a results.json, see `upnet.evaluation.results`."""


def protocol_label(content: Content) -> str:
    """The protocol in short form, for titles.

    >>> protocol = {"scale": 2, "name": "rgb8", "channel": "y", "crop": 2, "ensemble": "none"}
    >>> protocol_label({"protocol": protocol})
    '×2, rgb8, channel y, crop 2'
    """
    protocol = content["protocol"]
    parts = [f"×{protocol['scale']}", protocol["name"], f"channel {protocol['channel']}", f"crop {protocol['crop']}"]
    if protocol.get("grey", "studio") != "studio":
        parts.append(f"grey {protocol['grey']}")
    if protocol["ensemble"] != "none":
        parts.append(f"ensemble {protocol['ensemble']}")
    return ", ".join(parts)


def footnote(content: Content, dataset: str) -> str:
    """Everything that the numbers of a data set depend on, in one paragraph: LR, protocol, images, versions, device."""
    protocol, scores, versions = content["protocol"], content["datasets"][dataset], content["versions"]
    parts = [
        _lr_origin(protocol, str(scores["lr_from"])),
        f"Y {protocol['y']}" if "y" in protocol else "",
        f"grey images {protocol['grey']}" if "grey" in protocol else "",
        f"SSIM {protocol['ssim']}" if "ssim" in protocol else "",
        str(protocol.get("precision", "")),
        *(f"{name} {measure.get('weights', '')}" for name, measure in content["measures"].items()),
        f"image hash {str(scores['pictures'])[:12]}",
        ", ".join(f"{name} {versions[name]}" for name in ("upnet", "torch") if name in versions),
        "" if content["device"] is None else f"on {content['device']}",
        "" if content["tile"] in (None, "auto") else f"tile {content['tile']}",
    ]
    return "; ".join(part for part in parts if part)


def footnote_with_remark(content: Content, dataset: str) -> str:
    """The footnote, followed by the remark on images that are left out of the means or count as the PSNR ceiling."""
    remark = content["datasets"][dataset].get("remark")
    return f"{footnote(content, dataset)}. {remark}" if remark else footnote(content, dataset)


def protocol_groups(
    names: Sequence[str], contents: Sequence[Content], allow_mixed: bool
) -> dict[str, list[int | None]]:
    """By data set, the protocol group of each content; numbers of the same group are comparable.

    Two contents are in the same group if protocol, image hash and the versions of their common perceptual measures
    agree. Groups are numbered from 0 in the order of `contents`; None marks a content without the data set.

    names: of the contents, for errors.

    Raises UserError that states the differences if there are several groups and `allow_mixed` is false.
    """
    datasets = dict.fromkeys(dataset for content in contents for dataset in content["datasets"])
    measures = [name for name in contents[0]["measures"] if all(name in content["measures"] for content in contents)]
    groups_by_dataset: dict[str, list[int | None]] = {}
    for dataset in datasets:
        keys: list[str] = []
        groups: list[int | None] = []
        for content in contents:
            if dataset not in content["datasets"]:
                groups.append(None)
                continue
            key = _group_key(content, dataset, measures)
            keys += [key] * (key not in keys)
            groups.append(keys.index(key))
        groups_by_dataset[dataset] = groups
    if not allow_mixed:
        for dataset, groups in groups_by_dataset.items():
            other = next((index for index, group in enumerate(groups) if group != groups[0]), None)
            if other is not None:
                raise _mixed_error((names[0], names[other]), (contents[0], contents[other]), dataset)
    return groups_by_dataset


def group_label(text: str, group: int | None, several: bool) -> str:
    """A heading followed by the number of its protocol group if the table has `several` groups.

    >>> group_label("bicubic", 0, several=True), group_label("bicubic", 0, several=False)
    ('bicubic [1]', 'bicubic')
    """
    return f"{text} [{group + 1}]" if several and group is not None else text


def _lr_origin(protocol: Mapping[str, Any], lr_from: str) -> str:
    """Where the LR images come from; empty if unknown.

    lr_from: "files", "imresize" or "both", with ", rounded up" for rounded sizes.

    >>> _lr_origin({"lr": "MATLAB imresize"}, "imresize"), _lr_origin({}, "imresize"), _lr_origin({}, "None")
    ('LR: MATLAB imresize', 'LR by imresize', '')
    """
    origin, _, rounded_up = lr_from.partition(", ")
    degradation = ", ".join(str(protocol[key]) for key in ("lr", "resizing") if key in protocol)
    if origin == "files":
        text = "LR from files"
    elif origin == "both":
        text = "LR from files, missing ones made from HR"
    elif degradation:
        text = f"LR: {degradation}"
    else:
        text = "LR by imresize" if origin == "imresize" else ""
    return text + (" (LR sizes rounded up: LR and HR cropped to whole LR pixels)" if rounded_up else "")


def _group_key(content: Content, dataset: str, measures: Sequence[str]) -> str:
    key = {
        "protocol": content["protocol"],
        "pictures": content["datasets"][dataset]["pictures"],
        "measures": {name: content["measures"][name] for name in measures},
    }
    return json.dumps(key, sort_keys=True)


def _mixed_error(names: tuple[str, str], contents: tuple[Content, Content], dataset: str) -> UserError:
    lacking = [name for name, content in zip(names, contents, strict=True) if dataset not in content["datasets"]]
    differences = [f"{lacking[0]} has no {dataset}"] if lacking else _differences(*contents, dataset)
    return UserError(
        f"{names[0]} and {names[1]} differ in protocol or images ({'; '.join(differences)}), so their numbers are not "
        "comparable",
        cure="Evaluate them in separate tables, or add allow_mixed=true to mark the columns",
    )


def _differences(first: Content, second: Content, dataset: str) -> list[str]:
    differences = [
        f"{key}: {first['protocol'].get(key)} and {second['protocol'].get(key)}"
        for key in sorted({*first["protocol"], *second["protocol"]})
        if first["protocol"].get(key) != second["protocol"].get(key)
    ]
    if first["datasets"][dataset]["pictures"] != second["datasets"][dataset]["pictures"]:
        differences.append(f"different pixels in {dataset}")
    differences += [
        f"different weights or version of {measure}"
        for measure in sorted({*first["measures"]} & {*second["measures"]})
        if first["measures"][measure] != second["measures"][measure]
    ]
    return differences
