"""Installing a set: download, unpack and find its images; the messages and exit codes of the command."""

import hashlib
import io
import re
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from served import Served, Server, names, silent

from upnet.cli.main import main
from upnet.data.catalogue import Set5
from upnet.data.catalogue.archives import Archive, DownloadError, DownloadSource
from upnet.data.catalogue.base import PublishedSet
from upnet.data.catalogue.install import install


def image(seed: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (12, 10, 3), np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def tar_archive(files: dict[str, bytes]) -> bytes:
    """The content of a tar archive."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


FIVE = ("baby", "bird", "butterfly", "head", "woman")
COMPLETE = tar_archive(
    {f"benchmark/Set5/HR/{name}.png": image(number) for number, name in enumerate(FIVE)}
    | {f"benchmark/Set5/LR_bicubic/X{s}/{name}x{s}.png": image(9) for name in FIVE for s in (2, 3, 4)}
)
MALICIOUS = tar_archive({"benchmark/Set5/HR/a.png": image(0), "../evil.png": image(1)})


@pytest.fixture
def offer_set(monkeypatch: pytest.MonkeyPatch, server: Server) -> Callable[..., type[PublishedSet]]:
    """offer_set(content, …) -> Set5; its download sources are archives with these contents on the server."""
    address, files = server

    def offer(*contents: bytes) -> type[PublishedSet]:
        downloads = []
        for number, content in enumerate(contents):
            files[f"/{number}/benchmark.tar"] = Served(content)
            archive = Archive(f"{address}/{number}/benchmark.tar", folder="benchmark", inner_folder="benchmark")
            downloads.append(DownloadSource(f"number {number}", (archive,)))
        monkeypatch.setattr(Set5, "downloads", tuple(downloads))
        return Set5

    return offer


def test_a_set_is_downloaded_unpacked_and_found(tmp_path: Path, offer_set: Callable[..., type[PublishedSet]]) -> None:
    messages: list[str] = []
    install(offer_set(COMPLETE), tmp_path, messages.append)
    assert messages == ["from number 0 (0 MB)", "benchmark.tar: 20 images (no checksum is known)"]
    source = Set5(str(tmp_path))
    source.check(3)
    assert [entry.name for entry in source.images()] == list(FIVE)
    assert all(entry.read_lr(3) is not None for entry in source.images())
    assert names(tmp_path / ".download") == ["lock"]


def test_an_installed_set_is_not_downloaded_again(
    tmp_path: Path, offer_set: Callable[..., type[PublishedSet]], server: Server
) -> None:
    install(offer_set(COMPLETE), tmp_path, silent)
    install(Set5, tmp_path, silent)
    assert len(server[1]["/0/benchmark.tar"].asked) == 1


@pytest.mark.parametrize(
    "bad_archive", [MALICIOUS, COMPLETE[: len(COMPLETE) // 2], b"nothing"], ids=["malicious", "broken", "no archive"]
)
def test_a_bad_archive_leaves_no_files_and_the_next_source_is_used(
    tmp_path: Path, offer_set: Callable[..., type[PublishedSet]], bad_archive: bytes
) -> None:
    messages: list[str] = []
    install(offer_set(bad_archive, COMPLETE), tmp_path / "data", messages.append)
    assert len(Set5(str(tmp_path / "data")).find()[1]) == 5  # pyright: ignore[reportOptionalSubscript]
    with pytest.raises(DownloadError):
        install(offer_set(bad_archive), tmp_path / "other", silent)
    assert names(tmp_path / "other") == [".download"]
    assert names(tmp_path / "other/.download") == ["lock"]
    assert names(tmp_path) == ["data", "other"]


def test_a_set_with_missing_images_is_reported(tmp_path: Path, offer_set: Callable[..., type[PublishedSet]]) -> None:
    with pytest.raises(DownloadError, match="Set5 has 5 images, and 1 of them"):
        install(offer_set(tar_archive({"benchmark/Set5/HR/a.png": image(0)})), tmp_path, silent)


def test_the_command_downloads_from_a_mirror_and_prints_the_next_command(
    tmp_path: Path, server: Server, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    address, files = server
    files["/sets/benchmark.tar"] = Served(COMPLETE, breaks=1)
    checksum = f"md5:{hashlib.md5(COMPLETE, usedforsecurity=False).hexdigest()}"
    archive = Archive("https://nowhere.invalid/benchmark.tar", "benchmark", "benchmark", checksum=checksum)
    monkeypatch.setattr(Set5, "downloads", (DownloadSource("them", (archive,)),))
    arguments = ["download", "set5", "--root", str(tmp_path), "--mirror", f"{address}/sets/"]
    assert main(["data", *arguments]) == 0
    out = capsys.readouterr().out
    assert f"from {address}/sets/, a mirror (0 MB)" in out
    assert "benchmark.tar: 20 images (md5)" in out
    assert f"python evaluate.py checkpoint=PATH data=set5 data.root={tmp_path}" in out


def test_exit_code_is_1_for_bad_archives_and_2_for_user_errors(
    tmp_path: Path, offer_set: Callable[..., type[PublishedSet]], capsys: pytest.CaptureFixture[str]
) -> None:
    offer_set(MALICIOUS)
    assert main(["data", "download", "set5", "--root", str(tmp_path)]) == 1
    assert "leaves its folder" in capsys.readouterr().err
    (tmp_path / "file").write_text("")
    assert main(["data", "download", "set5", "--root", str(tmp_path / "file/below")]) == 2
    assert "Choose another folder by --root" in capsys.readouterr().err
    assert main(["data", "download", "set6"]) == 2
    assert "invalid choice: 'set6'" in capsys.readouterr().err


def test_manga109_is_rejected_with_instructions(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "download", "manga109", "--root", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert "http://www.manga109.org/en/download.html" in error
    assert "Manga109/HR" in error


def test_an_interrupted_download_exits_with_130(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("upnet.cli.data.install", interrupt)
    assert main(["data", "download", "set5", "--root", str(tmp_path)]) == 130
    assert "the same command" in capsys.readouterr().err


def test_data_without_a_subcommand_lists_all_sets(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data"]) == 0
    output = capsys.readouterr().out
    for name in ("set5", "set14", "bsd100", "urban100", "manga109", "div2k_valid", "div2k", "bsds", "t91", "flickr2k"):
        assert re.search(rf"^{name}\s", output, re.MULTILINE)
