"""The still gate: a still's bytes, its pixels, and what is said of it before anything is rendered from it.

Invariant: a bad still is data: StillError or a refusing StillReport, whatever its bytes are. StoreError says that a
still could not be looked at, and nothing of the still. Everything here may be called from several threads.
"""

import logging
import re
import struct
import warnings
import zlib
from collections.abc import Callable, Mapping
from io import BytesIO
from typing import Any, TypeAlias

import fsspec
import numpy as np
from PIL import Image
from PIL.ImageFile import ImageFile

from farm.catalog.color import to_srgb
from farm.catalog.formats import decoders, foreign_format, format_of, is_cut, silence_libtiff
from farm.catalog.naming import printable
from farm.catalog.remote import backend_errors, filesystem, shown, told
from farm.errors import StillError, StoreError
from farm.ids import sha256_hex
from farm.values import Gate, Pixels, Still, StillReport

MAX_STILL_BYTES = 256 * 2**20
MAX_MEGAPIXELS = 100
MIN_SIDE_PX = 16

Fetch: TypeAlias = Callable[[str], bytes]

# What Pillow's decoders raise for broken files; each of them was met while fuzzing or stands in their source.
_DECODER_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    AttributeError,
    AssertionError,
    EOFError,
    NotImplementedError,
    RuntimeError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)
_CUT = re.compile(r"truncated|not enough|end of file", re.IGNORECASE)
_UNSUPPORTED = re.compile(r"unknown pixel mode|data organization|not supported|unsupported", re.IGNORECASE)

_ORIENTATION = 0x0112  # EXIF; 1 is upright
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

# Pillow logs and warns of oddities in files. Neither is to reach a terminal by default, or to become an error.
logging.getLogger("PIL").addHandler(logging.NullHandler())
_PILLOWS_OWN = r"PIL\."


def fetch(uri: str) -> bytes:
    """The bytes of a still.

    Raises StillError (still_missing, still_denied, still_too_large, still_unfetchable), StoreError (unreachable)
    when nothing can be said of the still, and InputError when a package for its kind of URL is not installed.
    """
    return _read(uri)[0]


def decode(data: bytes) -> Pixels:
    """The pixels (H, W, 3), uint8 sRGB, as they are meant to be seen.

    The first frame or page; upright by EXIF; transparency on white; 16 bits scaled to 8; colour profiles converted.
    Raises StillError: still_empty, still_unreadable, still_truncated, still_bomb (more than 100 megapixels by its
    header, before anything is decoded), still_too_small (a side under 16 px), still_format.
    """
    name = _format(data)
    _quieten()
    try:
        image = decoders()[name](BytesIO(data))
        _check_size(*image.size)
        image.load()
    except _DECODER_ERRORS as e:
        raise _refusal(e, data, name) from e
    # Only TIFFs are turned by their decoder.
    turn = None if name == "TIFF" else _UPRIGHT.get(_orientation(image))
    try:
        final = to_srgb(image)
    except (OSError, ValueError) as e:
        raise _refusal(e, data, name) from e
    return np.array(final if turn is None else final.transpose(turn))


def probe(still: Still, *, fetch: Fetch = fetch) -> StillReport:
    """What the gate sees of a still: read, hashed and decoded to its last pixel.

    A still that cannot be used is a report with verdict refuse, never an exception. Raises StoreError and
    InputError as `fetch` does: they say nothing of the still. `version` is None with another `fetch`.
    """
    data: bytes | None = None
    version: str | None = None
    try:
        data, version = _read(still.uri) if fetch is _FETCH else (fetch(still.uri), None)
        height_px, width_px, _ = decode(data).shape
    except StillError as e:
        return StillReport(
            still=still,
            verdict=Gate.REFUSE,
            sha256=None if data is None else sha256_hex(data),
            width_px=None,
            height_px=None,
            still_bytes=None if data is None else len(data),
            reason=str(e),
            kind=e.kind,
            version=version,
        )
    return StillReport(still, Gate.OK, sha256_hex(data), width_px, height_px, len(data), version=version)


_FETCH = fetch


