"""Names for the arms of a study without a plan, made of the settings in which the arms differ."""

from collections.abc import Mapping, Sequence
from typing import Any


def arm_names(settings: Sequence[Mapping[str, Any]]) -> list[str]:
    """Names for arms without a plan: the operators, and every other setting in which the arms differ.

    settings: of each arm, with the model's config as "model".

    >>> nearest, bilinear = ({"upsampler": {"_target_": f"upnet.upsample.{name}"}} for name in ("Nearest", "Bilinear"))
    >>> arm_names([{"model": nearest, "lr": 0.1}, {"model": nearest, "lr": 0.2}, {"model": bilinear, "lr": 0.2}])
    ['Nearest, lr=0.1', 'Nearest, lr=0.2', 'Bilinear, lr=0.2']
    """
    flat = [flatten(arm) for arm in settings]
    keys = sorted({key for values in flat for key in values})
    differing = [key for key in keys if len({repr(values.get(key)) for values in flat}) > 1]
    names = []
    for arm, values in zip(settings, flat, strict=True):
        others = [f"{key}={values.get(key)}" for key in differing if not key.startswith("model.upsampler")]
        names.append(", ".join([" + ".join(operator_names(arm["model"])), *others]))
    if len(set(names)) == len(names):
        return names
    prefix = "model.upsampler."
    arguments = [key for key in differing if key.startswith(prefix)]
    return [
        f"{name} ({', '.join(f'{key.removeprefix(prefix)}={values[key]}' for key in arguments if key in values)})"
        for name, values in zip(names, flat, strict=True)
    ]


def operator_names(model: Mapping[str, Any]) -> list[str]:
    """The class names of the upsamplers in a model's config; "none" where there is none.

    >>> operator_names({"upsampler": [{"_target_": "upnet.upsample.Nearest"}, None]})
    ['Nearest', 'none']
    """
    upsampler = model.get("upsampler")
    nodes = upsampler if isinstance(upsampler, list) else [upsampler]
    return ["none" if node is None else str(node["_target_"]).rsplit(".", 1)[-1] for node in nodes]


def flatten(node: Any, path: str = "") -> dict[str, Any]:
    """Dotted path -> value, for every value in nested mappings.

    >>> flatten({"model": {"width": 16, "skip": True}, "steps": 4})
    {'model.width': 16, 'model.skip': True, 'steps': 4}
    """
    if not isinstance(node, Mapping):
        return {path: node}
    values: dict[str, Any] = {}
    for key, value in node.items():
        values |= flatten(value, f"{path}.{key}" if path else str(key))
    return values
