"""Whether the people of a take stay who they are: faces followed from the still, and their identity compared.

Invariant: a face is judged only where it can be told from others: frontal enough, in the picture, not hidden for a
moment. A take whose still shows no face has figures of 0. Deterministic; one thread.

The figure of a frame is how far its face is from the still's, in the identity model's own unit, less what codecs
and a turn of the head do: max(0, d - _SAME - |turn - the still's turn|). Where a picture of the character shows the
same person as the still, d is the distance to the nearer of the two. How much farther from the character a frame is
than its still adds nothing: by the triangle inequality that is never more than its distance from the still (0.1 to
0.6 of it, measured, whether the face drifts or only turns), and a still that is no good likeness must not reject a
take that stays as it is.
"""

import importlib.util
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import islice

import numpy as np

from farm.errors import InputError
from farm.score.dimensions import Dimension
from farm.score.face_models import FACE_PX, Face, Identity, faces, identities
from farm.values import Curve, Frames, Pixels

# The highest of 17 clean movements, weathers and lights of 4 photographs, faces of 45-130 px through H.264: 0.23
# (rain); of a real talking head: 0.21. Another person's face: 0.46 and more.
DIMENSION = Dimension("face_consistency", 0.3, "face drifts")

_EXTRA = ("dlib", "face_recognition_models")
_SAMPLE_HZ = 2
_MOST_SAMPLES = 8  # of a face: an identity costs 75 ms
_SHARED_SAMPLES = 5  # of each, where more than one face is judged
_MOST_FACES = 2  # the largest: what people look at
_WHOLE_PX = 1280 * 720  # at which the still is searched: finds faces of 1/16 of its width, in 55 ms
_MOST_ENLARGED = 2.0  # beyond, there is no more to see
_SURE = 0.3  # the detector's score of a face in the still
_HINT = -0.5  # and of one where one should be: what melts is held against the still, not lost
_NEAR = 1.0  # widths of a face that are searched around it
_STEP = 0.8  # widths of a face that it goes at most from one look to the next: a neighbour's is farther
_SCALES = (0.6, 1.7)  # of its width before
_STEPS = 8  # looks from one sample to the next, where the direct way finds nothing
_CUT = 0.1  # of its width: how far a face may reach over the edge and still be judged
_EDGE = 0.5  # widths of a face to the edge: nearer, it may leave before the next look
_SMALL_PX = 32  # below, nothing is known of a face
_TURNED = 0.2  # of Face.turn: from there on the detector, trained on frontal faces, may lose it
_SAME = 0.15  # distance that a codec and a camera make of one face
_SAME_PERSON = 0.55  # pictures of one person were up to 0.43 apart, of two people 0.61 and more
_HIDDEN = 2  # samples that a face may be away for and come back: something passed in front of it
_GONE = 1.0  # figure of a face that is missing, and did not turn, leave or shrink: beyond another person's


class FaceCritic:
    """Holds the faces of a take against those of its still, by dlib's models (the extra `faces`)."""

    dimension = DIMENSION

    def __init__(self) -> None:
        """Raises InputError when the extra is not installed."""
        require()

    def figures(self, frames: Frames, fps: Fraction, still: Pixels | None, character: Pixels | None) -> Curve:
        """(T,) figures of the face that changed most; sampled, and interpolated between samples."""
        count = len(frames)
        worst = np.zeros(count, np.float32)
        wanted = _found(frames[0] if still is None else still)[:_MOST_FACES]
        if not wanted:
            return worst
        marks = _marks(count, fps, len(wanted))
        tracks = [_followed(frames, marks, face) for face in wanted]
        people = [] if character is None else _found(character)[:1]
        looks = [[face, *track.seen.values()] for face, track in zip(wanted, tracks, strict=True)]
        known = iter(identities([*people, *(face for look in looks for face in look)]))
        models = list(islice(known, len(people)))
        identified = [list(islice(known, len(look))) for look in looks]
        for face, track, (own, *seen) in zip(wanted, tracks, identified, strict=True):
            alike = [own, *(model for model in models if _distance(own, model) < _SAME_PERSON)]
            drift = _drift(face, track, seen, alike)
            if drift:
                curve = np.interp(np.arange(count), list(drift), list(drift.values()))
                worst = np.maximum(worst, curve.astype(np.float32))
        return worst


def installed() -> bool:
    """Whether the extra `faces` is there; nothing of it is imported."""
    return not _missing()


def require() -> None:
    """Raises InputError when the extra `faces` is not installed."""
    if missing := _missing():
        raise InputError(
            f"faces cannot be judged: {' and '.join(missing)} not installed; pip install 'circletake[faces]'"
        )


@dataclass(frozen=True, slots=True)
class _Track:
    """Where one face of the still is in a take: by frame, in order, and the samples from which it is missing."""

    seen: dict[int, Face]
    gone: tuple[int, ...]