def _read(uri: str) -> tuple[bytes, str | None]:
    """A still's bytes and its version, which is asked for first: a still that changes in between is read again."""
    try:
        system, inside = filesystem(uri)
        info = _info(system, inside)
        size = info.get("size")
        if info.get("type", "file") != "file":
            raise IsADirectoryError(inside)
        if isinstance(size, int) and size > MAX_STILL_BYTES:
            raise _too_large(uri)
        # Web servers that say 0 of what they have are known, and no server likes a range of nothing.
        end = None if size == 0 else MAX_STILL_BYTES + 1
        data: bytes = system.cat_file(inside, start=None if end is None else 0, end=end)
    except backend_errors() as e:
        trouble = told(e, uri)
        message = f"{shown(uri)}: {trouble.text}"
        if trouble.kind == "unreachable":
            raise StoreError(message, kind="unreachable") from None
        kinds = {"missing": "still_missing", "denied": "still_denied"}
        raise StillError(message, kind=kinds.get(trouble.kind, "still_unfetchable")) from None
    if len(data) > MAX_STILL_BYTES:
        raise _too_large(uri)
    return data, _version(info)


def _info(system: fsspec.AbstractFileSystem, inside: str) -> Mapping[str, Any]:
    try:
        info: Mapping[str, Any] = system.info(inside)
    except FileNotFoundError:
        # Of a web server that does not answer, fsspec says this too. Reading will tell.
        return {}
    return info


def _version(info: Mapping[str, Any]) -> str | None:
    if etag := info.get("ETag"):
        return str(etag).strip('"')
    changed = next(
        (info[key] for key in ("mtime", "LastModified", "last_modified", "updated") if key in info), None
    )
    return None if changed is None else f"{changed} {info.get('size')}"


def _too_large(uri: str) -> StillError:
    limit = MAX_STILL_BYTES // 2**20
    return StillError(f"{shown(uri)}: larger than {limit} MiB; allowed: up to that", kind="still_too_large")


def _format(data: bytes) -> str:
    if not data:
        raise StillError("the file is empty", kind="still_empty")
    allowed = ", ".join(decoders())
    name = format_of(data)
    if name is None:
        foreign = foreign_format(data)
        if foreign is None:
            raise StillError(f"not an image; allowed: {allowed}", kind="still_unreadable")
        raise StillError(f"is {foreign}; allowed: {allowed}", kind="still_format")
    if name not in decoders():
        raise StillError(
            f"is {name}, which this installation cannot read; allowed: {allowed}", kind="still_format"
        )
    return name


def _check_size(width_px: int, height_px: int) -> None:
    size = f"{width_px}x{height_px} pixels"
    if width_px * height_px > MAX_MEGAPIXELS * 10**6:
        raise StillError(
            f"{size} by its header; allowed: up to {MAX_MEGAPIXELS} megapixels", kind="still_bomb"
        )
    if min(width_px, height_px) < MIN_SIDE_PX:
        raise StillError(f"{size}; allowed: at least {MIN_SIDE_PX} a side", kind="still_too_small")


def _orientation(image: ImageFile) -> int:
    try:
        value = image.getexif().get(_ORIENTATION)
    except _DECODER_ERRORS:
        return 1  # broken EXIF is no reason to refuse the pixels
    return value if isinstance(value, int) else 1


def _refusal(error: Exception, data: bytes, name: str) -> StillError:
    words = printable(" ".join(str(error).split())[:120]) or type(error).__name__
    if isinstance(error, Image.DecompressionBombError):
        return StillError(f"{name} that claims more than {MAX_MEGAPIXELS} megapixels", kind="still_bomb")
    if is_cut(data, name) or _CUT.search(words):
        return StillError(f"{name} that ends too early, after {len(data)} bytes", kind="still_truncated")
    if _UNSUPPORTED.search(words):
        return StillError(f"{name} of a kind that is not read: {words}", kind="still_format")
    return StillError(f"broken {name}: {words}", kind="still_unreadable")


def _quieten() -> None:
    silence_libtiff()
    # catch_warnings swaps the process's filters, which threads would do to one another: a filter that stays, once.
    ours = ("ignore", None, Warning, re.compile(_PILLOWS_OWN), 0)
    if not warnings.filters or warnings.filters[0] != ours:
        warnings.filterwarnings("ignore", module=_PILLOWS_OWN)
