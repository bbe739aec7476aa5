"""dlib's face models: where faces are in a picture, which way they look, and what identity they have.

Invariant: the models are loaded once in a process, when first asked for, and give the same numbers for the same
pixels; only this module knows dlib, and none of it is imported before. The 5 point landmarks are used: those of 68
points were trained on pictures that exclude commercial use.
"""

import importlib
import importlib.util
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from farm.values import Pixels

Identity: TypeAlias = NDArray[np.float64]  # (128,), of unit scale: two people are about 0.8 apart

FACE_PX = 110
"""Width of a face's box at which it is looked at: the detector needs 80, a chip shows it at 100."""
_CHIP_PX = 150  # what the identity model takes
_CHIP_PADDING = 0.25  # and was trained with
_LOCK = threading.Lock()


@dataclass(frozen=True, slots=True)
class Face:
    """A face in a picture; lengths in pixels of the picture."""

    x: float  # of its middle
    y: float
    width: float  # of the detector's square box
    turn: float  # where the nose is, from between the eyes, over the distance of their outer corners: 0 is frontal
    certain: float  # the detector's score: above 0 is a face as it was trained on
    chip: Pixels  # (150, 150, 3), upright


@dataclass(frozen=True, slots=True)
class Models:
    """The three models, loaded, and dlib itself."""

    dlib: Any
    detector: Any
    landmarks: Any
    identity: Any


def faces(picture: Pixels, scale: float, least: float) -> list[Face]:
    """All faces that are about FACE_PX wide or more once the picture (H, W, 3) is scaled, none under `least`."""
    import cv2  # not above: a plan asks only whether the extra is installed

    models = _models()
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    scaled = np.asarray(cv2.resize(picture, None, fx=scale, fy=scale, interpolation=method), np.uint8)
    boxes, scores, _ = models.detector.run(cv2.cvtColor(scaled, cv2.COLOR_RGB2GRAY), 0, least)
    return [_face(models, scaled, box, score, scale) for box, score in zip(boxes, scores, strict=True)]


def identities(seen: Sequence[Face]) -> list[Identity]:
    """What tells each face from others; at once, as that is a quarter cheaper than one by one."""
    if not seen:
        return []
    found = _models().identity.compute_face_descriptor([face.chip for face in seen])
    return [np.asarray(identity, np.float64) for identity in found]


def _face(models: Models, scaled: Pixels, box: Any, score: float, scale: float) -> Face:
    shape = models.landmarks(scaled, box)
    chip = models.dlib.get_face_chip(scaled, shape, _CHIP_PX, _CHIP_PADDING)
    middle = box.center()
    return Face(middle.x / scale, middle.y / scale, box.width() / scale, _turn(shape), float(score), chip)


def _turn(shape: Any) -> float:
    """Points 0 and 2 are the outer corners of the eyes, 1 and 3 the inner ones, 4 is under the nose."""
    points = np.asarray([(point.x, point.y) for point in shape.parts()], np.float64)
    across = points[0] - points[2]
    length = float(np.hypot(*across))
    return float((points[4] - points[:4].mean(axis=0)) @ across) / length**2 if length else 0.0


def _models() -> Models:
    with _LOCK:  # two takes that start together must not load them twice
        return _loaded()


@cache
def _loaded() -> Models:
    dlib = importlib.import_module("dlib")
    spec = importlib.util.find_spec("face_recognition_models")
    # Found, not imported: its older namesake imports pkg_resources, which is not there any more.
    folder = Path(next(iter(spec.submodule_search_locations or ()))) / "models" if spec else Path()
    return Models(
        dlib=dlib,
        detector=dlib.get_frontal_face_detector(),
        landmarks=dlib.shape_predictor(str(folder / "shape_predictor_5_face_landmarks.dat")),
        identity=dlib.face_recognition_model_v1(str(folder / "dlib_face_recognition_resnet_model_v1.dat")),
    )
