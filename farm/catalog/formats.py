"""Which image formats are read, told from a file's first bytes; its name says nothing.

Invariant: only decoders of this table ever see a file. None of them runs an interpreter (EPS, PDF, SVG would) or
opens another file. Their classes are used directly: Image.open warns of large images in a way that is not
thread-safe, and would have to be told to allow what `MAX_MEGAPIXELS` allows.
"""

import ctypes
import re
from collections.abc import Callable
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Literal, TypeAlias

import PIL
from PIL import features
from PIL.AvifImagePlugin import AvifImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

Decoder: TypeAlias = Callable[[BytesIO], ImageFile]

_PATTERNS: tuple[tuple[bytes, str], ...] = (
    (rb"\xff\xd8\xff", "JPEG"),
    (rb"\x89PNG\r\n\x1a\n", "PNG"),
    (rb"RIFF....WEBP", "WEBP"),
    (rb"II\x2a\x00|MM\x00\x2a|II\x2b\x00|MM\x00\x2b", "TIFF"),
    (rb"GIF8[79]a", "GIF"),
    (rb"BM", "BMP"),
    (rb"....ftyp(avif|avis)", "AVIF"),
    (rb"....ftyp(mif1|msf1|miaf).{4}(....)*?avi[fs]", "AVIF"),
)
_TIFF_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8}  # bytes by type
_EXTENTS = (273, 279, 324, 325)  # TIFF tags: offsets and lengths of strips, then of tiles
_MAX_STRIPS = 100_000
_FOREIGN: tuple[tuple[bytes, str], ...] = (
    (rb"....ftyp(heic|heix|hevc|mif1|msf1)", "HEIC"),
    (rb"....ftyp.{4}", "a video"),
    (rb"8BPS", "a Photoshop file"),
    (rb"%!PS|\xc5\xd0\xd3\xc6", "PostScript"),
    (rb"%PDF", "a PDF"),
    (rb"\x00\x00\x00\x0cjP  |\xff\x4f\xff\x51", "JPEG 2000"),
    (rb"\x00\x00\x00\x0cJXL |\xff\x0a", "JPEG XL"),
    (rb"\x76\x2f\x31\x01", "OpenEXR"),
    (rb"#\?RADIANCE", "Radiance HDR"),
    (rb"\x00\x00\x01\x00", "an icon"),
    (rb"P[1-7]\s", "a portable anymap"),
    (rb"(?i:(\xef\xbb\xbf)?\s*<(\?xml|svg))", "SVG or other XML"),
    (rb"(?i:(\xef\xbb\xbf)?\s*<(!doctype\s+)?html)", "an HTML page"),
)
_DECODERS: dict[str, Decoder] = {
    "JPEG": JpegImageFile,
    "PNG": PngImageFile,
    "WEBP": WebPImageFile,
    "TIFF": TiffImageFile,
    "GIF": GifImageFile,
    "BMP": BmpImageFile,
    "AVIF": AvifImageFile,
}


def decoders() -> dict[str, Decoder]:
    """What this installation decodes, by format."""
    built_in = {name for name in ("WEBP", "AVIF") if features.check(name.lower())}
    return {
        name: make for name, make in _DECODERS.items() if name not in {"WEBP", "AVIF"} or name in built_in
    }


def format_of(data: bytes) -> str | None:
    """The name of the image format among those of the table, else None."""
    return _first(_PATTERNS, data)


def foreign_format(data: bytes) -> str | None:
    """What a file is that people take for a still, but that is not read."""
    return _first(_FOREIGN, data)


@cache
def silence_libtiff() -> None:
    """Stops libtiff from writing to stderr, past Python, what is wrong with a broken file, where Pillow brings its own.

    Pillow turns off its warnings and leaves its errors on; the exception tells the same.
    """
    for path in Path(PIL.__file__).parent.parent.glob("pillow.libs/libtiff*.so*"):
        ctypes.CDLL(str(path)).TIFFSetErrorHandler(None)


def is_cut(data: bytes, name: str) -> bool:
    """Whether the file ends before its own structure says so. Asked only of files that could not be decoded."""
    if name == "JPEG":
        return b"\xff\xd9" not in data[-4096:]
    if name == "PNG":
        return b"IEND" not in data[-4096:]
    if name == "GIF":
        return not data.rstrip(b"\0").endswith(b";")
    if name == "WEBP":
        return int.from_bytes(data[4:8], "little") + 8 > len(data)
    if name == "BMP":
        return int.from_bytes(data[2:6], "little") > len(data)
    if name == "TIFF":
        return _pages_end(data) > len(data)
    return name == "AVIF" and _boxes_end(data) > len(data)


def _boxes_end(data: bytes) -> int:
    """Where the last box of an ISO base media file ends by its own account."""
    end = 0
    while end + 8 <= len(data):
        size = int.from_bytes(data[end : end + 4], "big")
        if size == 1:
            size = int.from_bytes(data[end + 8 : end + 16], "big")
        if size < 8:  # 0: to the end of the file
            return len(data)
        end += size
    return end + 8 if end < len(data) else end


def _pages_end(data: bytes) -> int:
    """Where the first page of a TIFF ends by its directory (of a BigTIFF: unknown, 0)."""
    order: Literal["little", "big"] = "little" if data[:2] == b"II" else "big"

    def number(at: int, size: int) -> int:
        return int.from_bytes(data[at : at + size], order)

    if number(2, 2) != 42:
        return 0
    start = number(4, 4)
    end = start + 2 + 12 * number(start, 2)
    found: dict[int, list[int]] = {}
    for entry in range(start + 2, min(end, len(data)), 12):
        tag, size, count = number(entry, 2), _TIFF_SIZES.get(number(entry + 2, 2), 0), number(entry + 4, 4)
        at = entry + 8 if count * size <= 4 else number(entry + 8, 4)
        end = max(end, at + count * size)
        # A broken count may be anything.
        if (
            tag in _EXTENTS
            and tag not in found
            and size
            and count <= _MAX_STRIPS
            and at + count * size <= len(data)
        ):
            found[tag] = [number(at + i * size, size) for i in range(count)]
    for where, lengths in (_EXTENTS[:2], _EXTENTS[2:]):
        end = max([end, *map(sum, zip(found.get(where, []), found.get(lengths, []), strict=False))])
    return end


def _first(patterns: tuple[tuple[bytes, str], ...], data: bytes) -> str | None:
    head = data[:256]
    return next((name for pattern, name in patterns if re.match(pattern, head, re.DOTALL)), None)
