"""Moving pictures, a task, and eyes for MP4 files: what the tests of clips share."""

import struct
from fractions import Fraction
from pathlib import Path
from xml.etree import ElementTree

import av
import numpy as np

from farm.values import Frames, Model, Motion, Still, Task

FPS = Fraction(24)
NAMES = {
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "dc": "http://purl.org/dc/elements/1.1/",
    "xmp": "http://ns.adobe.com/xap/1.0/",
    "ext": "http://iptc.org/std/Iptc4xmpExt/2008-02-29/",
    "farm": "urn:circletake:farm:1:",
}
XMP_UUID = bytes.fromhex("BE7ACFCB97A942E89C71999491E3AFAC")


def moving_picture(count: int, height: int = 96, width: int = 160) -> Frames:
    """Soft shapes that move; every frame is different, and brighter than the one before."""
    y, x = np.mgrid[:height, :width]
    frames = []
    for t in range(count):
        red = 128 + 90 * np.sin((x + 3 * t) / 17)
        green = 128 + 90 * np.cos((y - 2 * t) / 13)
        blue = np.full_like(red, 40 + 160 * t / max(1, count - 1))
        frames.append(np.stack([red, green, blue], axis=-1))
    return np.stack(frames).astype(np.uint8)


def a_task(family: str = "wan", prompt: str = "slow push-in") -> Task:
    model = Model("wan2.2-ti2v-5b", family, "abc123", 48, FPS, "native")
    still = Still("still-1", "https://me:hunter2@host/a.png", "stills.csv:2")
    return Task("0" * 31 + "1", still, "f" * 64, Motion("push-in", "push"), prompt, model, 7)


def tags_of(path: Path) -> dict[str, str]:
    with av.open(str(path)) as container:
        return dict(container.metadata)


def boxes(data: bytes) -> list[tuple[str, bytes]]:
    """The top-level boxes of an MP4 file."""
    found, at = [], 0
    while at < len(data):
        size, kind = struct.unpack(">I4s", data[at : at + 8])
        found.append((kind.decode(), data[at + 8 : at + size]))
        at += size
    return found


def xmp_of(path: Path) -> ElementTree.Element:
    [packet] = [body for kind, body in boxes(path.read_bytes()) if kind == "uuid" and body[:16] == XMP_UUID]
    return ElementTree.fromstring(packet[16:].decode())


def text(xmp: ElementTree.Element, path: str) -> str | None:
    return xmp.findtext(f".//{path}", namespaces=NAMES)
