"""The scorer's development set: takes whose worth is known, from photographs, videos and faults of known severity.

Invariant: entries and their pixels are functions of their ids; no scene stands in both splits; kinds of fault of
the group "unseen" stand in the split "check" only, so that nothing can be calibrated on them.
`python tests/bench/devset.py OUT [--quick] [--grep TEXT]` writes a filmstrip of each entry.
"""

import argparse
import hashlib
import os
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Literal, TypeAlias

import cv2
import numpy as np
from devset_faults import Fault, Onset, lay
from devset_faults_known import KNOWN
from devset_faults_unseen import UNSEEN
from devset_hard import HARD, hard, suits
from devset_material import PHOTOGRAPHS, ROOT, VIDEOS, Split, photographs, split_of, video
from devset_takes import FPS, MOTION_MARGIN, MOTIONS, Scene, moving, scene
from numpy.typing import NDArray

from farm.trim.encode import encode_clip
from farm.trim.footage import decode
from farm.values import Frames, Pixels

Source: TypeAlias = Literal["photo", "video"]
SIZE = (640, 360)
COUNT = 96
CLEANS, HARDS = 6, 6
FAULTS = {"photo": {"calibrate": 24, "check": 36}, "video": {"calibrate": 10, "check": 16}}
"""Entries of each photograph, and faults of each content by split: the check split has the unseen kinds too."""
AS_SHOT = "as_shot"
TEXTURELESS = ("anime", "notebook")
"""Contents that have no texture to lose: there a waxy take is as good as any."""
CACHE = ROOT / "build/devset"


@dataclass(frozen=True, slots=True)
class Entry:
    """One take; `severity` is 0 for clean and hard ones, `fault`, `group` and `onset` are None there."""

    id: str
    content: str
    source: Source
    split: Split
    role: Literal["clean", "hard", "fault"]
    motion: str
    fault: str | None = None
    group: Literal["known", "unseen"] | None = None
    severity: int = 0
    onset: Onset | None = None


@dataclass(frozen=True, slots=True)
class Clip:
    """A take as it comes out of its file; `still` is the undamaged one, `bad` (T,) says which frames are damaged."""

    frames: Frames
    fps: Fraction
    still: Pixels
    bad: NDArray[np.bool_]


