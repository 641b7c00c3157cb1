"""Damaged pictures through the loaders: `python benchmarks/reliability/fuzz.py [--count 10000] [--json FILE]`.

Small PNG and JPEG files of every kind (grey, palette, alpha, 16 bits, 1 bit, CMYK, progressive, with EXIF and profile)
are changed at random: bits flipped, bytes overwritten, inserted or cut out, files cut short or spliced, numbers in
their headers replaced, with the checksums of PNG mended in half of them, so that the damage gets past those. Each is
read as for training (`upnet.imaging.reading.read_rgb`), and read, enlarged and written as for upscaling
(`upnet.inference.files`).

Every file has to end in pixels, or in a ValueError of one sentence that names it. Files are read in a child process
that may take 2 GiB and some seconds for each: one that dies or hangs is counted, with the file's number, and the next
child goes on behind it. The same number is the same file: --only NUMBER writes that one, to look at.
"""

import argparse
import io
import json
import multiprocessing
import struct
import sys
import tempfile
import time
import warnings
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

SECONDS = 20
"""What a file may take before it counts as a hang; most take milliseconds."""
MEMORY = 2 << 30
MAX_PIXELS = 1 << 22
ENDS = ("read", "refused", "wrong", "crash", "hang")
_PNG = b"\x89PNG\r\n\x1a\n"
_NUMBERS = (0, 1, 2, 3, 7, 8, 16, 255, 256, 65535, 65536, 2**31 - 1, 2**31, 2**32 - 1)


def seeds() -> list[bytes]:
    """The whole files that damaged ones are made from."""
    rng = np.random.default_rng(0)
    colour = Image.fromarray(rng.integers(0, 256, (6, 5, 3), dtype=np.uint8)).resize((37, 29), Image.Resampling.BICUBIC)
    alpha = Image.fromarray(rng.integers(0, 256, (29, 37), dtype=np.uint8))
    clear = colour.convert("RGBA")
    clear.putalpha(alpha)
    grey_clear = colour.convert("LA")
    grey_clear.putalpha(alpha)
    deep = Image.fromarray(rng.integers(0, 2**16, (29, 37), dtype=np.uint16))
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "turned"
    kinds: list[tuple[Image.Image, dict[str, Any]]] = [
        (image, {"format": "PNG"}) for image in (colour, clear, grey_clear, deep, colour.convert("L"))
    ]
    kinds += [(colour.convert(mode), {"format": "PNG"}) for mode in ("P", "1")]
    kinds += [
        (colour.convert("P"), {"format": "PNG", "transparency": 3}),
        (colour, {"format": "PNG", "exif": exif, "icc_profile": bytes(range(200)), "dpi": (72, 72)}),
        *((image, {"format": "JPEG"}) for image in (colour, colour.convert("L"), colour.convert("CMYK"))),
        (colour, {"format": "JPEG", "progressive": True, "subsampling": 0}),
        (colour, {"format": "JPEG", "exif": exif, "icc_profile": bytes(range(200)), "restart_marker_rows": 1}),
    ]
    found = [_encoded(image, options) for image, options in kinds]
    from upnet.imaging.writing import write_png16

    for channels in (2, 3, 4):
        file = io.BytesIO()
        write_png16(file, rng.integers(0, 2**16, (29, 37, channels), dtype=np.uint16), [])
        found.append(file.getvalue())
    return found


def _encoded(image: Image.Image, options: dict[str, Any]) -> bytes:
    file = io.BytesIO()
    image.save(file, **options)
    return file.getvalue()


def damaged(number: int, whole: Sequence[bytes]) -> bytes:
    """File `number`: a function of that number alone."""
    rng = np.random.default_rng([number, 1])
    content = bytearray(whole[number % len(whole)])
    for _ in range(int(rng.choice([1, 1, 1, 1, 2, 5]))):
        way = _WAYS[int(rng.integers(len(_WAYS)))]
        way(content, rng, whole[int(rng.integers(len(whole)))])
    return mended(bytes(content)) if rng.random() < 0.5 else bytes(content)


