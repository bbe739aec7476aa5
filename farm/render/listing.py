"""The files of a model in a folder or at a URL: which of them are loaded, how large they are, and their bytes.

Invariant: the same files give the same answers, and the same revision, wherever they lie. Nothing that could be
executed is wanted: no pickles, no programs; no name leads out of the model's folder.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from farm.catalog.naming import is_url
from farm.catalog.remote import backend_errors, filesystem, told
from farm.errors import InputError
from farm.ids import CONTENT

INDEX = "model_index.json"
# Files up to this size are read whole for the revision; of larger ones, so much at both ends.
WHOLE_BYTES = 1 << 20
_DEPTH = 3  # parts of a name: text_encoder/parts/model.safetensors is deeper than any that is known
_SUFFIXES = (".safetensors", ".json", ".txt", ".model", ".jinja", ".tiktoken")
_VARIANT = re.compile(
    r"\.[^/]*\.safetensors$|\.index\.[^./]+\.json$"
)  # x.fp16.safetensors: another precision


@dataclass(frozen=True, slots=True)
class File:
    """`name` is relative to the model, "/" between folders. `etag` is the store's word for the content, or nothing."""

    name: str
    size: int
    etag: str = ""


class Place(Protocol):
    """Where a model lies."""

    @property
    def said(self) -> str:
        """How messages about it begin; no credentials are in it."""
        ...

    def files(self) -> list[File]:
        """All files, in the order of their names' parts. Raises InputError."""
        ...

    def read(self, name: str, start: int = 0, stop: int | None = None) -> bytes:
        """The bytes of one file in [start, stop). Raises InputError."""
        ...


def place_of(path: str, *, said: str) -> Place:
    return Remote(path, said) if is_url(path) else Folder(Path(path), said)


@dataclass(frozen=True, slots=True)
class Folder:
    """A Place on this machine."""

    root: Path
    said: str

    def files(self) -> list[File]:
        if not self.root.is_dir():
            raise InputError(f"{self.said}: there is no such folder")
        try:
            # Not rglob: it does not enter linked folders, and published checkpoints are often put together by links.
            found = [path for depth in range(_DEPTH) for path in self.root.glob("/".join("*" * (depth + 1)))]
            files = [(path, path.stat().st_size) for path in found if path.is_file()]
        except OSError as e:
            raise InputError(f"{self.said}: cannot be read: {e.strerror}") from e
        return _ordered([File(path.relative_to(self.root).as_posix(), size) for path, size in files])

    def read(self, name: str, start: int = 0, stop: int | None = None) -> bytes:
        try:
            with (self.root / name).open("rb") as file:
                file.seek(start)
                return file.read(-1 if stop is None else stop - start)
        except OSError as e:
            raise InputError(f"{self.said}: {name} cannot be read: {e.strerror}") from e


class Remote:
    """A Place behind fsspec."""

    def __init__(self, url: str, said: str) -> None:
        self.said = said
        self._url = url
        with self.named():
            self.system, root = filesystem(url)
        self.root = root.rstrip("/")

    @contextmanager
    def named(self) -> Iterator[None]:
        """What the store raises inside leaves as InputError, in one line without secrets."""
        try:
            yield
        except backend_errors() as e:
            raise InputError(f"{self.said}: {told(e, self._url).text}") from None

    def files(self) -> list[File]:
        with self.named():
            self.system.invalidate_cache()
            found: Mapping[str, Mapping[str, Any]] = self.system.find(self.root, detail=True)
            before = len(self.system._strip_protocol(self.root).rstrip("/")) + 1
            files = [
                File(path[before:], self._size(path, info), str(info.get("ETag") or "").strip('"'))
                for path, info in found.items()
            ]
        if not files:
            raise InputError(f"{self.said}: no such folder, or nothing in it")
        return _ordered(files)

    def _size(self, path: str, info: Mapping[str, Any]) -> int:
        # A web server's list of links has no sizes.
        return int(self.system.size(path) if info.get("size") is None else info["size"])

    def read(self, name: str, start: int = 0, stop: int | None = None) -> bytes:
        with self.named():
            data: bytes = self.system.cat_file(f"{self.root}/{name}", start=start or None, end=stop)
        return data

    def blocks(self, name: str, block_bytes: int) -> Iterator[bytes]:
        """One file from its start to its end."""
        with self.named(), self.system.open(f"{self.root}/{name}", "rb", block_size=block_bytes) as file:
            while block := file.read(block_bytes):
                yield block


def read_json(place: Place, name: str) -> dict[str, Any]:
    """One of a model's JSON files. Raises InputError for what is no mapping."""
    try:
        found = json.loads(place.read(name).decode("utf-8"))
    except ValueError as e:
        raise InputError(f"{place.said}: {name} cannot be read: {e}") from None
    if not isinstance(found, dict):
        raise InputError(f"{place.said}: {name} is not a mapping; expected a diffusers model")
    return found


def components(index: Mapping[str, Any]) -> tuple[str, ...]:
    """The folders that a pipeline is loaded from, as its model_index.json names them."""
    return tuple(
        name for name, value in index.items() if isinstance(value, list) and len(value) == 2 and value[0]
    )


def wanted(files: Sequence[File], index: Mapping[str, Any]) -> list[File]:
    """The files that are loaded: the index, and of each component configs, vocabularies and safetensors.

    Other precisions of the same weights (`model.fp16.safetensors`) are not.
    """
    parts = components(index)
    return [file for file in files if file.name == INDEX or _is_wanted(file.name, parts)]


def _is_wanted(name: str, parts: tuple[str, ...]) -> bool:
    folder, *rest = name.split("/")
    if (
        not 0 < len(rest) < _DEPTH
        or folder not in parts
        or any(part.startswith(".") or not part for part in rest)
    ):
        return False
    return name.endswith(_SUFFIXES) and not _VARIANT.search(rest[-1])


def patterns(index: Mapping[str, Any]) -> list[str]:
    """What `wanted` wants, but for the precisions, as patterns of fnmatch."""
    return [INDEX, *(f"{part}/*{suffix}" for part in components(index) for suffix in _SUFFIXES)]


def digest(place: Place, files: Sequence[File]) -> str:
    """The revision that says what is in a model: from names, sizes, whole small files and both ends of large ones.

    Weights that differ only in the middle of a file above 2 MiB are not told apart.
    """
    found = hashlib.sha256()
    for file in files:
        found.update(f"{file.name}\0{file.size}\0".encode())
        found.update(place.read(file.name, 0, min(file.size, WHOLE_BYTES)) if file.size else b"")
        if file.size > WHOLE_BYTES:
            tail = min(WHOLE_BYTES, file.size - WHOLE_BYTES)
            found.update(place.read(file.name, file.size - tail, file.size))
    return f"{CONTENT}{found.hexdigest()[:12]}"


def _ordered(files: list[File]) -> list[File]:
    return sorted(files, key=lambda file: file.name.split("/"))
