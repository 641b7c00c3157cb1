"""Downloading from a server that works, breaks off, forgets, changes its file, or lies."""

import hashlib
import io
import re
import tarfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from upnet.data.__main__ import main
from upnet.data.download import fetch as fetching
from upnet.data.download.fetch import DownloadError, fetch
from upnet.data.download.getting import get
from upnet.data.sets import Set5
from upnet.data.sets.base import Archive, Offer, Published

CONTENT = np.random.default_rng(0).bytes(100_000)


def sha256(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


@dataclass
class Served:
    """A file on the server, and how the server behaves.

    breaks: how many answers are broken off in the middle; fails: how many are errors.
    """

    content: bytes
    tag: str | None = '"one"'
    ranges: bool = True
    heeds_if_range: bool = True
    breaks: int = 0
    fails: int = 0
    kind: str = "application/octet-stream"
    asked: list[str | None] = field(default_factory=list)
    sent: int = 0


class Handler(BaseHTTPRequestHandler):
    """Answers GET for what is in `files`, by its path."""

    files: dict[str, Served]

    def do_GET(self) -> None:
        file = self.files.get(self.path)
        if file is None:
            return self.send_error(404)
        asked = self.headers.get("Range")
        file.asked.append(asked)
        if file.fails:
            file.fails -= 1
            return self.send_error(503)
        total, start = len(file.content), 0
        unchanged = self.headers.get("If-Range") in (None, file.tag) or not file.heeds_if_range
        if asked and file.ranges and unchanged:
            start = int(re.fullmatch(r"bytes=(\d+)-", asked)[1])  # pyright: ignore[reportOptionalSubscript]
            if start >= total:
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{total}")
                self.send_header("Content-Length", "0")
                return self.end_headers()
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}")
        self.send_header("Content-Length", str(total - start))
        self.send_header("Content-Type", file.kind)
        if file.tag:
            self.send_header("ETag", file.tag)
        self.end_headers()
        body = file.content[start:]
        if file.breaks:
            file.breaks -= 1
            body = body[: len(body) // 2]
        file.sent += len(body)
        self.wfile.write(body)
        return None

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, dict[str, Served]]]:
    """The address of a server, and its files, to be put there."""
    monkeypatch.setattr(fetching, "PAUSE", 0.0)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    files: dict[str, Served] = {}
    http = ThreadingHTTPServer(("127.0.0.1", 0), type("OwnHandler", (Handler,), {"files": files}))
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{http.server_port}", files
    http.shutdown()
    http.server_close()
    thread.join()


Server = tuple[str, dict[str, Served]]


def silent(text: str) -> None:
    """Where remarks go that no test asks for."""


def half(file: Path, content: bytes = CONTENT, tag: str = '"one"') -> None:
    """What a download leaves that was broken off in the middle."""
    file.with_name(f"{file.name}.part").write_bytes(content[:40_000])
    file.with_name(f"{file.name}.etag").write_text(tag)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


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
    [({"size": 99_999}, "100000 bytes, and the published one 99999"), ({"checksum": sha256(b"")}, "sha256 is")],
)
def test_another_file_than_was_published_is_not_kept(
    tmp_path: Path, server: Server, wrong: dict[str, object], told: str
) -> None:
    address, files = server
    files["/a.tar"] = Served(CONTENT)
    with pytest.raises(DownloadError, match=told):
        fetch(Archive(f"{address}/a.tar", "", **wrong), tmp_path / "a.tar", silent)  # pyright: ignore[reportArgumentType]
    assert names(tmp_path) == []


def test_a_web_page_is_not_taken_for_an_archive(tmp_path: Path, server: Server) -> None:
    address, files = server
    files["/a.tar"] = Served(b"<html>Please log in</html>", kind="text/html; charset=utf-8")
    with pytest.raises(DownloadError, match="a web page instead"):
        fetch(Archive(f"{address}/a.tar", ""), tmp_path / "a.tar", silent)


