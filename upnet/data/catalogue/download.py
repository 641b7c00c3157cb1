"""Download an archive: an interrupted download is resumed, and size and checksum are verified."""

import hashlib
import http.client
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from urllib.error import HTTPError, URLError

from upnet.data.catalogue.archives import Archive, DownloadError
from upnet.data.catalogue.http_request import (
    BLOCK,
    RestartError,
    discard,
    file_size,
    request_missing,
    version_file,
)

ATTEMPTS = 5
"""The number of consecutive requests without any data after which a download fails."""

PAUSE = 1.0
"""Seconds before the second attempt; doubled before each further one."""

RETRY_STATUS = (408, 425, 429, 500, 502, 503, 504)
"""HTTP status codes of temporary failures."""


def fetch(archive: Archive, file: Path, report: Callable[[str], None]) -> None:
    """Download an archive to `file`, which is created when it is complete and its size and checksum are verified.

    The data is written to FILE.part, and the version of the server's file to FILE.etag. An interrupted download is
    resumed, unless the server's file has changed or the server doesn't support it.

    report: receives each line of progress.

    Raises DownloadError if the server refuses, fails repeatedly, or has another file than the published one; UserError
    if the disk has too little space; OSError if the file cannot be written.
    """
    if file.exists():
        if _mismatch(archive, file) is None:
            return
        file.unlink()
    part = file.with_name(f"{file.name}.part")
    resumed = file_size(part) > 0
    _download(archive, part, report)
    mismatch = _mismatch(archive, part)
    if mismatch and resumed:  # the parts of two downloads may belong to different versions of the file
        report(f"{mismatch}; downloading it again from the start")
        discard(part)
        _download(archive, part, report)
        mismatch = _mismatch(archive, part)
    if mismatch:
        discard(part)
        raise DownloadError(f"{archive.url}: {mismatch}, so it is not the published file; it was deleted")
    part.replace(file)
    version_file(part).unlink(missing_ok=True)


def _download(archive: Archive, part: Path, report: Callable[[str], None]) -> None:
    """Request the missing bytes until the file is complete."""
    failures = 0
    while True:
        size_before = file_size(part)
        try:
            request_missing(archive, part)
            return
        except RestartError:
            if size_before == 0:
                raise DownloadError(f"{archive.url}: the server doesn't send the file from the start") from None
            discard(part)
            continue
        except HTTPError as error:
            reason = f"the server answers {error.code} {error.reason}"
            if error.code not in RETRY_STATUS:
                raise DownloadError(f"{archive.url}: {reason}") from error
        except (URLError, http.client.HTTPException, ConnectionError, TimeoutError, ssl.SSLError) as error:
            reason = _reason(error)
        failures = 1 if file_size(part) > size_before else failures + 1
        if failures >= ATTEMPTS:
            megabytes = file_size(part) / 1e6
            cure = f". {megabytes:.1f} MB are kept: the same command resumes the download" if megabytes else ""
            raise DownloadError(f"{archive.url}: {reason}{cure}")
        report(f"{reason}; trying again")
        time.sleep(PAUSE * 2 ** (failures - 1))


def _mismatch(archive: Archive, file: Path) -> str | None:
    """How a file differs from the published one in size or checksum; None if it doesn't."""
    size = file_size(file)
    if archive.size is not None and size != archive.size:
        return f"it has {size} bytes instead of {archive.size}"
    if archive.checksum is not None:
        algorithm, _, expected = archive.checksum.partition(":")
        digest = hashlib.new(algorithm, usedforsecurity=False)
        with file.open("rb") as content:
            while block := content.read(BLOCK):
                digest.update(block)
        if digest.hexdigest() != expected:
            return f"its {algorithm} is {digest.hexdigest()} instead of {expected}"
    return None


def _reason(error: Exception) -> str:
    """Why a request failed, as text."""
    cause = error.reason if isinstance(error, URLError) else error
    if isinstance(cause, TimeoutError):
        return "the server doesn't answer"
    if isinstance(cause, OSError) and not isinstance(cause, ConnectionError):
        return f"the server cannot be reached ({cause.strerror or cause})"
    return str(cause) or type(cause).__name__
