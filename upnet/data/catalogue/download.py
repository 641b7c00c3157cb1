"""Download a file: interrupted downloads are resumed, and size and checksum are verified."""

import hashlib
import http.client
import re
import shutil
import ssl
import sys
import time
from collections.abc import Callable
from http.client import HTTPResponse
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from tqdm import tqdm

from upnet.data.catalogue.base import Archive
from upnet.utils.errors import UserError

ATTEMPTS = 5
"""The number of consecutive failures, without any data received, before a download is given up."""

PAUSE = 1.0
"""Seconds before the second attempt; doubled before each further one."""

TIMEOUT = 30.0
"""Seconds without an answer from the server."""

BLOCK = 1 << 20
MAX_SIZE = 100_000_000_000
"""The largest file in bytes, if its size is unknown."""

RETRY_STATUS = (408, 425, 429, 500, 502, 503, 504)
"""HTTP status codes of temporary failures."""


class DownloadError(UserError):
    """A set could not be downloaded."""


class _RestartError(Exception):
    """The partial file cannot be continued: download it from the start."""


def fetch(archive: Archive, file: Path, say: Callable[[str], None]) -> None:
    """Download an archive to `file`, which is created when it is complete and its size and checksum are verified.

    Data is written to FILE.part, and the version of the server's file to FILE.etag. An interrupted download is resumed,
    unless the server's file has changed or the server doesn't support it.

    say: reports progress, one line per call.

    Raises DownloadError if the server refuses, fails repeatedly, or has another file than the published one; OSError
    if the file cannot be written.
    """
    if file.exists():
        if _wrong(archive, file) is None:
            return
        file.unlink()
    part = file.with_name(f"{file.name}.part")
    resumed = _size(part) > 0
    _complete(archive, part, say)
    wrong = _wrong(archive, part)
    if wrong and resumed:  # the two halves may belong to different versions
        say(f"{wrong}; downloading it again from the start")
        _forget(part)
        _complete(archive, part, say)
        wrong = _wrong(archive, part)
    if wrong:
        _forget(part)
        raise DownloadError(f"{archive.url}: {wrong}, so it is not the published file; it was deleted")
    part.replace(file)
    _tag(part).unlink(missing_ok=True)


def _complete(archive: Archive, part: Path, say: Callable[[str], None]) -> None:
    """Request the missing part until the file is complete."""
    failures = 0
    while True:
        before = _size(part)
        try:
            _receive(archive, part)
            return
        except _RestartError:
            if before == 0:
                raise DownloadError(f"{archive.url}: the server doesn't send the file from the start") from None
            _forget(part)
            continue
        except HTTPError as error:
            if error.code not in RETRY_STATUS:
                raise DownloadError(f"{archive.url}: the server answers {error.code} {error.reason}") from error
            reason = f"the server answers {error.code} {error.reason}"
        except (URLError, http.client.HTTPException, ConnectionError, TimeoutError, ssl.SSLError) as error:
            reason = _reason(error)
        failures = 1 if _size(part) > before else failures + 1
        if failures >= ATTEMPTS:
            kept = _size(part) / 1e6
            cure = f"The same command continues after the {kept:.1f} MB that are kept" if kept else ""
            raise DownloadError(f"{archive.url}: {reason}", cure=cure)
        say(f"{reason}; trying again")
        time.sleep(PAUSE * 2 ** (failures - 1))


def _receive(archive: Archive, part: Path) -> None:
    """One request for the missing part. Raises _RestartError, or the errors of urllib and http."""
    have = _size(part)
    headers = {"User-Agent": "upnet", "Accept-Encoding": "identity"}
    if have:
        tag = _tag(part).read_text(encoding="utf-8") if _tag(part).exists() else ""
        if not tag and archive.checksum is None:
            raise _RestartError  # nothing verifies that the halves belong together
        headers |= {"Range": f"bytes={have}-"} | ({"If-Range": tag} if tag else {})
    try:
        response = urlopen(Request(archive.url, headers=headers), timeout=TIMEOUT)
    except HTTPError as error:
        if error.code == 416:  # the file is complete, or the server's file has become shorter
            if archive.size == have or error.headers.get("Content-Range", "") == f"bytes */{have}":
                return
            raise _RestartError from error
        raise
    with response:
        _check_safe(archive, response)
        start, total = _extent(response, have)
        if start and (old := headers.get("If-Range")) and (new := _version(response)) and new != old:
            raise _RestartError
        _check_size(archive, total)
        if start == 0:
            _forget(part)
            _tag(part).write_text(_version(response), encoding="utf-8")
        _write(archive, response, part, start, total)