def picture(seed: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (12, 10, 3), np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def benchmark(files: dict[str, bytes]) -> bytes:
    """The content of a tar archive."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


FIVE = ("baby", "bird", "butterfly", "head", "woman")
REAL = benchmark(
    {f"benchmark/Set5/HR/{name}.png": picture(number) for number, name in enumerate(FIVE)}
    | {f"benchmark/Set5/LR_bicubic/X{s}/{name}x{s}.png": picture(9) for name in FIVE for s in (2, 3, 4)}
)
EVIL = benchmark({"benchmark/Set5/HR/a.png": picture(0), "../evil.png": picture(1)})


@pytest.fixture
def offered(monkeypatch: pytest.MonkeyPatch, server: Server) -> Callable[..., type[Published]]:
    """offered(content, …) -> Set5 as if it were to be had at the server, from one after the other."""
    address, files = server

    def offer(*contents: bytes) -> type[Published]:
        offers = []
        for number, content in enumerate(contents):
            files[f"/{number}/benchmark.tar"] = Served(content)
            archive = Archive(f"{address}/{number}/benchmark.tar", to="benchmark", part="benchmark")
            offers.append(Offer(f"number {number}", (archive,)))
        monkeypatch.setattr(Set5, "offers", tuple(offers))
        return Set5

    return offer


def test_a_set_is_downloaded_unpacked_and_found(tmp_path: Path, offered: Callable[..., type[Published]]) -> None:
    said: list[str] = []
    get(offered(REAL), tmp_path, said.append)
    assert said == ["from number 0 (0 MB)", "benchmark.tar: 20 pictures (no checksum is known)"]
    source = Set5(str(tmp_path))
    source.check(3)
    assert [entry.name for entry in source.pictures()] == list(FIVE)
    assert all(entry.read_lr(3) is not None for entry in source.pictures())
    assert names(tmp_path / ".download") == ["lock"]


def test_a_set_that_is_there_is_not_downloaded_again(
    tmp_path: Path, offered: Callable[..., type[Published]], server: Server
) -> None:
    get(offered(REAL), tmp_path, silent)
    get(Set5, tmp_path, silent)
    assert len(server[1]["/0/benchmark.tar"].asked) == 1


@pytest.mark.parametrize("bad", [EVIL, REAL[: len(REAL) // 2], b"nothing"], ids=["malicious", "broken", "no archive"])
def test_a_bad_archive_leaves_nothing_and_the_next_address_is_tried(
    tmp_path: Path, offered: Callable[..., type[Published]], bad: bytes
) -> None:
    said: list[str] = []
    get(offered(bad, REAL), tmp_path / "data", said.append)
    assert len(Set5(str(tmp_path / "data")).find()[1]) == 5  # pyright: ignore[reportOptionalSubscript]
    with pytest.raises(DownloadError):
        get(offered(bad), tmp_path / "other", silent)
    assert names(tmp_path / "other") == [".download"]
    assert names(tmp_path / "other/.download") == ["lock"]
    assert names(tmp_path) == ["data", "other"]


def test_a_set_that_lacks_a_picture_is_told_of(tmp_path: Path, offered: Callable[..., type[Published]]) -> None:
    with pytest.raises(DownloadError, match="Set5 has 5 pictures, and 1 of them"):
        get(offered(benchmark({"benchmark/Set5/HR/a.png": picture(0)})), tmp_path, silent)


def test_the_command_downloads_from_a_mirror_and_says_what_to_do_next(
    tmp_path: Path, server: Server, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    address, files = server
    files["/sets/benchmark.tar"] = Served(REAL, breaks=1)
    checksum = f"md5:{hashlib.md5(REAL, usedforsecurity=False).hexdigest()}"
    archive = Archive("https://nowhere.invalid/benchmark.tar", "benchmark", "benchmark", checksum=checksum)
    monkeypatch.setattr(Set5, "offers", (Offer("them", (archive,)),))
    arguments = ["download", "set5", "--root", str(tmp_path), "--mirror", f"{address}/sets/"]
    assert main(arguments) == 0
    out = capsys.readouterr().out
    assert f"from {address}/sets/, a mirror (0 MB)" in out
    assert "benchmark.tar: 20 pictures (md5)" in out
    assert f"python evaluate.py checkpoint=PATH data=set5 data.root={tmp_path}" in out


def test_exit_codes_tell_whose_fault_it_is(
    tmp_path: Path, offered: Callable[..., type[Published]], capsys: pytest.CaptureFixture[str]
) -> None:
    offered(EVIL)
    assert main(["download", "set5", "--root", str(tmp_path)]) == 1
    assert "leads elsewhere" in capsys.readouterr().err
    (tmp_path / "file").write_text("")
    assert main(["download", "set5", "--root", str(tmp_path / "file/below")]) == 2
    assert "name another folder by --root" in capsys.readouterr().err
    with pytest.raises(SystemExit) as refused:
        main(["download", "set6"])
    assert refused.value.code == 2
    assert "invalid choice: 'set6'" in capsys.readouterr().err


def test_manga109_is_not_downloaded_but_explained(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["download", "manga109", "--root", str(tmp_path)]) == 2
    told = capsys.readouterr().err
    assert "http://www.manga109.org/en/download.html" in told
    assert "Manga109/HR" in told


def test_an_interrupted_download_ends_with_130(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("upnet.data.download.command.get", interrupt)
    assert main(["download", "set5", "--root", str(tmp_path)]) == 130
    assert "the same command goes on" in capsys.readouterr().err


def test_without_a_command_every_set_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    listed = capsys.readouterr().out
    for name in ("set5", "set14", "bsd100", "urban100", "manga109", "div2k_valid", "div2k", "bsds", "t91", "flickr2k"):
        assert re.search(rf"^{name}\s", listed, re.MULTILINE)