def _place(content: bytes | bytearray, rng: np.random.Generator) -> int:
    """Mostly behind what says that it is a picture at all, so that decoders get to see the damage."""
    front = 24 if rng.random() < 0.9 else 0
    return min(int(rng.integers(front, max(len(content), front + 1))), len(content))


def _flip(content: bytearray, rng: np.random.Generator, other: bytes) -> None:
    for _ in range(int(rng.integers(1, 5))):
        place = _place(content, rng)
        content[place : place + 1] = bytes(byte ^ (1 << int(rng.integers(8))) for byte in content[place : place + 1])


def _overwrite(content: bytearray, rng: np.random.Generator, other: bytes) -> None:
    start, length = _place(content, rng), int(rng.integers(1, 33))
    content[start : start + length] = rng.bytes(length)


def _number(content: bytearray, rng: np.random.Generator, other: bytes) -> None:
    """A number that headers have limits for, near the front."""
    width, number = int(rng.choice([1, 2, 4])), int(rng.choice(_NUMBERS))
    start = min(_place(content[: int(rng.choice([40, 700]))], rng), int(rng.integers(8, 700)))
    content[start : start + width] = (number & (256**width - 1)).to_bytes(width, "big")


def _cut_out(content: bytearray, rng: np.random.Generator, other: bytes) -> None:
    start = _place(content, rng)
    del content[start : start + int(rng.integers(1, 65))]


def _insert(content: bytearray, rng: np.random.Generator, other: bytes) -> None:
    start = _place(content, rng)
    content[start:start] = rng.bytes(int(rng.integers(1, 65)))


def _repeat(content: bytearray, rng: np.random.Generator, other: bytes) -> None:
    start, to = _place(content, rng), _place(content, rng)
    content[to:to] = content[start : start + int(rng.integers(1, 257))]


def _end(content: bytearray, rng: np.random.Generator, other: bytes) -> None:
    del content[_place(content, rng) :]


def _splice(content: bytearray, rng: np.random.Generator, other: bytes) -> None:
    content[_place(content, rng) :] = other[_place(other, rng) :]


def _unpacked(content: bytearray, rng: np.random.Generator, other: bytes) -> None:
    """In a PNG, rows of pixels with damaged filters behind compression and checksums that are right."""
    start = content.find(b"IDAT")
    if not content.startswith(_PNG) or start < 4:
        return
    (length,) = struct.unpack_from(">I", content, start - 4)
    try:
        rows = bytearray(zlib.decompress(content[start + 4 : start + 4 + length]))
    except zlib.error:
        return
    _WAYS[int(rng.integers(len(_WAYS)))](rows, rng, other)
    packed = zlib.compress(rows)
    chunk = struct.pack(">I", len(packed)) + b"IDAT" + packed + struct.pack(">I", zlib.crc32(b"IDAT" + packed))
    content[start - 4 : start + 8 + length] = chunk


_WAYS: list[Callable[[bytearray, np.random.Generator, bytes], None]] = [
    *(_flip, _flip, _overwrite, _number, _number, _cut_out, _insert, _repeat, _end, _splice, _unpacked, _unpacked)
]


def mended(content: bytes) -> bytes:
    """A PNG whose chunks have the checksums of what they hold; whatever isn't one as it is."""
    if not content.startswith(_PNG):
        return content
    made, place = bytearray(_PNG), len(_PNG)
    while place + 12 <= len(content):
        (length,) = struct.unpack_from(">I", content, place)
        end = place + 8 + length
        if end + 4 > len(content):
            break
        made += content[place:end] + struct.pack(">I", zlib.crc32(content[place + 4 : end]))
        place = end + 4
    return bytes(made + content[place:])


