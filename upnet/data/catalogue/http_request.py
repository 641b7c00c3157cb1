"""One HTTP request that appends the missing bytes to a partially downloaded file."""

import re
import shutil
import sys
from http.client import HTTPResponse
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from tqdm import tqdm

from upnet.data.catalogue.archives import Archive, DownloadError
from upnet.utils.errors import UserError

TIMEOUT = 30.0
"""Seconds without an answer from the server after which a request fails."""

BLOCK = 1 << 20
"""Bytes that are read at a time."""

MAX_SIZE = 100_000_000_000
"""The largest file in bytes, if its size is unknown."""


class RestartError(Exception):
    """The partial file cannot be continued; it must be downloaded from the start."""


def request_missing(archive: Archive, part: Path) -> None:
    """Request the bytes of an archive that `part` doesn't contain yet, and append them.

    Raises RestartError if the server cannot continue the partial file; DownloadError if the server sends something else
    than the archive; UserError if the disk has too little space; the errors of urllib and http.client; and OSError if
    the file cannot be written.
    """
    received = file_size(part)
    headers = {"User-Agent": "upnet", "Accept-Encoding": "identity"}
    if received:
        version = version_file(part).read_text(encoding="utf-8") if version_file(part).exists() else ""
        if not version and archive.checksum is None:
            raise RestartError  # nothing could detect that the two parts belong to different files
        headers |= {"Range": f"bytes={received}-"} | ({"If-Range": version} if version else {})
    try:
        response = urlopen(Request(archive.url, headers=headers), timeout=TIMEOUT)
    except HTTPError as error:
        if error.code == 416:  # the file is complete, or the server's file has become shorter
            if archive.size == received or error.headers.get("Content-Range", "") == f"bytes */{received}":
                return
            raise RestartError from error
        raise
    with response:
        _check_origin(archive, response)
        start, total = _byte_range(response, received)
        expected, version = headers.get("If-Range"), _version(response)
        if start and expected and version and version != expected:
            raise RestartError
        _check_size(archive, total)
        if start == 0:
            discard(part)
            version_file(part).write_text(version, encoding="utf-8")
        _append(archive, response, part, start, total)


def file_size(path: Path) -> int:
    """The size of a file in bytes; 0 if it doesn't exist."""
    return path.stat().st_size if path.exists() else 0


def discard(part: Path) -> None:
    """Remove a partial file and the record of its version."""
    part.unlink(missing_ok=True)
    version_file(part).unlink(missing_ok=True)


def version_file(part: Path) -> Path:
    """The file that contains the version of the server's file which a partial file was downloaded from."""
    return part.with_suffix(".etag")


def _version(response: HTTPResponse) -> str:
    """An identifier of this version of the server's file: a strong ETag, or the date of its last change."""
    etag = response.headers.get("ETag", "")
    return etag if etag.startswith('"') else response.headers.get("Last-Modified", "")


def _byte_range(response: HTTPResponse, received: int) -> tuple[int, int | None]:
    """The offset at which the response begins, and the size of the complete file; None if unknown."""
    if response.status == 206:
        match = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", "").strip())
        if match is None or int(match[1]) != received:
            raise RestartError
        return received, None if match[2] == "*" else int(match[2])
    length = response.headers.get("Content-Length", "")
    return 0, int(length) if length.isdecimal() else None


def _check_origin(archive: Archive, response: HTTPResponse) -> None:
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
        raise DownloadError(
            f"{archive.url}: the server's file has {total / 1e9:.0f} GB; the limit is {MAX_SIZE / 1e9:.0f} GB"
        )


def _append(archive: Archive, response: HTTPResponse, part: Path, start: int, total: int | None) -> None:
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
