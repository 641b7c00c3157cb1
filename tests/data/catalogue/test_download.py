"""Downloading from a server that works, breaks off, forgets, changes its file, or lies."""

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


def half(file: Path, content: bytes = CONTENT, tag: str = '"one"') -> None:
    """What a download leaves that was broken off in the middle."""
    file.with_name(f"{file.name}.part").write_bytes(content[:40_000])
    file.with_name(f"{file.name}.etag").write_text(tag)


def test_a_file_arrives_whole_and_alone(tmp_path: Path, server: Server) -> None:
    address, files = server
    files["/a.tar"] = Served(CONTENT)
    fetch(Archive(f"{address}/a.tar", "", size=len(CONTENT), checksum=sha256(CONTENT)), tmp_path / "a.tar", silent)
    assert (tmp_path / "a.tar").read_bytes() == CONTENT
    assert names(tmp_path) == ["a.tar"]


@pytest.mark.parametrize("checksum", [sha256(CONTENT), None])
def test_a_broken_connection_is_taken_up_where_it_broke(tmp_path: Path, server: Server, checksum: str | None) -> None:
    address, files = server
    file = files["/a.tar"] = Served(CONTENT, breaks=3)
    fetch(Archive(f"{address}/a.tar", "", checksum=checksum), tmp_path / "a.tar", silent)
    assert (tmp_path / "a.tar").read_bytes() == CONTENT
    assert file.asked == [None, "bytes=50000-", "bytes=75000-", "bytes=87500-"]
    assert file.sent == len(CONTENT)


def test_a_second_command_takes_up_what_the_first_one_left(tmp_path: Path, server: Server) -> None:
    address, files = server
    file = files["/a.tar"] = Served(CONTENT)
    half(tmp_path / "a.tar")
    fetch(Archive(f"{address}/a.tar", ""), tmp_path / "a.tar", silent)
    assert (tmp_path / "a.tar").read_bytes() == CONTENT
    assert file.asked == ["bytes=40000-"]


def test_a_server_without_ranges_begins_again(tmp_path: Path, server: Server) -> None:
    address, files = server
    files["/a.tar"] = Served(CONTENT, ranges=False, breaks=1)
    half(tmp_path / "a.tar")
    fetch(Archive(f"{address}/a.tar", ""), tmp_path / "a.tar", silent)
    assert (tmp_path / "a.tar").read_bytes() == CONTENT


@pytest.mark.parametrize("heeds", [True, False])
def test_a_file_that_changed_meanwhile_is_not_glued_to_its_older_half(
    tmp_path: Path, server: Server, heeds: bool
) -> None:
    address, files = server
    newer = CONTENT[::-1]
    files["/a.tar"] = Served(newer, tag='"two"', heeds_if_range=heeds)
    half(tmp_path / "a.tar", tag='"one"')
    fetch(Archive(f"{address}/a.tar", ""), tmp_path / "a.tar", silent)
    assert (tmp_path / "a.tar").read_bytes() == newer


def test_a_half_that_nothing_vouches_for_is_not_used(tmp_path: Path, server: Server) -> None:
    address, files = server
    file = files["/a.tar"] = Served(CONTENT, tag=None)
    half(tmp_path / "a.tar", content=bytes(100_000), tag="")
    fetch(Archive(f"{address}/a.tar", ""), tmp_path / "a.tar", silent)
    assert (tmp_path / "a.tar").read_bytes() == CONTENT
    assert file.asked == [None]


def test_where_only_the_checksum_vouches_a_wrong_half_is_found_and_replaced(tmp_path: Path, server: Server) -> None:
    address, files = server
    file = files["/a.tar"] = Served(CONTENT, tag=None)
    half(tmp_path / "a.tar", content=bytes(100_000), tag="")
    said: list[str] = []
    fetch(Archive(f"{address}/a.tar", "", checksum=sha256(CONTENT)), tmp_path / "a.tar", said.append)
    assert (tmp_path / "a.tar").read_bytes() == CONTENT
    assert file.asked == ["bytes=40000-", None]
    assert "from the start" in said[0]