def read(path: Path) -> tuple[str, str]:
    """How the file ended in both loaders: "read", "refused" or "wrong", and what was said."""
    from upnet.imaging.reading import read_image, read_rgb
    from upnet.imaging.writing import write_image

    def for_training() -> bool:
        pixels = read_rgb(path, MAX_PIXELS)
        return pixels.dtype == np.uint8 and pixels.ndim == 3 and pixels.shape[2] == 3

    def for_upscaling() -> bool:
        picture = read_image(path, MAX_PIXELS)
        larger = picture.with_samples(np.ascontiguousarray(picture.samples.repeat(2, 0).repeat(2, 1)))
        write_image(larger, path.with_suffix(".larger.png"))
        return picture.samples.dtype in (np.uint8, np.uint16)

    end = "read"
    for attempt in (for_training, for_upscaling):
        try:
            if not attempt():
                return "wrong", f"{attempt.__name__} gave something else than pixels"
        except ValueError as fault:
            told = str(fault)
            if len(told.splitlines()) != 1 or str(path) not in told:
                return "wrong", f"{attempt.__name__}: {type(fault).__name__}: {told!r}"
            end = "refused"
        except Exception as fault:
            return "wrong", f"{attempt.__name__}: {type(fault).__name__}: {fault}"
    return end, ""


def child(pipe: Connection, first: int, stop: int, folder: Path) -> None:
    """Read the files of these numbers, and say before each which it is, and behind it how it ended."""
    if sys.platform.startswith("linux"):
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    warnings.simplefilter("ignore")
    whole = seeds()
    pipe.send(("ready", ""))
    for number in range(first, stop):
        content = damaged(number, whole)
        path = folder / f"{number}.{'png' if content.startswith(_PNG) else 'jpg'}"
        path.write_bytes(content)
        pipe.send(read(path))
        for made in folder.glob(f"{number}.*"):
            made.unlink()


def outcomes(count: int, folder: Path) -> Iterator[tuple[int, str, str]]:
    """Of every file its number, its end, and what was said."""
    context, number = multiprocessing.get_context("spawn"), 0
    while number < count:
        ours, theirs = context.Pipe(duplex=False)
        process = context.Process(target=child, args=(theirs, number, count, folder))
        process.start()
        theirs.close()
        ready = False
        while number < count:
            try:
                answered = ours.poll(SECONDS if ready else 120)
                end, told = ours.recv() if answered else ("hang", f"no answer in {SECONDS} s")
            except EOFError:
                process.join()
                end, told = "crash", f"exit code {process.exitcode}"
            if not ready and end != "ready":
                raise SystemExit(f"the child that reads the files doesn't start: {told}")
            if end != "ready":
                yield number, end, told
                number += 1
            ready = True
            if end in ("hang", "crash"):
                break
        process.kill()
        process.join()
        ours.close()


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=10_000, help="of the files")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where the figures go")
    parser.add_argument("--only", type=int, metavar="NUMBER", help="write this file into the current folder instead")
    given = parser.parse_args(arguments)
    if given.only is not None:
        content = damaged(given.only, seeds())
        Path(f"{given.only}.{'png' if content.startswith(_PNG) else 'jpg'}").write_bytes(content)
        return 0
    counts: Counter[str] = Counter(dict.fromkeys(ENDS, 0))
    faults: list[str] = []
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as temporary:
        for number, end, told in outcomes(given.count, Path(temporary)):
            counts[end] += 1
            if end not in ("read", "refused"):
                faults.append(f"{number}: {end}: {told}")
                print(faults[-1], flush=True)
    seconds = time.perf_counter() - start
    print(f"{given.count} files in {seconds:.0f} s: " + ", ".join(f"{end} {counts[end]}" for end in ENDS))
    if given.json:
        told = {"files": given.count, "seconds": seconds, **counts, "faults": faults}
        given.json.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    return 1 if faults else 0


if __name__ == "__main__":
    raise SystemExit(main())
