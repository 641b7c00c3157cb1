"""File names and terminal output as printable text."""

import io
import os
import sys

import pytest

from upnet.utils.printable import escape_unencodable_output, escape_unprintable, printable_name


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (b"caf\xe9.png", "caf\\xe9.png"),
        ("café.png".encode(), "café.png"),
        ("照片 😀.png".encode(), "照片 😀.png"),
        (b"A$x_$y.png", "A$x_$y.png"),
        (b"a\x1b[2J\n.png", "a\\x1b[2J\\n.png"),
    ],
)
def test_name_is_escaped_to_printable_text(name: bytes, expected: str) -> None:
    assert escape_unprintable(name.decode("utf-8", "surrogateescape")) == expected
    assert expected.isprintable()


def test_utf8_name_does_not_depend_on_the_locale() -> None:
    assert escape_unprintable("照片".encode().decode("ascii", "surrogateescape")) == "照片"


def test_lone_surrogates_are_escaped() -> None:
    assert escape_unprintable("a\ud800b\udce9") == "a\\ud800b\\xe9"


@pytest.mark.skipif(os.sep == "\\", reason="no name has a backslash there")
def test_different_names_stay_different() -> None:
    assert printable_name("caf\udce9") != printable_name("caf\\xe9")


def test_characters_that_a_stream_cannot_encode_are_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    bytes_written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(bytes_written, encoding="cp1252"))
    escape_unencodable_output()
    print("照 é \udce9", flush=True)
    assert bytes_written.getvalue().split() == [b"\\u7167", b"\xe9", b"\\udce9"]
