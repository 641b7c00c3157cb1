"""Downloads from a server that works, closes connections, returns errors, changes its file or sends wrong data."""

import hashlib
from http.client import HTTPResponse
from pathlib import Path
from urllib.request import Request

import numpy as np
import pytest
from served import Served, Server, names, silent

from upnet.data.catalogue import download as download
from upnet.data.catalogue import http_request
from upnet.data.catalogue.archives import Archive, DownloadError
from upnet.data.catalogue.download import fetch

CONTENT = np.random.default_rng(0).bytes(100_000)


def sha256(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def write_partial_download(file: Path, content: bytes = CONTENT, tag: str = '"one"') -> None:
    """Write the files that an interrupted download leaves."""
    file.with_name(f"{file.name}.part").write_bytes(content[:40_000])
    file.with_name(f"{file.name}.etag").write_text(tag)


def test_a_download_leaves_only_the_complete_file(tmp_path: Path, server: Server) -> None:
    address, files = server
    files["/a.tar"] = Served(CONTENT)
    fetch(Archive(f"{address}/a.tar", "", size=len(CONTENT), checksum=sha256(CONTENT)), tmp_path / "a.tar", silent)
    assert (tmp_path / "a.tar").read_bytes() == CONTENT
    assert names(tmp_path) == ["a.tar"]


@pytest.mark.parametrize("checksum", [sha256(CONTENT), None])
def test_a_broken_connection_is_resumed_at_the_same_byte(tmp_path: Path, server: Server, checksum: str | None) -> None:
    address, files = server
    file = files["/a.tar"] = Served(CONTENT, breaks=3)
    fetch(Archive(f"{address}/a.tar", "", checksum=checksum), tmp_path / "a.tar", silent)
    assert (tmp_path / "a.tar").read_bytes() == CONTENT
    assert file.asked == [None, "bytes=50000-", "bytes=75000-", "bytes=87500-"]
    assert file.sent == len(CONTENT)


def test_a_second_download_resumes_the_partial_file(tmp_path: Path, server: Server) -> None:
    address, files = server
    file = files["/a.tar"] = Served(CONTENT)
    write_partial_download(tmp_path / "a.tar")
    fetch(Archive(f"{address}/a.tar", ""), tmp_path / "a.tar", silent)
    assert (tmp_path / "a.tar").read_bytes() == CONTENT
    assert file.asked == ["bytes=40000-"]


def test_a_download_restarts_if_the_server_does_not_support_ranges(tmp_path: Path, server: Server) -> None:
    address, files = server
    files["/a.tar"] = Served(CONTENT, ranges=False, breaks=1)
    write_partial_download(tmp_path / "a.tar")
    fetch(Archive(f"{address}/a.tar", ""), tmp_path / "a.tar", silent)
    assert (tmp_path / "a.tar").read_bytes() == CONTENT


@pytest.mark.parametrize("respects_if_range", [True, False])
def test_a_changed_file_is_not_appended_to_the_old_partial_file(
    tmp_path: Path, server: Server, respects_if_range: bool
) -> None:
    address, files = server
    new_content = CONTENT[::-1]
    files["/a.tar"] = Served(new_content, tag='"two"', heeds_if_range=respects_if_range)
    write_partial_download(tmp_path / "a.tar", tag='"one"')
    fetch(Archive(f"{address}/a.tar", ""), tmp_path / "a.tar", silent)
    assert (tmp_path / "a.tar").read_bytes() == new_content


def test_a_partial_file_without_etag_and_checksum_is_discarded(tmp_path: Path, server: Server) -> None:
    address, files = server
    file = files["/a.tar"] = Served(CONTENT, tag=None)
    write_partial_download(tmp_path / "a.tar", content=bytes(100_000), tag="")
    fetch(Archive(f"{address}/a.tar", ""), tmp_path / "a.tar", silent)
    assert (tmp_path / "a.tar").read_bytes() == CONTENT
    assert file.asked == [None]


def test_a_wrong_partial_file_is_replaced_after_the_checksum_fails(tmp_path: Path, server: Server) -> None:
    address, files = server
    file = files["/a.tar"] = Served(CONTENT, tag=None)
    write_partial_download(tmp_path / "a.tar", content=bytes(100_000), tag="")
    messages: list[str] = []
    fetch(Archive(f"{address}/a.tar", "", checksum=sha256(CONTENT)), tmp_path / "a.tar", messages.append)
    assert (tmp_path / "a.tar").read_bytes() == CONTENT
    assert file.asked == ["bytes=40000-", None]
    assert "from the start" in messages[0]


def test_a_complete_partial_file_is_not_downloaded_again(tmp_path: Path, server: Server) -> None:
    address, files = server
    file = files["/a.tar"] = Served(CONTENT)
    write_partial_download(tmp_path / "a.tar")
    (tmp_path / "a.tar.part").write_bytes(CONTENT)
    fetch(Archive(f"{address}/a.tar", ""), tmp_path / "a.tar", silent)
    assert (tmp_path / "a.tar").read_bytes() == CONTENT
    assert file.sent == 0


def test_temporary_errors_are_retried_and_permanent_errors_are_not(tmp_path: Path, server: Server) -> None:
    address, files = server
    files["/a.tar"] = Served(CONTENT, fails=4)
    fetch(Archive(f"{address}/a.tar", ""), tmp_path / "a.tar", silent)
    files["/a.tar"] = Served(CONTENT, fails=5)
    with pytest.raises(DownloadError, match="503"):
        fetch(Archive(f"{address}/a.tar", ""), tmp_path / "b.tar", silent)
    with pytest.raises(DownloadError, match="404"):
        fetch(Archive(f"{address}/none.tar", ""), tmp_path / "c.tar", silent)


def test_an_unreachable_server_is_reported_with_the_address(tmp_path: Path, server: Server) -> None:
    with pytest.raises(DownloadError, match=r"http://127\.0\.0\.1:9/a\.tar: "):
        fetch(Archive("http://127.0.0.1:9/a.tar", ""), tmp_path / "a.tar", silent)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [({"size": 99_999}, "100000 bytes instead of 99999"), ({"checksum": sha256(b"")}, "sha256 is")],
)
def test_a_file_of_the_wrong_size_or_checksum_is_deleted(
    tmp_path: Path, server: Server, wrong: dict[str, object], message: str
) -> None:
    address, files = server
    files["/a.tar"] = Served(CONTENT)
    with pytest.raises(DownloadError, match=message):
        fetch(Archive(f"{address}/a.tar", "", **wrong), tmp_path / "a.tar", silent)  # pyright: ignore[reportArgumentType]
    assert names(tmp_path) == []