def _missing() -> list[str]:
    return [name for name in _EXTRA if importlib.util.find_spec(name) is None]


def _found(picture: Pixels) -> list[Face]:
    """The faces of a picture, largest first: those that are found at two sizes, and not cut by its edge."""
    height, width = picture.shape[:2]
    scale = min(_MOST_ENLARGED, (_WHOLE_PX / (height * width)) ** 0.5)
    sure = [_near(picture, face, _NEAR) for face in faces(picture, scale, _SURE)]
    whole = [face for face in sure if face and face.certain >= _SURE]
    return sorted(whole, key=lambda face: (-face.width, face.x, face.y))


def _marks(count: int, fps: Fraction, people: int) -> list[int]:
    """The frames that are looked at: evenly spread, first and last included."""
    most = _MOST_SAMPLES if people == 1 else _SHARED_SAMPLES
    wanted = min(max(round(count / fps * _SAMPLE_HZ) + 1, 3), most, count)
    return [round(float(index)) for index in np.linspace(0, count - 1, wanted)]


def _followed(frames: Frames, marks: Sequence[int], face: Face) -> _Track:
    """From mark to mark: the nearest of what is found around the place where the face was last."""
    seen: dict[int, Face] = {}
    gone: list[int] = []
    away: list[int] = []
    last, at, excused = face, 0, False
    for mark in marks:
        now = _near(frames[mark], last, _NEAR + len(away))
        if now is None and not away:
            last, at = _stepped(frames, last, at, mark)
            now = _near(frames[mark], last, _NEAR)
            if now is None and at > 0:
                seen[at] = last  # as it was when it was seen last
            excused = _may_go(last, face, frames[mark])
        if now is None:
            away.append(mark)
            continue
        gone += away if len(away) > _HIDDEN and not excused else []
        away = []
        seen[mark] = last = now
        at = mark
    gone += away if not excused else []
    return _Track(seen, tuple(gone))


def _stepped(frames: Frames, last: Face, at: int, mark: int) -> tuple[Face, int]:
    """How far a face last seen in frame `at` can be followed on the way to `mark`, and where it is then."""
    for between in sorted({at + (mark - at) * step // _STEPS for step in range(1, _STEPS)} - {at}):
        now = _near(frames[between], last, _NEAR)
        last, at = (last, at) if now is None else (now, between)
    return last, at


def _near(picture: Pixels, face: Face, reach: float) -> Face | None:
    """The face that is nearest to where `face` was, `reach` times its width around it at most; whole ones only."""
    height, width = picture.shape[:2]
    around = (reach + 0.5) * face.width
    left, right = max(0, int(face.x - around)), min(width, int(face.x + around))
    top, bottom = max(0, int(face.y - around)), min(height, int(face.y + around))
    if min(right - left, bottom - top) < face.width / 2:
        return None
    crop = np.ascontiguousarray(picture[top:bottom, left:right])
    there = (replace(f, x=f.x + left, y=f.y + top) for f in faces(crop, FACE_PX / face.width, _HINT))
    apart = ((math.hypot(f.x - face.x, f.y - face.y) / face.width, f) for f in there)
    fitting = [
        (distance, f)
        for distance, f in apart
        if distance <= _STEP * reach
        and _SCALES[0] < f.width / face.width < _SCALES[1]
        and _margin(f, picture) >= -_CUT
    ]
    return min(fitting, key=lambda found: found[0])[1] if fitting else None


def _may_go(face: Face, first: Face, picture: Pixels) -> bool:
    """Whether a face last seen like this, and first like `first`, may be lost without fault: on its way out of the
    picture, turned away, or too small."""
    edge = _margin(face, picture)
    leaving = edge < min(_EDGE, _margin(first, picture) - _CUT)
    return leaving or abs(face.turn) > _TURNED or face.width < _SMALL_PX


def _margin(face: Face, picture: Pixels) -> float:
    """From the box to the nearest edge of the picture, in widths of the box; below 0 it is cut."""
    height, width = map(float, picture.shape[:2])
    return min(face.x, width - face.x, face.y, height - face.y) / face.width - 0.5


def _drift(
    face: Face, track: _Track, seen: Sequence[Identity], alike: Sequence[Identity]
) -> dict[int, float]:
    """Figures by frame, in order; one that stands alone is what passed in front of the face, not the face."""
    figures = dict.fromkeys(track.gone, _GONE)
    for (index, now), identity in zip(track.seen.items(), seen, strict=True):
        apart = min(_distance(identity, other) for other in alike)
        figures[index] = max(0.0, apart - _SAME - abs(now.turn - face.turn))
    at = sorted(figures)
    values = [figures[index] for index in at]
    for i in range(1, len(at) - 1):
        values[i] = min(figures[at[i]], max(figures[at[i - 1]], figures[at[i + 1]]))
    return dict(zip(at, values, strict=True))


def _distance(one: Identity, other: Identity) -> float:
    return math.dist(one, other)
