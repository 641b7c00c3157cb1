"""A local server for the tests of downloads."""

from collections.abc import Iterator

import pytest
from served import Server, serving

from upnet.data.catalogue import download as fetch


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """The address of a server and the dict of its files; repeated requests are sent without a pause."""
    monkeypatch.setattr(fetch, "PAUSE", 0.0)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with serving() as address_and_files:
        yield address_and_files
