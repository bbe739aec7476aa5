"""A run's job.json read back: the motions and models that its takes were made with.

Invariant: what is read back has the identity of what was written; whatever else stands there is refused, never guessed.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from farm.documents import Document, validate
from farm.errors import InputError
from farm.spec import Rate
from farm.store import layout
from farm.store.blobs import Blobs
from farm.values import Model, Motion, Scalar


@dataclass(frozen=True, slots=True)
class Recorded:
    """By their names, which are distinct in a job."""

    motions: Mapping[str, Motion]
    models: Mapping[str, Model]


class _Motion(Document):
    id: str
    prompt: str
    camera: str | None
    ambient: list[str] | None
    strength: int | float
    kind: str | None

    def motion(self) -> Motion:
        ambient = None if self.ambient is None else tuple(self.ambient)
        return Motion(self.id, self.prompt, self.camera, ambient, self.strength, self.kind)


class _Model(Document):
    """Fields with a default came later than the first runs. A whole number stays one: 5 and 5.0 have two identities."""

    name: str
    family: str
    revision: str
    frames: int
    fps: Rate
    size: str
    steps: int | None
    guidance: int | float | None
    path: str | None
    options: list[list[Scalar]]
    fit: str = "crop"
    rendered_fps: Rate | None = None
    hosting: list[list[Scalar]] | None = None

    def model(self, where: str) -> Model:
        fields = {name: getattr(self, name) for name in _Model.model_fields}
        pairs = {name: _pairs(fields[name] or [], f"{where}.{name}") for name in ("options", "hosting")}
        return Model(**{**fields, **pairs})


def read_job_record(blobs: Blobs) -> Recorded:
    """What a run was begun with. Raises InputError where there is no run, or none of this farm's; StoreError."""
    where = f"{blobs.url}/{layout.JOB}"
    if not blobs.exists(layout.JOB):
        raise InputError(f"{blobs.url}: no run here (there is no {layout.JOB}); give the output of a job")
    try:
        job = json.loads(blobs.get(layout.JOB))
    except ValueError:
        job = None
    if not isinstance(job, dict):
        raise InputError(f"{where}: was not written by farm")
    motions = [validate(_Motion, one, where=place).motion() for one, place in _listed(job, "motions", where)]
    models = [validate(_Model, one, where=place).model(place) for one, place in _listed(job, "models", where)]
    return Recorded({motion.id: motion for motion in motions}, {model.name: model for model in models})


def _listed(job: Mapping[str, Any], key: str, where: str) -> list[tuple[object, str]]:
    found = job.get(key)
    if not isinstance(found, list):
        raise InputError(f"{where}: {key}: expected a list; it was not written by this version of farm")
    return [(one, f"{where}: {key}[{number}]") for number, one in enumerate(found)]


def _pairs(found: list[list[Scalar]], where: str) -> tuple[tuple[str, Scalar], ...]:
    """Names with their values, as options are written."""
    pairs = []
    for one in found:
        if len(one) != 2 or not isinstance(one[0], str):
            raise InputError(f"{where}: expected pairs of a name and a value, got {one!r}")
        pairs.append((one[0], one[1]))
    return tuple(pairs)
