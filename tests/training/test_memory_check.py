"""A network that can't be trained in the memory that is free is refused while it is built."""

import pytest
from torch import nn

from upnet.training import factory as size
from upnet.training.factory import WEIGHT_COPIES, limit_memory


def test_a_network_is_refused_as_soon_as_its_weights_take_more_than_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    needed = WEIGHT_COPIES * 4 * (10 * 10 + 10)
    monkeypatch.setattr(size, "available_bytes", lambda: needed)
    with limit_memory():
        nn.Linear(10, 10)
    monkeypatch.setattr(size, "available_bytes", lambda: needed - 1)
    built: list[nn.Module] = []
    refusal = r"has at least 110 weights: training needs .* GiB for them, and .* are free\. Lower model\.encoder\.width"
    with pytest.raises(ValueError, match=refusal), limit_memory():
        built.append(nn.Linear(10, 10))
    assert not built
    nn.Linear(100, 100)  # nobody counts any more


def test_a_network_of_countless_tensors_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(size, "MAX_TENSORS", 4)
    with limit_memory():
        nn.Sequential(nn.Linear(1, 1), nn.Linear(1, 1))
    with pytest.raises(ValueError, match="has more than 4 weight tensors"), limit_memory():
        nn.Sequential(*(nn.Linear(1, 1) for _ in range(3)))