def test_a_half_that_is_the_whole_needs_no_more(tmp_path: Path, server: Server) -> None:
    address, files = server
    file = files["/a.tar"] = Served(CONTENT)
    half(tmp_path / "a.tar")
    (tmp_path / "a.tar.part").write_bytes(CONTENT)
    fetch(Archive(f"{address}/a.tar", ""), tmp_path / "a.tar", silent)
    assert (tmp_path / "a.tar").read_bytes() == CONTENT
    assert file.sent == 0


def test_errors_that_pass_are_waited_for_and_others_are_not(tmp_path: Path, server: Server) -> None:
    address, files = server
    files["/a.tar"] = Served(CONTENT, fails=4)
    fetch(Archive(f"{address}/a.tar", ""), tmp_path / "a.tar", silent)
    files["/a.tar"] = Served(CONTENT, fails=5)
    with pytest.raises(DownloadError, match="503"):
        fetch(Archive(f"{address}/a.tar", ""), tmp_path / "b.tar", silent)
    with pytest.raises(DownloadError, match="404"):
        fetch(Archive(f"{address}/none.tar", ""), tmp_path / "c.tar", silent)


def test_a_server_that_is_not_there_is_told_of(tmp_path: Path, server: Server) -> None:
    with pytest.raises(DownloadError, match=r"http://127\.0\.0\.1:9/a\.tar: "):
        fetch(Archive("http://127.0.0.1:9/a.tar", ""), tmp_path / "a.tar", silent)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [({"size": 99_999}, "100000 bytes instead of 99999"), ({"checksum": sha256(b"")}, "sha256 is")],
)
def test_another_file_than_was_published_is_not_kept(
    tmp_path: Path, server: Server, wrong: dict[str, object], told: str
) -> None:
    address, files = server
    files["/a.tar"] = Served(CONTENT)
    with pytest.raises(DownloadError, match=told):
        fetch(Archive(f"{address}/a.tar", "", **wrong), tmp_path / "a.tar", silent)  # pyright: ignore[reportArgumentType]
    assert names(tmp_path) == []


def test_what_lies_there_is_another_file_where_its_size_is_not_the_published_one(
    tmp_path: Path, server: Server
) -> None:
    address, files = server
    files["/a.tar"] = Served(CONTENT)
    (tmp_path / "a.tar").write_bytes(CONTENT[:-1])
    fetch(Archive(f"{address}/a.tar", "", size=len(CONTENT)), tmp_path / "a.tar", silent)
    assert (tmp_path / "a.tar").read_bytes() == CONTENT


def test_a_protected_address_may_not_lead_to_one_that_is_not_where_no_checksum_vouches(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    address, files = server
    files["/a.tar"] = Served(CONTENT)
    honest = http_request.urlopen

    def led(request: Request, timeout: float) -> HTTPResponse:
        return honest(Request(request.full_url.replace("https://set.org", address)), timeout=timeout)

    monkeypatch.setattr(http_request, "urlopen", led)
    with pytest.raises(DownloadError, match=r"it redirects to http://127.*, which is not protected by https"):
        fetch(Archive("https://set.org/a.tar", ""), tmp_path / "a.tar", silent)
    assert names(tmp_path) == []
    fetch(Archive("https://set.org/a.tar", "", checksum=sha256(CONTENT)), tmp_path / "a.tar", silent)


def test_no_more_is_written_than_a_file_may_have_where_the_server_does_not_say_how_much_comes(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    address, files = server
    files["/a.tar"] = Served(CONTENT, says_length=False)
    monkeypatch.setattr(http_request, "BLOCK", 1000)
    with pytest.raises(DownloadError, match="sends more than the 50000 bytes of the file"):
        fetch(Archive(f"{address}/a.tar", "", size=50_000), tmp_path / "a.tar", silent)
    assert sum(path.stat().st_size for path in tmp_path.iterdir() if path.suffix != ".etag") <= 50_000


def test_a_web_page_is_not_taken_for_an_archive(tmp_path: Path, server: Server) -> None:
    address, files = server
    files["/a.tar"] = Served(b"<html>Please log in</html>", kind="text/html; charset=utf-8")
    with pytest.raises(DownloadError, match="a web page instead"):
        fetch(Archive(f"{address}/a.tar", ""), tmp_path / "a.tar", silent)
