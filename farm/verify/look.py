"""One take's objects held against its row: is the clip the one that was committed, and does it show what is said?

Invariant: a clip is decoded only when its bytes are those that its row names; anything else is not looked into.
"""

import math
import re
import warnings
from collections.abc import Callable
from io import BytesIO

import av
from av.error import FFmpegError
from PIL import Image

from farm.errors import StoreError
from farm.ids import sha256_hex
from farm.store import layout
from farm.store.blobs import Blobs
from farm.trim.encode import reason
from farm.values import Status
from farm.verify.findings import Cure, Problem, Row

_CLIP = re.compile(rf"({layout.CLIPS}[^/]+/[^/]+/[^/]+/-?\d+-([0-9a-f]{{8}}))\.mp4")
_PICTURE_ERRORS = (
    OSError,
    ValueError,
    SyntaxError,
    Image.DecompressionBombError,
    Image.DecompressionBombWarning,
)


def pictures(row: Row) -> tuple[str, ...]:
    """The keys of a row's poster and filmstrip, which lie beside its clip; none where it names no clip."""
    clip = _CLIP.fullmatch(row.clip_uri or "")
    return (f"{clip[1]}.webp", f"{clip[1]}.strip.webp") if clip else ()


def names_its_own(row: Row) -> bool:
    """Whether the keys in a row are those of its take."""
    clip = _CLIP.fullmatch(row.clip_uri or "")
    return clip is not None and clip[2] == row.take_id[:8] and row.poster_uri in (None, f"{clip[1]}.webp")


def look(blobs: Blobs, row: Row, there: Callable[[str], bool], *, decode: bool) -> list[Problem]:
    """What is wrong with the objects of a take; `there` says whether an object is in the store. Raises StoreError."""
    if row.status == Status.FAILED:
        return []
    problem = _clip_problem(blobs, row, decode)
    found = [] if problem is None else [problem]
    cure = Cure.REMAKE if problem is None else Cure.RENDER
    for key in pictures(row):
        if not there(key):
            found.append(Problem("missing", key, row.take_id, "its take is there", cure, row))
        elif decode and (flaw := _picture_flaw(blobs, key)):
            found.append(Problem("undecodable", key, row.take_id, flaw, cure, row))
    return found


def _clip_problem(blobs: Blobs, row: Row, decode: bool) -> Problem | None:
    def problem(word: str, detail: str) -> Problem:
        return Problem(word, row.clip_uri or row.source, row.take_id, detail, Cure.RENDER, row)

    if row.clip_uri is None or not pictures(row):
        return problem("missing", f"its row in {row.source} names no clip: {row.clip_uri}")
    if not names_its_own(row):
        return problem("mislabelled", f"its row in {row.source} names another take's objects")
    try:
        data = blobs.get(row.clip_uri)
    except StoreError as e:
        if e.kind != "missing":
            raise
        return problem("missing", f"named by {row.source}")
    if len(data) < (row.clip_bytes or 0):
        return problem("truncated", f"{len(data)} of {row.clip_bytes} bytes")
    if sha256_hex(data) != row.clip_sha256:
        return problem("altered", "its SHA-256 is not the one of its row")
    flaw = _clip_flaw(data, row) if decode else None
    return problem(*flaw) if flaw else None


def _clip_flaw(data: bytes, row: Row) -> tuple[str, str] | None:
    """The word and the story of what a clip shows that its row does not say."""
    wanted = (row.span_stop or 0) - (row.span_start or 0)
    frames = 0
    try:
        with av.open(BytesIO(data), "r") as container:
            named = container.metadata.get("take_id", row.take_id)
            if named != row.take_id:
                return "mislabelled", f"the clip says that it is take {named}"
            if not container.streams.video:
                return "undecodable", "it has no video stream"
            stream = container.streams.video[0]
            for frame in container.decode(stream):
                frames += 1
                if (frame.width, frame.height) != (row.width_px, row.height_px):
                    size = f"{frame.width}x{frame.height}"
                    return "undecodable", f"{size} px, its row says {row.width_px}x{row.height_px}"
                if frames > wanted:
                    break
            fps = float(stream.average_rate or 0)
    except FFmpegError as e:
        return "undecodable", f"after {frames} frames: {reason(e)}"
    if frames != wanted:
        count = f"more than {wanted}" if frames > wanted else str(frames)
        return "undecodable", f"{count} frames, the span of its row has {wanted}"
    if not math.isclose(fps, row.fps or 0, rel_tol=1e-6):
        return "undecodable", f"{fps:g} frames/s, its row says {row.fps}"
    return None


def _picture_flaw(blobs: Blobs, key: str) -> str | None:
    data = blobs.get(key)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(BytesIO(data), formats=["WEBP"]) as image:
                image.load()
    except _PICTURE_ERRORS as e:
        return f"no picture: {type(e).__name__}"
    return None
