"""Makers of the images that catalogs really hold: odd, large, broken, and made to break things.

All are made here, byte by byte where no library writes them, so that the tests need no files.
"""

import random
import struct
import zlib
from io import BytesIO

import cv2
import numpy as np
import tifffile
from PIL import Image


def photo(width_px: int = 96, height_px: int = 64, seed: int = 0) -> np.ndarray:
    """(H, W, 3) uint8: smooth shading with some detail, different along both axes and in all channels."""
    random_bits = np.random.default_rng(seed)
    y, x = np.mgrid[0:height_px, 0:width_px]
    shade = np.stack([255 * x / width_px, 255 * y / height_px, 127 + 100 * np.sin(x / 9 + y / 5)], axis=-1)
    return np.clip(shade + random_bits.normal(0, 3, shade.shape), 0, 255).astype(np.uint8)


def encoded(pixels: np.ndarray, format: str, **options: object) -> bytes:
    out = BytesIO()
    Image.fromarray(pixels).save(out, format, **options)
    return out.getvalue()


def png16(pixels: np.ndarray) -> bytes:
    """uint16 (H, W) grey, (H, W, 3) RGB or (H, W, 4) RGBA."""
    bgr = pixels if pixels.ndim == 2 else pixels[..., [2, 1, 0, 3][: pixels.shape[-1]]]
    return bytes(cv2.imencode(".png", bgr)[1])


def tiff(pixels: np.ndarray, **options: object) -> bytes:
    """Any dtype and any of tifffile's options (photometric, byteorder, compression, bitspersample)."""
    out = BytesIO()
    tifffile.imwrite(out, pixels, **options)
    return out.getvalue()


def turned(pixels: np.ndarray, orientation: int, format: str, **options: object) -> bytes:
    """A file that stores pixels so that a reader who obeys EXIF orientation 1..8 sees them upright."""
    stored = {
        1: lambda a: a,
        2: np.fliplr,
        3: lambda a: np.rot90(a, 2),
        4: np.flipud,
        5: lambda a: a.swapaxes(0, 1),
        6: lambda a: np.rot90(a, 1),
        7: lambda a: np.rot90(a, 2).swapaxes(0, 1),
        8: lambda a: np.rot90(a, -1),
    }[orientation](pixels)
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encoded(np.ascontiguousarray(stored), format, exif=exif, **options)


# --- bombs ----------------------------------------------------------------------------------------------


def png_bomb(width_px: int = 60000, height_px: int = 60000) -> bytes:
    """A few hundred bytes whose header claims 3.6 gigapixels."""
    header = struct.pack(">IIBBBBB", width_px, height_px, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + _chunk(b"IHDR", header)
        + _chunk(b"IDAT", zlib.compress(bytes(999)))
        + _chunk(b"IEND", b"")
    )


def jpeg_bomb() -> bytes:
    data = bytearray(encoded(photo(), "JPEG"))
    frame = data.index(b"\xff\xc0")
    data[frame + 5 : frame + 9] = struct.pack(">HH", 65000, 65000)
    return bytes(data)


def gif_bomb() -> bytes:
    data = bytearray(encoded(photo()[..., 0], "GIF"))
    data[6:10] = struct.pack("<HH", 65000, 65000)
    return bytes(data)


def bmp_bomb() -> bytes:
    data = bytearray(encoded(photo(), "BMP"))
    data[18:26] = struct.pack("<ii", 60000, 60000)
    return bytes(data)


def tiff_bomb() -> bytes:
    data = bytearray(tiff(photo()[..., 0], photometric="minisblack"))
    for tag in (256, 257):  # width and height
        entry = data.index(struct.pack("<HH", tag, 4))
        data[entry + 8 : entry + 12] = struct.pack("<I", 60000)
    return bytes(data)


def webp_bomb() -> bytes:
    """An extended header whose canvas has 16383 x 16383 pixels around a small picture."""
    small = encoded(photo(), "WEBP", lossless=True)[12:]
    canvas = bytes(4) + struct.pack("<I", 16382)[:3] * 2
    body = b"WEBP" + b"VP8X" + struct.pack("<I", 10) + canvas + small
    return b"RIFF" + struct.pack("<I", len(body)) + body


