"""Motions: what people write of them, and where their libraries lie.

Invariant: the motions of a job have distinct ids, and every one of them was written by somebody: nothing is made up
for an id that is not found.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

from pydantic import Discriminator, Field, Tag, field_validator

from farm.catalog.naming import id_fault, printable
from farm.documents import Document, read_yaml, unknown, validate
from farm.errors import InputError
from farm.values import Ambient, Camera, Motion

MAX_PROMPT_CHARS = 2000

Kind = Literal["hair", "camera", "cloth", "elements", "expression", "body", "liquid", "reflection"]


class MotionSpec(Document):
    """One motion. `camera` and `ambient` say in fixed words what a renderer that reads no prompts is to do."""

    id: str
    prompt: str
    camera: Camera | None = None
    ambient: list[Ambient] | None = None
    strength: float = Field(1.0, gt=0, le=3)
    kind: Kind | None = None

    @field_validator("id")
    @classmethod
    def _usable(cls, value: str) -> str:
        name = value.strip()
        if fault := id_fault(name):
            raise ValueError(fault)
        return name

    @field_validator("prompt")
    @classmethod
    def _one_paragraph(cls, value: str) -> str:
        # However a text is wrapped in its file, it is the same prompt, and the same takes.
        text = " ".join(value.split())
        if not 1 <= len(text) <= MAX_PROMPT_CHARS:
            raise ValueError(f"has {len(text)} characters; allowed: 1 to {MAX_PROMPT_CHARS}")
        return text

    @field_validator("ambient")
    @classmethod
    def _each_once(cls, value: list[Ambient] | None) -> list[Ambient] | None:
        if value is not None and (twice := _repeated(value)):
            raise ValueError(f"'{twice}' stands twice")
        return value

    def motion(self) -> Motion:
        ambient = None if self.ambient is None else tuple(self.ambient)
        return Motion(self.id, self.prompt, self.camera, ambient, self.strength, self.kind)


class LibrarySpec(Document):
    """Some motions of one library file."""

    library: str = Field(min_length=1)
    ids: list[str] = Field(min_length=1)


class Library(Document):
    """A library file."""

    motions: list[MotionSpec] = Field(min_length=1)


def _form(value: object) -> str | None:
    # The tags end up in the places of errors, from where documents.py takes what stands in angle brackets.
    if isinstance(value, str):
        return "<text>"
    if isinstance(value, list):
        return "<list>"
    return "<mapping>" if isinstance(value, dict | Document) else None


_Listed: TypeAlias = Annotated[
    Annotated[str, Tag("<text>")] | Annotated[MotionSpec, Tag("<mapping>")],
    Discriminator(
        _form,
        custom_error_type="motion_form",
        custom_error_message="expected the id of a motion, or a motion: {id, prompt, ...}",
    ),
]
MotionsSpec: TypeAlias = Annotated[
    Annotated[str, Tag("<text>")]
    | Annotated[list[_Listed], Tag("<list>")]
    | Annotated[LibrarySpec, Tag("<mapping>")],
    Discriminator(
        _form,
        custom_error_type="motions_form",
        custom_error_message="expected a library file, a list of ids and motions, or {library, ids}",
    ),
]


def load_motions(
    spec: str | list[str | MotionSpec] | LibrarySpec, *, where: str, base: Path
) -> tuple[Motion, ...]:
    """The motions that a job asks for, in its order.

    `where` names the job in messages and `base` is its folder. A text is a library file; a library is looked for in
    the working directory, then in `base`. Ids in a list are looked up in all of ./jobs/motions/*.yaml and
    <base>/motions/*.yaml. Raises InputError.
    """
    if isinstance(spec, str):
        return tuple(motion.motion() for motion in _read_library(_find(spec, where, base)))
    if isinstance(spec, LibrarySpec):
        path = _find(spec.library, where, base)
        known = {motion.id: motion for motion in _read_library(path)}
        chosen = [_pick(name, known, f"{where}: motions.ids", str(path)) for name in spec.ids]
    else:
        chosen = _of_list(spec, where, base)
    if twice := _repeated(motion.id for motion in chosen):
        raise InputError(f"{where}: motions: '{printable(twice)}' stands twice; each motion is rendered once")
    return tuple(motion.motion() for motion in chosen)


def _of_list(spec: list[str | MotionSpec], where: str, base: Path) -> list[MotionSpec]:
    if not spec:
        raise InputError(f"{where}: motions is empty; expected at least one motion")
    if not any(isinstance(item, str) for item in spec):
        return [item for item in spec if isinstance(item, MotionSpec)]
    known: dict[str, MotionSpec] = {}
    home: dict[str, Path] = {}
    asked = {item for item in spec if isinstance(item, str)}
    paths = _library_files(base)
    if not paths:
        raise InputError(
            f"{where}: motions: no library to look up '{printable(sorted(asked)[0])}' in; "
            f"allowed: jobs/motions/*.yaml, {base / 'motions'}/*.yaml, or {{library: FILE, ids: [...]}}"
        )
    for path in paths:
        for motion in _read_library(path):
            if motion.id in asked and motion.id in home:
                raise InputError(
                    f"{where}: motions: '{printable(motion.id)}' stands in {home[motion.id]} and in {path}; "
                    "say which: {library: FILE, ids: [...]}"
                )
            known[motion.id], home[motion.id] = motion, path
    among = " or ".join(map(str, paths))
    return [
        _pick(item, known, f"{where}: motions", among) if isinstance(item, str) else item for item in spec
    ]


def _pick(name: str, known: dict[str, MotionSpec], where: str, among: str) -> MotionSpec:
    motion = known.get(name.strip())
    if motion is None:
        raise InputError(f"{where}: no motion '{printable(name)}' in {among}; {unknown(name, list(known))}")
    return motion


def _read_library(path: Path) -> list[MotionSpec]:
    motions = validate(Library, read_yaml(path), where=str(path)).motions
    if twice := _repeated(motion.id for motion in motions):
        raise InputError(f"{path}: motions: the id '{printable(twice)}' stands twice; ids must be unique")
    return motions


def _find(name: str, where: str, base: Path) -> Path:
    path = Path(name.strip()).expanduser()
    for place in (path, base / path):
        if place.is_file():
            return place
    hint = "" if path.suffix in {".yaml", ".yml"} else f"; ids are written as a list: [{printable(name)}]"
    raise InputError(f"{where}: motions: no library file {printable(str(path))}{hint}")


def _library_files(base: Path) -> list[Path]:
    """Without the same file twice, when the job lies in ./jobs."""
    paths: dict[Path, Path] = {}
    for folder in (Path("jobs/motions"), base / "motions"):
        for path in sorted(folder.glob("*.yaml")):
            paths.setdefault(path.resolve(), path)
    return list(paths.values())


def _repeated(names: Iterable[str]) -> str | None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return None
