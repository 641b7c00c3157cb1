"""From an address to a whole file: resumed where it was broken off, and checked."""

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

ATTEMPTS = 5
"""How often in a row a server may fail without having sent anything."""

PAUSE = 1.0
"""Seconds before the second attempt; doubled before each one that follows."""

TIMEOUT = 30.0
"""Seconds that a server may keep silent."""

BLOCK = 1 << 20
LARGEST = 100_000_000_000
"""Bytes that a file of unknown size may have."""

PASSING = (408, 425, 429, 500, 502, 503, 504)
"""HTTP's answers that may be other ones a little later."""


class DownloadError(ValueError):
    """A set could not be got; the message says why, and what to do."""


class _RestartError(Exception):
    """What is there already is of no use: begin again."""


def fetch(archive: Archive, file: Path, say: Callable[[str], None]) -> None:
    """Download an archive to `file`, which appears when it is whole and has its size and checksum, and not before.

    What comes is kept in FILE.part, and FILE.etag tells which version of the server's file it belongs to: a download
    that was broken off goes on from there, unless the server's file has changed or the server cannot do it.

    Raises DownloadError where the server refuses, fails again and again, or has another file than was published.
    """
    if file.exists():
        if _wrong(archive, file) is None:
            return
        file.unlink()
    part = file.with_name(f"{file.name}.part")
    resumed = _size(part) > 0
    _complete(archive, part, say)
    wrong = _wrong(archive, part)
    if wrong and resumed:  # one of the two halves may have been another version's
        say(f"{wrong}; downloading it again from the start")
        _forget(part)
        _complete(archive, part, say)
        wrong = _wrong(archive, part)
    if wrong:
        _forget(part)
        raise DownloadError(f"{archive.url}: {wrong}, so it is not the file that was published; nothing of it was kept")
    part.rename(file)
    _tag(part).unlink(missing_ok=True)


def _complete(archive: Archive, part: Path, say: Callable[[str], None]) -> None:
    """Ask for what is missing until nothing is."""
    failures = 0
    while True:
        before = _size(part)
        try:
            _receive(archive, part)
            return
        except _RestartError:
            if before == 0:
                raise DownloadError(f"{archive.url}: the server doesn't send the file from its start") from None
            _forget(part)
            continue
        except HTTPError as error:
            if error.code not in PASSING:
                raise DownloadError(f"{archive.url}: the server answers {error.code} {error.reason}") from error
            reason = f"the server answers {error.code} {error.reason}"
        except (URLError, http.client.HTTPException, ConnectionError, TimeoutError, ssl.SSLError) as error:
            reason = _reason(error)
        failures = 1 if _size(part) > before else failures + 1
        if failures >= ATTEMPTS:
            kept = f"; {_size(part) / 1e6:.1f} MB are kept, and the same command goes on from there" * (_size(part) > 0)
            raise DownloadError(f"{archive.url}: {reason}{kept}")
        say(f"{reason}; trying again")
        time.sleep(PAUSE * 2 ** (failures - 1))


def _receive(archive: Archive, part: Path) -> None:
    """One request, for all that is missing. Raises _RestartError, or what urllib and http raise."""
    have = _size(part)
    headers = {"User-Agent": "upnet", "Accept-Encoding": "identity"}
    if have:
        tag = _tag(part).read_text(encoding="utf-8") if _tag(part).exists() else ""
        if not tag and archive.checksum is None:
            raise _RestartError  # nothing would tell whether the halves belong together
        headers |= {"Range": f"bytes={have}-"} | ({"If-Range": tag} if tag else {})
    try:
        response = urlopen(Request(archive.url, headers=headers), timeout=TIMEOUT)
    except HTTPError as error:
        if error.code == 416:  # nothing is missing, or the server's file has become shorter
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
    """Where in the file the answer begins, and how long the whole file is, where the server says so."""
    if response.status == 206:
        match = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", "").strip())
        if match is None or int(match[1]) != have:
            raise _RestartError
        return have, None if match[2] == "*" else int(match[2])
    length = response.headers.get("Content-Length", "")
    return 0, int(length) if length.isdecimal() else None


def _check_safe(archive: Archive, response: HTTPResponse) -> None:
    """Without a checksum, an address that is protected may not lead to one that isn't; a web page is no archive."""
    leads = urlsplit(response.geturl()).scheme
    protected = leads == "https" or archive.checksum is not None or archive.url.startswith("http:")
    if leads not in ("http", "https") or not protected:
        raise DownloadError(f"{archive.url}: it leads to {response.geturl()}, which is not protected by https")
    if response.headers.get_content_type() == "text/html":
        raise DownloadError(f"{archive.url}: the server sends a web page instead of the file")


def _check_size(archive: Archive, total: int | None) -> None:
    if total is None:
        return
    if archive.size is not None and total != archive.size:
        raise DownloadError(f"{archive.url}: the server's file has {total} bytes, and the published one {archive.size}")
    if total > LARGEST:
        raise DownloadError(f"{archive.url}: the server's file has {total / 1e9:.0f} GB, more than any set has")


def _write(archive: Archive, response: HTTPResponse, part: Path, start: int, total: int | None) -> None:
    """Append what comes. Raises ConnectionError where less comes than was announced, DownloadError where more does."""
    most = archive.size or total or LARGEST
    free = shutil.disk_usage(part.parent).free
    if total is not None and total - start > free:
        raise ValueError(
            f"{part.parent} has {free / 1e9:.1f} GB free, and {(total - start) / 1e9:.1f} GB are needed; "
            "make room, or name another folder by --root"
        )
    name = Path(urlsplit(archive.url).path).name
    rarely = 0.1 if sys.stderr.isatty() else 30  # a log file gets a line now and then
    with (
        part.open("ab") as file,
        tqdm(total=total, initial=start, desc=name, unit="B", unit_scale=True, leave=False, mininterval=rarely) as bar,
    ):
        while block := response.read(BLOCK):
            if file.tell() + len(block) > most:
                raise DownloadError(f"{archive.url}: the server sends more than the {most} bytes of the file")
            file.write(block)
            bar.update(len(block))
        file.flush()
        end = file.tell()
    if total is not None and end < total:
        raise ConnectionError(f"the connection broke off after {end / 1e6:.1f} of {total / 1e6:.1f} MB")


def _wrong(archive: Archive, file: Path) -> str | None:
    """What speaks against a file being the published one; None for nothing."""
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
    """What tells this version of the server's file from others: a strong ETag, or the date of its last change."""
    tag = response.headers.get("ETag", "")
    return tag if tag.startswith('"') else response.headers.get("Last-Modified", "")


def _reason(error: Exception) -> str:
    inner = error.reason if isinstance(error, URLError) else error
    if isinstance(inner, TimeoutError):
        return "the server keeps silent"
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