BOMBS = {
    "png": png_bomb,
    "jpeg": jpeg_bomb,
    "gif": gif_bomb,
    "bmp": bmp_bomb,
    "tiff": tiff_bomb,
    "webp": webp_bomb,
}


# --- colour profiles ------------------------------------------------------------------------------------

# Primaries and white of Display P3 as ICC wants them (adapted to D50), from its specification by Apple.
P3 = ((0.51512, 0.24120, -0.00105), (0.29198, 0.69225, 0.04189), (0.15710, 0.06657, 0.78407))
D50 = (0.96420, 1.0, 0.82491)


def matrix_profile(primaries: tuple[tuple[float, float, float], ...] = P3, gamma: float = 2.2) -> bytes:
    """An ICC v2 RGB profile: three primaries as XYZ and one gamma."""
    curve = b"curv" + struct.pack(">II", 0, 1) + struct.pack(">H", round(gamma * 256))
    tags = {
        b"wtpt": _xyz(D50),
        b"rXYZ": _xyz(primaries[0]),
        b"gXYZ": _xyz(primaries[1]),
        b"bXYZ": _xyz(primaries[2]),
    }
    tags |= dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve)
    return _profile(b"mntr", b"RGB ", b"XYZ ", tags)


def grey_profile(gamma: float) -> bytes:
    curve = b"curv" + struct.pack(">II", 0, 1) + struct.pack(">H", round(gamma * 256))
    return _profile(b"mntr", b"GRAY", b"XYZ ", {b"wtpt": _xyz(D50), b"kTRC": curve})


def cmyk_profile(paper: tuple[int, int, int], ink: tuple[int, int, int]) -> bytes:
    """A CMYK profile with a table of two points a channel: no ink is `paper`, any full ink is `ink` (Lab bytes)."""
    identity = bytes(range(256))
    grid = b"".join(bytes(paper if point == 0 else ink) for point in range(16))
    matrix = struct.pack(">9i", *[65536 if i % 4 == 0 else 0 for i in range(9)])
    table = b"mft1" + struct.pack(">IBBBB", 0, 4, 3, 2, 0) + matrix + identity * 4 + grid + identity * 3
    return _profile(b"prtr", b"CMYK", b"Lab ", {b"wtpt": _xyz(D50), b"A2B0": table, b"A2B1": table})


def _profile(kind: bytes, space: bytes, connection: bytes, tags: dict[bytes, bytes]) -> bytes:
    tags = {b"desc": b"desc" + struct.pack(">II", 0, 5) + b"test\0" + bytes(78), **tags}
    table, body = b"", b""
    start = 128 + 4 + 12 * len(tags)
    for name, value in tags.items():
        padded = value + bytes(-len(value) % 4)
        table += struct.pack(">4sII", name, start + len(body), len(value))
        body += padded
    head = struct.pack(
        ">I4sI4s4s4s12s4s",
        start + len(body),
        b"none",
        0x02400000,
        kind,
        space,
        connection,
        bytes(12),
        b"acsp",
    )
    head += bytes(28) + struct.pack(">3i", *[round(v * 65536) for v in D50])
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body


def _xyz(value: tuple[float, float, float]) -> bytes:
    return b"XYZ " + struct.pack(">I3i", 0, *[round(v * 65536) for v in value])


def _chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


# --- breaking -------------------------------------------------------------------------------------------


def mutated(data: bytes, seed: int) -> bytes:
    """A file with a few bytes changed, dropped, doubled or moved, most of them near its start."""
    random_bits = random.Random(seed)
    out = bytearray(data)
    for _ in range(random_bits.choice((1, 1, 2, 4, 16))):
        at = int(len(out) * random_bits.random() ** random_bits.choice((1, 3)))
        length = random_bits.choice((1, 1, 2, 4, 32))
        match random_bits.randrange(5):
            case 0:
                out[at : at + 1] = bytes([random_bits.randrange(256)])
            case 1:
                out[at : at + length] = random_bits.randbytes(length)
            case 2:
                del out[at : at + length]
            case 3:
                out[at:at] = out[at : at + length]
            case 4:
                out[at : at + length] = random_bits.choice((b"\0", b"\xff", b"\x7f\xff\xff\xff")) * length
    return bytes(out)