def _extent(response: HTTPResponse, have: int) -> tuple[int, int | None]:
    """The offset at which the response begins, and the size of the complete file; None if unknown."""
    if response.status == 206:
        match = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", "").strip())
        if match is None or int(match[1]) != have:
            raise _RestartError
        return have, None if match[2] == "*" else int(match[2])
    length = response.headers.get("Content-Length", "")
    return 0, int(length) if length.isdecimal() else None


def _check_safe(archive: Archive, response: HTTPResponse) -> None:
    """Reject redirects from https to another scheme if there is no checksum, and web pages instead of archives."""
    scheme = urlsplit(response.geturl()).scheme
    protected = scheme == "https" or archive.checksum is not None or archive.url.startswith("http:")
    if scheme not in ("http", "https") or not protected:
        raise DownloadError(f"{archive.url}: it redirects to {response.geturl()}, which is not protected by https")
    if response.headers.get_content_type() == "text/html":
        raise DownloadError(f"{archive.url}: the server sends a web page instead of the file")


def _check_size(archive: Archive, total: int | None) -> None:
    if total is None:
        return
    if archive.size is not None and total != archive.size:
        raise DownloadError(f"{archive.url}: the server's file has {total} bytes instead of {archive.size}")
    if total > MAX_SIZE:
        raise DownloadError(f"{archive.url}: the server's file has {total / 1e9:.0f} GB, more than any set")


def _write(archive: Archive, response: HTTPResponse, part: Path, start: int, total: int | None) -> None:
    """Append the response. Raises ConnectionError if it is shorter than announced, DownloadError if it is longer."""
    limit = archive.size or total or MAX_SIZE
    free = shutil.disk_usage(part.parent).free
    if total is not None and total - start > free:
        raise UserError(
            f"{part.parent} has {free / 1e9:.1f} GB free, and {(total - start) / 1e9:.1f} GB are needed",
            cure="Free some space, or choose another folder by --root",
        )
    name = Path(urlsplit(archive.url).path).name
    interval = 0.1 if sys.stderr.isatty() else 30  # seconds; a log file gets few lines
    with (
        part.open("ab") as file,
        tqdm(
            total=total, initial=start, desc=name, unit="B", unit_scale=True, leave=False, mininterval=interval
        ) as bar,
    ):
        while block := response.read(BLOCK):
            if file.tell() + len(block) > limit:
                raise DownloadError(f"{archive.url}: the server sends more than the {limit} bytes of the file")
            file.write(block)
            bar.update(len(block))
        file.flush()
        end = file.tell()
    if total is not None and end < total:
        raise ConnectionError(f"the connection was lost after {end / 1e6:.1f} of {total / 1e6:.1f} MB")


def _wrong(archive: Archive, file: Path) -> str | None:
    """The difference between a file and the published one; None if there is none."""
    size = _size(file)
    if archive.size is not None and size != archive.size:
        return f"it has {size} bytes instead of {archive.size}"
    if archive.checksum is not None:
        kind, _, expected = archive.checksum.partition(":")
        digest = hashlib.new(kind, usedforsecurity=False)
        with file.open("rb") as content:
            while block := content.read(BLOCK):
                digest.update(block)
        if digest.hexdigest() != expected:
            return f"its {kind} is {digest.hexdigest()} instead of {expected}"
    return None


def _version(response: HTTPResponse) -> str:
    """An identifier of this version of the server's file: a strong ETag, or the date of its last change."""
    tag = response.headers.get("ETag", "")
    return tag if tag.startswith('"') else response.headers.get("Last-Modified", "")


def _reason(error: Exception) -> str:
    inner = error.reason if isinstance(error, URLError) else error
    if isinstance(inner, TimeoutError):
        return "the server doesn't answer"
    if isinstance(inner, OSError) and not isinstance(inner, ConnectionError):
        return f"the server cannot be reached ({inner.strerror or inner})"
    return str(inner) or type(inner).__name__


def _tag(part: Path) -> Path:
    return part.with_suffix(".etag")


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _forget(part: Path) -> None:
    part.unlink(missing_ok=True)
    _tag(part).unlink(missing_ok=True)