def test_an_existing_file_of_the_wrong_size_is_replaced(tmp_path: Path, server: Server) -> None:
    address, files = server
    files["/a.tar"] = Served(CONTENT)
    (tmp_path / "a.tar").write_bytes(CONTENT[:-1])
    fetch(Archive(f"{address}/a.tar", "", size=len(CONTENT)), tmp_path / "a.tar", silent)
    assert (tmp_path / "a.tar").read_bytes() == CONTENT


def test_a_redirect_from_https_to_http_is_rejected_without_a_checksum(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    address, files = server
    files["/a.tar"] = Served(CONTENT)
    urlopen = http_request.urlopen

    def redirect_to_server(request: Request, timeout: float) -> HTTPResponse:
        return urlopen(Request(request.full_url.replace("https://set.org", address)), timeout=timeout)

    monkeypatch.setattr(http_request, "urlopen", redirect_to_server)
    with pytest.raises(DownloadError, match=r"it redirects to http://127.*, which is not protected by https"):
        fetch(Archive("https://set.org/a.tar", ""), tmp_path / "a.tar", silent)
    assert names(tmp_path) == []
    fetch(Archive("https://set.org/a.tar", "", checksum=sha256(CONTENT)), tmp_path / "a.tar", silent)


def test_a_download_without_content_length_stops_at_the_published_size(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    address, files = server
    files["/a.tar"] = Served(CONTENT, says_length=False)
    monkeypatch.setattr(http_request, "BLOCK", 1000)
    with pytest.raises(DownloadError, match="sends more than the 50000 bytes of the file"):
        fetch(Archive(f"{address}/a.tar", "", size=50_000), tmp_path / "a.tar", silent)
    assert sum(path.stat().st_size for path in tmp_path.iterdir() if path.suffix != ".etag") <= 50_000


def test_a_web_page_is_rejected_as_an_archive(tmp_path: Path, server: Server) -> None:
    address, files = server
    files["/a.tar"] = Served(b"<html>Please log in</html>", kind="text/html; charset=utf-8")
    with pytest.raises(DownloadError, match="a web page instead"):
        fetch(Archive(f"{address}/a.tar", ""), tmp_path / "a.tar", silent)
