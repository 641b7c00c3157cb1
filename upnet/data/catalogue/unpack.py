"""Extract the images of an untrusted archive: only images are written, and only inside the target folder."""

import shutil
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from tqdm import tqdm

from upnet.data.catalogue.archive_members import Member, UnsafeArchiveError, content_limit, limit_members, open_archive
from upnet.data.catalogue.archives import DownloadError
from upnet.imaging.reading import is_image_file


def unpack(archive: Path, inner_folder: str, target: Path) -> int:
    """Extract the images below one folder of a zip or tar archive into `target`, and return their number.

    archive:      a zip or tar file, compressed or not.
    inner_folder: the end of the folder's path in the archive, such as "Set5/HR"; "": all images, without the parent
                  folders that they have in common.
    target:       a folder that doesn't exist, on the archive's disk. It is created when all images are extracted.

    All members are checked before anything is written. Permissions, owners and times in the archive are ignored.

    Raises UnsafeArchiveError for absolute paths, paths with "..", links, devices, content that is far larger than the
    archive, and members that overwrite each other; DownloadError for a file that is not an archive, is damaged, or has
    no images in that folder; UserError if this Python version cannot extract tar archives safely; OSError if the disk
    fails or is full.

    >>> import zipfile
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     archive = Path(folder) / "Set5.zip"
    ...     with zipfile.ZipFile(archive, "w") as file:
    ...         file.writestr("data/Set5/HR/baby.png", b"")
    ...         file.writestr("data/Set5/README.txt", b"")
    ...     unpack(archive, "Set5/HR", Path(folder) / "HR"), [path.name for path in Path(folder, "HR").iterdir()]
    (1, ['baby.png'])
    """
    temporary = archive.with_name(f"{archive.name}.unpacking")
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        with open_archive(archive) as members:
            targets = _select_images([member.path for member in limit_members(archive, members())], inner_folder)
            if not targets:
                raise DownloadError(
                    f"{archive.name} contains no images" + f" in a folder {inner_folder}" * bool(inner_folder)
                )
            temporary.mkdir()
            _write(archive, members(), targets, temporary)
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary.rename(target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return len(targets)


def _select_images(paths: list[PurePosixPath], inner_folder: str) -> dict[PurePosixPath, PurePosixPath]:
    """{path in the archive: path below the target} of each image below the inner folder."""
    images = [path for path in paths if is_image_file(Path(path.name)) and not _is_hidden(path)]
    if inner_folder:
        relative = {path: _parts_below(path.parts, PurePosixPath(inner_folder).parts) for path in images}
        return {path: PurePosixPath(*parts) for path, parts in relative.items() if parts}
    common = 0
    while len({path.parts[:-1][common : common + 1] for path in images} - {()}) == 1 and all(
        len(path.parts) > common + 1 for path in images
    ):
        common += 1
    return {path: PurePosixPath(*path.parts[common:]) for path in images}


def _parts_below(parts: tuple[str, ...], folder: tuple[str, ...]) -> tuple[str, ...]:
    """The parts of a path that follow those of a folder; empty if the path isn't below such a folder."""
    for start in range(len(parts) - len(folder)):
        if parts[start : start + len(folder)] == folder:
            return parts[start + len(folder) :]
    return ()


def _is_hidden(path: PurePosixPath) -> bool:
    return any(part.startswith(".") or part == "__MACOSX" for part in path.parts)


def _write(archive: Path, members: Iterator[Member], targets: dict[PurePosixPath, PurePosixPath], folder: Path) -> None:
    """Extract the members {path in the archive: path below the folder}."""
    remaining = content_limit(archive)  # the sizes that an archive states may be false
    with tqdm(total=len(targets), desc=f"Extracting {archive.name}", unit="image", leave=False, disable=None) as bar:
        for member in members:
            if member.path not in targets:
                continue
            path = folder / targets[member.path]
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                file = path.open("xb")
            except FileExistsError as error:
                raise UnsafeArchiveError(f"{archive.name} contains {str(member.path)!r} twice") from error
            with file, member.open() as content:
                while block := content.read(1 << 20):
                    remaining -= len(block)
                    if remaining < 0:
                        raise UnsafeArchiveError(
                            f"{archive.name} contains more data than its index states; nothing was extracted"
                        )
                    file.write(block)
            bar.update()
