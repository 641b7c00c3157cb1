"""Which numbers may stand in one table, and what stands beside every number."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

Content = Mapping[str, Any]
"""What a results.json holds, see `upnet.evaluation.results`."""


def protocol_label(content: Content) -> str:
    """The protocol in a few words, for a title: "×2, rgb8, channel y, crop 2"."""
    protocol = content["protocol"]
    told = f"×{protocol['scale']}, {protocol['name']}, channel {protocol['channel']}, crop {protocol['crop']}"
    told += f", grey {protocol['grey']}" if protocol.get("grey", "studio") != "studio" else ""
    return told + (f", ensemble {protocol['ensemble']}" if protocol["ensemble"] != "none" else "")


def footnote(content: Content, dataset: str) -> str:
    """Everything that a data set's numbers depend on, in one paragraph."""
    protocol, told, versions = content["protocol"], content["datasets"][dataset], content["versions"]
    lr_from, _, rounded_up = str(told["lr_from"]).partition(", ")
    lr = {"files": "LR as its files have it", "both": "LR from files and made here"}.get(
        lr_from, "LR: " + ", ".join(str(protocol[key]) for key in ("lr", "resizing") if key in protocol)
    )
    lr += " (sizes rounded up: LR and HR cropped to whole LR pixels)" if rounded_up else ""
    parts = [
        lr,
        f"Y {protocol['y']}" if "y" in protocol else "",
        f"grey pictures {protocol['grey']}" if "grey" in protocol else "",
        f"SSIM {protocol['ssim']}" if "ssim" in protocol else "",
        str(protocol.get("precision", "")),
        *(f"{name} {measure.get('weights', '')}" for name, measure in content["measures"].items()),
        f"pictures {str(told['pictures'])[:12]}",
        ", ".join(f"{name} {versions[name]}" for name in ("upnet", "torch") if name in versions),
        "" if content["device"] is None else f"on {content['device']}",
        "" if content["tile"] in (None, "auto") else f"tile {content['tile']}",
    ]
    return "; ".join(part for part in parts if part)


def footnote_with_remark(content: Content, dataset: str) -> str:
    """The footnote, and which images don't count in the means, or count in a way of their own."""
    remark = content["datasets"][dataset].get("remark")
    return f"{footnote(content, dataset)}. {remark}" if remark else footnote(content, dataset)


def protocol_groups(names: Sequence[str], contents: Sequence[Content], mixed: bool) -> dict[str, list[int | None]]:
    """By data set, on which footing each content's numbers stand: equal numbers from 0 on may be compared.

    Two are on the same footing where protocol, pictures and the versions of common measures agree; None stands for a
    content that lacks the data set. Raises ValueError, naming what differs, unless `mixed` numbers are asked for.
    """
    datasets = list(dict.fromkeys(dataset for content in contents for dataset in content["datasets"]))
    measured = [name for name in contents[0]["measures"] if all(name in content["measures"] for content in contents)]
    grouped: dict[str, list[int | None]] = {}
    for dataset in datasets:
        seen: list[str] = []
        grouped[dataset] = []
        for content in contents:
            if dataset not in content["datasets"]:
                grouped[dataset].append(None)
                continue
            footing = json.dumps(_footing(content, dataset, measured), sort_keys=True)
            seen += [footing] * (footing not in seen)
            grouped[dataset].append(seen.index(footing))
    if not mixed:
        for dataset, groups in grouped.items():
            for index, group in enumerate(groups):
                if group != groups[0]:
                    raise ValueError(_refusal(names[0], names[index], contents[0], contents[index], dataset))
    return grouped


def group_label(text: str, footing: int | None, several: bool) -> str:
    """A heading with the number of its footing, where a table has more than one."""
    return f"{text} [{footing + 1}]" if several and footing is not None else text


def _footing(content: Content, dataset: str, measured: Sequence[str]) -> dict[str, Any]:
    return {
        "protocol": content["protocol"],
        "pictures": content["datasets"][dataset]["pictures"],
        "measures": {name: content["measures"][name] for name in measured},
    }


def _refusal(name: str, other: str, one: Content, two: Content, dataset: str) -> str:
    what = "were scored by different protocols or on different pictures"
    cure = (
        "their numbers don't belong into one table; show them one by one, or add allow_mixed=true to have them marked"
    )
    lacking = [label for label, content in ((name, one), (other, two)) if dataset not in content["datasets"]]
    if lacking:
        return f"{name} and {other} {what} ({lacking[0]} has no {dataset}), and {cure}"
    differing = [
        f"{key} {one['protocol'].get(key)} and {two['protocol'].get(key)}"
        for key in sorted({*one["protocol"], *two["protocol"]})
        if one["protocol"].get(key) != two["protocol"].get(key)
    ]
    if one["datasets"][dataset]["pictures"] != two["datasets"][dataset]["pictures"]:
        differing.append(f"other pixels in {dataset}")
    differing += [
        f"other weights or versions of {measure}"
        for measure in sorted({*one["measures"]} & {*two["measures"]})
        if one["measures"][measure] != two["measures"][measure]
    ]
    return f"{name} and {other} {what} ({'; '.join(differing)}), and {cure}"
