"""Fuzz test of the image readers with damaged files: `python benchmarks/reliability/fuzz.py [--count 10000]`.

Small PNG and JPEG files of many kinds (grey, palette, alpha, 16 bits, 1 bit, CMYK, progressive, with EXIF and ICC
profile) are damaged at random: bits are flipped, bytes overwritten, inserted or deleted, files truncated or spliced,
and numbers in headers replaced. The checksums of half of the PNG files are corrected afterwards, so that the damage
reaches the decoder. Each file is read as for training (`upnet.imaging.reading.read_rgb`), and read, enlarged and
written as for upscaling (`upnet.inference.files`).

The outcome of each file is "read" (pixels), "rejected" (a UserError of one line that names the file), or a failure:
"wrong" (anything else), "crash" or "hang". The exit code is 1 if there are failures. Files are read in a child process
with limits of 2 GiB and 20 s per file; after a crash or hang a new child continues with the next file. A number always
gives the same file: --only NUMBER writes it for inspection.
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
"""Time limit per file; most files take milliseconds."""
MEMORY = 2 << 30
MAX_PIXELS = 1 << 22
OUTCOMES = ("read", "rejected", "wrong", "crash", "hang")
_PNG = b"\x89PNG\r\n\x1a\n"
_NUMBERS = (0, 1, 2, 3, 7, 8, 16, 255, 256, 65535, 65536, 2**31 - 1, 2**31, 2**32 - 1)


def seeds() -> list[bytes]:
    """The valid files from which damaged ones are made."""
    rng = np.random.default_rng(0)
    colour = Image.fromarray(rng.integers(0, 256, (6, 5, 3), dtype=np.uint8)).resize((37, 29), Image.Resampling.BICUBIC)
    alpha = Image.fromarray(rng.integers(0, 256, (29, 37), dtype=np.uint8))
    colour_alpha = colour.convert("RGBA")
    colour_alpha.putalpha(alpha)
    grey_alpha = colour.convert("LA")
    grey_alpha.putalpha(alpha)
    grey16 = Image.fromarray(rng.integers(0, 2**16, (29, 37), dtype=np.uint16))
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "turned"
    kinds: list[tuple[Image.Image, dict[str, Any]]] = [
        (image, {"format": "PNG"}) for image in (colour, colour_alpha, grey_alpha, grey16, colour.convert("L"))
    ]
    kinds += [(colour.convert(mode), {"format": "PNG"}) for mode in ("P", "1")]
    kinds += [
        (colour.convert("P"), {"format": "PNG", "transparency": 3}),
        (colour, {"format": "PNG", "exif": exif, "icc_profile": bytes(range(200)), "dpi": (72, 72)}),
        *((image, {"format": "JPEG"}) for image in (colour, colour.convert("L"), colour.convert("CMYK"))),
        (colour, {"format": "JPEG", "progressive": True, "subsampling": 0}),
        (colour, {"format": "JPEG", "exif": exif, "icc_profile": bytes(range(200)), "restart_marker_rows": 1}),
    ]
    contents = [_encoded(image, options) for image, options in kinds]
    from upnet.imaging.writing import write_png16

    for channels in (2, 3, 4):
        file = io.BytesIO()
        write_png16(file, rng.integers(0, 2**16, (29, 37, channels), dtype=np.uint16), [])
        contents.append(file.getvalue())
    return contents


def _encoded(image: Image.Image, options: dict[str, Any]) -> bytes:
    file = io.BytesIO()
    image.save(file, **options)
    return file.getvalue()


def damaged(number: int, valid_files: Sequence[bytes]) -> bytes:
    """Damaged file `number`, which depends on the number only. valid_files: as `seeds` returns them."""
    rng = np.random.default_rng([number, 1])
    content = bytearray(valid_files[number % len(valid_files)])
    for _ in range(int(rng.choice([1, 1, 1, 1, 2, 5]))):
        mutation = _MUTATIONS[int(rng.integers(len(_MUTATIONS)))]
        mutation(content, rng, valid_files[int(rng.integers(len(valid_files)))])
    return with_checksums(bytes(content)) if rng.random() < 0.5 else bytes(content)


def _position(content: bytes | bytearray, rng: np.random.Generator) -> int:
    """A random position, mostly after the first 24 bytes, which identify the format: decoders then see the damage."""
    first = 24 if rng.random() < 0.9 else 0
    return min(int(rng.integers(first, max(len(content), first + 1))), len(content))


def _flip(content: bytearray, rng: np.random.Generator, other: bytes) -> None:
    for _ in range(int(rng.integers(1, 5))):
        start = _position(content, rng)
        content[start : start + 1] = bytes(byte ^ (1 << int(rng.integers(8))) for byte in content[start : start + 1])


def _overwrite(content: bytearray, rng: np.random.Generator, other: bytes) -> None:
    start, length = _position(content, rng), int(rng.integers(1, 33))
    content[start : start + length] = rng.bytes(length)


def _number(content: bytearray, rng: np.random.Generator, other: bytes) -> None:
    """Write a number that is critical in headers near the start of the file."""
    width, number = int(rng.choice([1, 2, 4])), int(rng.choice(_NUMBERS))
    start = min(_position(content[: int(rng.choice([40, 700]))], rng), int(rng.integers(8, 700)))
    content[start : start + width] = (number & (256**width - 1)).to_bytes(width, "big")


def _delete(content: bytearray, rng: np.random.Generator, other: bytes) -> None:
    start = _position(content, rng)
    del content[start : start + int(rng.integers(1, 65))]


def _insert(content: bytearray, rng: np.random.Generator, other: bytes) -> None:
    start = _position(content, rng)
    content[start:start] = rng.bytes(int(rng.integers(1, 65)))


def _repeat(content: bytearray, rng: np.random.Generator, other: bytes) -> None:
    start, target = _position(content, rng), _position(content, rng)
    content[target:target] = content[start : start + int(rng.integers(1, 257))]


def _truncate(content: bytearray, rng: np.random.Generator, other: bytes) -> None:
    del content[_position(content, rng) :]


def _splice(content: bytearray, rng: np.random.Generator, other: bytes) -> None:
    content[_position(content, rng) :] = other[_position(other, rng) :]


def _damage_pixels(content: bytearray, rng: np.random.Generator, other: bytes) -> None:
    """Damage the decompressed rows of a PNG, and compress them again with a correct checksum."""
    start = content.find(b"IDAT")
    if not content.startswith(_PNG) or start < 4:
        return
    (length,) = struct.unpack_from(">I", content, start - 4)
    try:
        rows = bytearray(zlib.decompress(content[start + 4 : start + 4 + length]))
    except zlib.error:
        return
    _MUTATIONS[int(rng.integers(len(_MUTATIONS)))](rows, rng, other)
    compressed = zlib.compress(rows)
    checksum = struct.pack(">I", zlib.crc32(b"IDAT" + compressed))
    content[start - 4 : start + 8 + length] = struct.pack(">I", len(compressed)) + b"IDAT" + compressed + checksum


# Each is drawn with equal probability; those that occur twice are twice as frequent.
_MUTATIONS: list[Callable[[bytearray, np.random.Generator, bytes], None]] = [
    *(_flip, _flip, _overwrite, _number, _number, _delete, _insert, _repeat, _truncate, _splice),
    *(_damage_pixels, _damage_pixels),
]


def with_checksums(content: bytes) -> bytes:
    """A PNG with corrected checksums of its chunks; other content unchanged."""
    if not content.startswith(_PNG):
        return content
    corrected, start = bytearray(_PNG), len(_PNG)
    while start + 12 <= len(content):
        (length,) = struct.unpack_from(">I", content, start)
        end = start + 8 + length
        if end + 4 > len(content):
            break
        corrected += content[start:end] + struct.pack(">I", zlib.crc32(content[start + 4 : end]))
        start = end + 4
    return bytes(corrected + content[start:])


def read(path: Path) -> tuple[str, str]:
    """The outcome of a file in both readers, "read", "rejected" or "wrong", and the error of "wrong"."""
    from upnet.imaging.reading import read_image, read_rgb
    from upnet.imaging.writing import write_image
    from upnet.utils.errors import UserError

    def for_training() -> bool:
        pixels = read_rgb(path, MAX_PIXELS)
        return pixels.dtype == np.uint8 and pixels.ndim == 3 and pixels.shape[2] == 3

    def for_upscaling() -> bool:
        image = read_image(path, MAX_PIXELS)
        enlarged = image.with_samples(np.ascontiguousarray(image.samples.repeat(2, 0).repeat(2, 1)))
        write_image(enlarged, path.with_suffix(".larger.png"))
        return image.samples.dtype in (np.uint8, np.uint16)

    outcome = "read"
    for reader in (for_training, for_upscaling):
        try:
            if not reader():
                return "wrong", f"{reader.__name__} returned no valid pixels"
        except UserError as error:
            message = str(error)
            if len(message.splitlines()) != 1 or str(path) not in message:
                return "wrong", f"{reader.__name__}: {type(error).__name__}: {message!r}"
            outcome = "rejected"
        except Exception as error:  # any other exception is what this script searches for
            return "wrong", f"{reader.__name__}: {type(error).__name__}: {error}"
    return outcome, ""


def child(pipe: Connection, first: int, stop: int, folder: Path) -> None:
    """The child process: send "ready", then read the files of these numbers and send the outcome of each."""
    if sys.platform.startswith("linux"):
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    warnings.simplefilter("ignore")
    valid_files = seeds()
    pipe.send(("ready", ""))
    for number in range(first, stop):
        content = damaged(number, valid_files)
        path = folder / f"{number}.{'png' if content.startswith(_PNG) else 'jpg'}"
        path.write_bytes(content)
        pipe.send(read(path))
        for written in folder.glob(f"{number}.*"):
            written.unlink()


def outcomes(count: int, folder: Path) -> Iterator[tuple[int, str, str]]:
    """Number, outcome and error of every file."""
    context, number = multiprocessing.get_context("spawn"), 0
    while number < count:
        receiver, sender = context.Pipe(duplex=False)
        process = context.Process(target=child, args=(sender, number, count, folder))
        process.start()
        sender.close()
        ready = False
        while number < count:
            try:
                has_answered = receiver.poll(SECONDS if ready else 120)
                outcome, error = receiver.recv() if has_answered else ("hang", f"no answer in {SECONDS} s")
            except EOFError:
                process.join()
                outcome, error = "crash", f"exit code {process.exitcode}"
            if not ready and outcome != "ready":
                raise SystemExit(f"the child process does not start: {error}")
            if outcome != "ready":
                yield number, outcome, error
                number += 1
            ready = True
            if outcome in ("hang", "crash"):
                break
        process.kill()
        process.join()
        receiver.close()


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=10_000, help="number of files")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the results to this file")
    parser.add_argument("--only", type=int, metavar="NUMBER", help="write this file to the current folder instead")
    options = parser.parse_args(arguments)
    if options.only is not None:
        content = damaged(options.only, seeds())
        Path(f"{options.only}.{'png' if content.startswith(_PNG) else 'jpg'}").write_bytes(content)
        return 0
    counts: Counter[str] = Counter(dict.fromkeys(OUTCOMES, 0))
    failures: list[str] = []
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as temporary:
        for number, outcome, error in outcomes(options.count, Path(temporary)):
            counts[outcome] += 1
            if outcome not in ("read", "rejected"):
                failures.append(f"{number}: {outcome}: {error}")
                print(failures[-1], flush=True)
    seconds = time.perf_counter() - start
    print(f"{options.count} files in {seconds:.0f} s: " + ", ".join(f"{name} {counts[name]}" for name in OUTCOMES))
    if options.json:
        results = {"files": options.count, "seconds": seconds, **counts, "failures": failures}
        options.json.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    return 1 if failures else 0


if __name__ == "__main__":
    raise SystemExit(main())
