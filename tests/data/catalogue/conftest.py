"""A server to download from."""

from collections.abc import Iterator

import pytest
from served import Server, serving

from upnet.data.catalogue import download as fetch


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """The address of a server, and its files, to be put there; nothing waits before asking it again."""
    monkeypatch.setattr(fetch, "PAUSE", 0.0)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with serving() as one:
        yield one
