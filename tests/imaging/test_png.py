"""PNG with 16 bits per channel, decoded by a reference decoder written from the specification."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from upnet.imaging.image import Metadata
from upnet.imaging.png_metadata import metadata_chunks
from upnet.imaging.writing import write_png16


def chunks_of(content: bytes) -> list[tuple[bytes, bytes]]:
    """Return all chunks after verification of their checksums."""
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    offset, chunks = 8, []
    while offset < len(content):
        (length,) = struct.unpack_from(">I", content, offset)
        name, body = content[offset + 4 : offset + 8], content[offset + 8 : offset + 8 + length]
        assert struct.unpack_from(">I", content, offset + 8 + length)[0] == zlib.crc32(name + body)
        chunks.append((name, body))
        offset += 12 + length
    return chunks


def decode(content: bytes) -> np.ndarray:
    """Decode to uint16 (H, W, C), byte by byte, by section 9 of the specification."""
    chunks = chunks_of(content)
    width, height, depth, colour_type, *rest = struct.unpack(">IIBBBBB", chunks[0][1])
    assert (depth, rest) == (16, [0, 0, 0])
    channels = {0: 1, 4: 2, 2: 3, 6: 4}[colour_type]
    data = zlib.decompress(b"".join(body for name, body in chunks if name == b"IDAT"))
    step, length = 2 * channels, 2 * channels * width
    above, rows = bytes(length), []
    for number in range(height):
        line = data[number * (length + 1) : (number + 1) * (length + 1)]
        row = bytearray(line[1:])
        for offset in range(length):
            left = row[offset - step] if offset >= step else 0
            upper_left = above[offset - step] if offset >= step else 0
            up = above[offset]
            prediction = {0: 0, 1: left, 2: up, 3: (left + up) // 2, 4: paeth(left, up, upper_left)}[line[0]]
            row[offset] = (row[offset] + prediction) % 256
        rows.append(bytes(row))
        above = rows[-1]
    return np.frombuffer(b"".join(rows), ">u2").reshape(height, width, channels).astype(np.uint16)


def paeth(left: int, up: int, upper_left: int) -> int:
    prediction = left + up - upper_left
    distances = [abs(prediction - left), abs(prediction - up), abs(prediction - upper_left)]
    return (left, up, upper_left)[distances.index(min(distances))]


def smooth(height: int, width: int, channels: int, seed: int) -> np.ndarray:
    """An image in which every filter is the best one for some row."""
    rng = np.random.default_rng(seed)
    rows, columns, planes = np.mgrid[:height, :width, :channels]
    wave = 20000 * (1 + np.sin(rows * rng.random() + planes)) + columns * rng.integers(0, 900)
    wave[::5] = rng.integers(0, 65536, wave[::5].shape)
    return wave.clip(0, 65535).astype(np.uint16)


@given(height=st.integers(1, 12), width=st.integers(1, 12), channels=st.integers(1, 4), seed=st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_all_samples_are_decoded_exactly(height: int, width: int, channels: int, seed: int) -> None:
    samples = smooth(height, width, channels, seed)
    file = io.BytesIO()
    write_png16(file, samples)
    assert np.array_equal(decode(file.getvalue()), samples)


def test_rows_filtered_in_several_blocks_are_decoded_exactly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("upnet.imaging.writing._BLOCK_BYTES", 200)
    samples = smooth(31, 11, 3, 0)
    file = io.BytesIO()
    write_png16(file, samples)
    assert np.array_equal(decode(file.getvalue()), samples)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_pillow_reads_the_upper_bytes(tmp_path: Path, channels: int) -> None:
    samples = smooth(20, 30, channels, 1)
    with (tmp_path / "a.png").open("wb") as file:
        write_png16(file, samples)
    read = np.asarray(Image.open(tmp_path / "a.png"))
    assert np.array_equal(read, samples[..., 0] if channels == 1 else samples >> 8)


def test_filtering_reduces_the_size_of_smooth_images() -> None:
    samples = np.add.outer(np.arange(64) * 37, np.arange(64) * 53).astype(np.uint16)[..., None]
    file = io.BytesIO()
    write_png16(file, samples)
    assert len(file.getvalue()) < len(zlib.compress(samples.astype(">u2").tobytes())) / 2


def test_profile_and_exif_precede_the_pixels() -> None:
    file = io.BytesIO()
    write_png16(file, smooth(2, 3, 3, 0), metadata_chunks(Metadata(b"profile" * 30, b"II*\0")))
    chunks = chunks_of(file.getvalue())
    assert [name for name, _ in chunks][:4] == [b"IHDR", b"iCCP", b"eXIf", b"IDAT"]
    name, _, packed = chunks[1][1].partition(b"\0")
    assert 1 <= len(name) < 80
    assert packed[:1] == b"\0"
    assert zlib.decompress(packed[1:]) == b"profile" * 30
