"""Atomic writes: a file appears under its name only when it is complete and on disk."""

import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO


@contextmanager
def open_atomic(
    path: Path, temporary: Path | None = None, before_rename: Callable[[Path], object] | None = None
) -> Iterator[BinaryIO]:
    """Open a hidden temporary file for writing and reading; when the block ends, sync it and rename it to `path`.

    temporary:     the path of the temporary file. The default is a random name, since processes that write the same
                   file must not share a temporary file. A fixed name is for a file with one writer: a file that a
                   killed process left there is replaced.
    before_rename: called with the path of the complete, synced temporary file before it is renamed.

    If the block raises, the temporary file is removed and `path` keeps its content. A symbolic link at `path` is
    replaced rather than followed: a folder from an untrusted source may contain links to other files.

    Raises OSError if the file cannot be written.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "weights.bin"
    >>> with open_atomic(path) as file:
    ...     _ = file.write(b"123")
    ...     path.exists()
    False
    >>> path.read_bytes()
    b'123'
    """
    if temporary is None:
        temporary = path.with_name(f".upnet-{os.getpid()}-{secrets.token_hex(4)}.part")
    else:
        temporary.unlink(missing_ok=True)
    try:
        with temporary.open("x+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if before_rename is not None:
            before_rename(temporary)
        os.replace(temporary, path)
    finally:
        with suppress(FileNotFoundError):
            temporary.unlink()
    sync_folder(path.parent)


def atomic_write(content: str | bytes, path: Path) -> None:
    """Write a file atomically, see `open_atomic`. Text is written as UTF-8, with surrogates as backslash escapes.

    Raises OSError if the file cannot be written.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "note.txt"
    >>> atomic_write("done", path)
    >>> path.read_text()
    'done'
    """
    with open_atomic(path) as file:
        file.write(content.encode("utf-8", "backslashreplace") if isinstance(content, str) else content)


def sync_folder(folder: Path) -> None:
    """Make renames in a folder survive a power failure. No effect where folders cannot be synced, as on Windows.

    >>> sync_folder(Path())
    """
    if os.name != "posix":
        return
    with suppress(OSError):  # some network file systems reject it
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