def seed_of(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")


def entries(quick: bool = False) -> list[Entry]:
    """All entries of the material that is listed, fetched or not: `available` says which can be made."""
    contents = [(name, "photo") for name in PHOTOGRAPHS] + [(name, "video") for name in VIDEOS]
    found: list[Entry] = []
    for split in ("calibrate", "check"):
        pairs = _pairs(split)
        at = 0
        for number, (content, source) in enumerate(one for one in contents if split_of(one[0]) == split):
            count = FAULTS[source][split]
            mine = [pairs[(at + i) % len(pairs)] for i in range(count)]
            mine = [pair for pair in mine if pair[0] != "waxy" or content not in TEXTURELESS]
            at += count
            made = _good(content, source, split, number) + _spoilt(content, source, split, mine)
            if not quick:
                found += made
            elif number % 2 == 0:
                found += [entry for i, entry in enumerate(made) if i % 3 == (number // 2) % 3]
    return found


def _pairs(split: str) -> list[tuple[str, int]]:
    """All (fault, severity) of a split in a fixed shuffled order."""
    faults = KNOWN if split == "calibrate" else KNOWN | UNSEEN
    pairs = [(name, severity) for name, fault in faults.items() for severity in fault.severities]
    return sorted(pairs, key=lambda pair: seed_of(f"{pair[0]}{pair[1]}"))


def _good(content: str, source: Source, split: Split, number: int) -> list[Entry]:
    if source == "video":
        return [Entry(f"{content}-{AS_SHOT}", content, source, split, "hard", AS_SHOT)]
    motions = _motions(content)
    cleans = [Entry(f"{content}-{m}", content, source, split, "clean", m) for m in motions[:CLEANS]]
    kinds = [kind for kind in HARD if suits(kind, content)]
    chosen = [kinds[(number * HARDS + i) % len(kinds)] for i in range(HARDS)]
    return cleans + [Entry(f"{content}-{k}", content, source, split, "hard", k) for k in chosen]


def _motions(content: str) -> list[str]:
    suited = [motion for motion in MOTIONS if "ripple" not in motion or suits("water", content)]
    return sorted(suited, key=lambda motion: seed_of(content + motion))


def _spoilt(content: str, source: Source, split: Split, pairs: list[tuple[str, int]]) -> list[Entry]:
    motions, made = _motions(content), []
    for i, (name, severity) in enumerate(pairs):
        onset = _onset(_fault(name).onsets, seed_of(f"{content}{name}{severity}"))
        motion = motions[i % len(motions)] if source == "photo" else AS_SHOT
        group: Literal["known", "unseen"] = "known" if name in KNOWN else "unseen"
        made.append(
            Entry(
                f"{content}-{motion}-{name}-{severity}-{onset}", content, source, split, "fault", motion,
                name, group, severity, onset,
            )
        )  # fmt: skip
    return made


def _onset(onsets: tuple[Onset, ...], seed: int) -> Onset:
    """Any of them, and every other time all of the take: only what leaves no clean window tells takes apart."""
    if "throughout" in onsets and seed % 2:
        return "throughout"
    return onsets[seed // 2 % len(onsets)]


def _fault(name: str) -> Fault:
    return KNOWN[name] if name in KNOWN else UNSEEN[name]


def available(entry: Entry) -> bool:
    """Whether the entry's material could be had on this machine."""
    return entry.content in photographs() if entry.source == "photo" else video(entry.content) is not None


@cache
def shot(content: str) -> Scene:
    return scene(photographs()[content], SIZE, MOTION_MARGIN)


def undamaged(entry: Entry) -> tuple[Frames, Fraction, Pixels]:
    """The take before any fault, its rate and its still. Raises KeyError where the material is not available."""
    if entry.source == "video":
        footage = video(entry.content)
        if footage is None:
            raise KeyError(entry.content)
        return footage.frames, footage.fps, footage.frames[0]
    seed = seed_of(f"{entry.content}{entry.motion}{entry.fault}{entry.severity}")
    if entry.role == "hard":
        frames, still = hard(entry.motion, shot(entry.content), COUNT, seed)
        return frames, FPS, still
    strength = 0.75 + 0.45 * (seed % 1000) / 999
    return moving(entry.motion, shot(entry.content), COUNT, strength, seed), FPS, shot(entry.content).still


def raw(entry: Entry) -> Clip:
    """The entry before it went through a file."""
    frames, fps, still = undamaged(entry)
    bad = np.zeros(len(frames), np.bool_)
    if entry.fault is not None and entry.onset is not None:
        fault, seed = _fault(entry.fault), seed_of(entry.id)
        frames, bad = lay(fault, frames, entry.severity, entry.onset, float(fps), seed)
    return Clip(frames, fps, still, bad)


def clip(entry: Entry) -> Clip:
    """The entry through H.264 at crf 18 and back. It is made once and kept under build/devset, until its code changes.

    Made anew it costs about 1.5 CPU-s, read again 0.2 (measured at 640x360).
    """
    name = f"{entry.id}@{_digest(entry.role)}"
    film, rest = CACHE / f"{name}.mp4", CACHE / f"{name}.npz"
    if not rest.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        for old in CACHE.glob(f"{entry.id}@*"):
            old.unlink(missing_ok=True)
        made = raw(entry)
        part = CACHE / f"part-{os.getpid()}-{name}"
        encode_clip(made.frames, made.fps, part, {})
        part.replace(film)
        with part.open("wb") as file:
            np.savez(file, bad=made.bad, still=_png(made.still))
        part.replace(rest)
    frames, fps = decode(film)
    with np.load(rest) as kept:
        still = cv2.imdecode(kept["still"], cv2.IMREAD_COLOR)
        return Clip(frames, fps, np.ascontiguousarray(still[..., ::-1]), kept["bad"])


def _png(still: Pixels) -> NDArray[np.uint8]:
    done, file = cv2.imencode(".png", still[..., ::-1])
    if not done:
        raise ValueError(f"a still of {still.shape} cannot be kept")
    return np.asarray(file, np.uint8)


@cache
def _digest(role: str) -> str:
    """Of the code that makes entries of a role, so that nothing old is read after a change."""
    left_out = {
        "clean": ("devset_hard*", "devset_faults*"),
        "hard": ("devset_faults*",),
        "fault": ("devset_hard*",),
    }
    code = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("devset*.py")):
        if not any(path.match(pattern) for pattern in left_out[role]):
            code.update(path.read_bytes())
    return code.hexdigest()[:10]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--grep", default="")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    for entry in entries(given.quick):
        if given.grep in entry.id and available(entry):
            made = raw(entry)
            shown = np.linspace(0, len(made.frames) - 1, 8).round().astype(int)
            cells = [
                cv2.resize(made.frames[i], None, fx=0.4, fy=0.4, interpolation=cv2.INTER_AREA) for i in shown
            ]
            for cell, i in zip(cells, shown, strict=True):
                cell[:4] = (220, 0, 0) if made.bad[i] else (0, 160, 0)
            cv2.imwrite(str(given.out / f"{entry.id}.png"), np.concatenate(cells, axis=1)[..., ::-1])
            print(entry.id)


if __name__ == "__main__":
    main()
