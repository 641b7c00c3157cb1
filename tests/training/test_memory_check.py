"""A network that can't be trained in the free memory is rejected while it is built."""

import pytest
from torch import nn

from upnet.training import factory
from upnet.training.factory import WEIGHT_COPIES, limit_memory


def test_a_network_with_more_weights_than_free_memory_is_rejected_while_it_is_built(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    needed = WEIGHT_COPIES * 4 * (10 * 10 + 10)
    monkeypatch.setattr(factory, "available_bytes", lambda: needed)
    with limit_memory():
        nn.Linear(10, 10)
    monkeypatch.setattr(factory, "available_bytes", lambda: needed - 1)
    built: list[nn.Module] = []
    message = r"has at least 110 weights: training needs .* GiB for them, and .* are free\. Lower model\.encoder\.width"
    with pytest.raises(ValueError, match=message), limit_memory():
        built.append(nn.Linear(10, 10))
    assert not built
    nn.Linear(100, 100)  # not limited outside the context


def test_a_network_with_too_many_weight_tensors_is_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(factory, "MAX_TENSORS", 4)
    with limit_memory():
        nn.Sequential(nn.Linear(1, 1), nn.Linear(1, 1))
    with pytest.raises(ValueError, match="has more than 4 weight tensors"), limit_memory():
        nn.Sequential(*(nn.Linear(1, 1) for _ in range(3)))
