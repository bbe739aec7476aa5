"""Where stills come from: a folder, a glob, or a CSV, JSONL or Parquet file, local or at any fsspec URL.

Invariants
- Stills come in a stable order and one at a time; ids are unique, and the same for the same catalog everywhere.
- An error names the row (`stills.csv:12`) or the path; no message, id or `where` holds a URL's credentials.
"""

from array import array
from collections.abc import Callable, Iterator, Set
from pathlib import Path
from typing import Protocol

import numpy as np
import pyarrow as pa

from farm.catalog.columns import Rows
from farm.catalog.csv_rows import CsvRows
from farm.catalog.folder import Folder, split_glob
from farm.catalog.jsonl_rows import JsonlRows
from farm.catalog.naming import printable
from farm.catalog.parquet_rows import ParquetRows
from farm.catalog.remote import local_path, shown
from farm.catalog.table import Table, repeated
from farm.errors import InputError
from farm.redact import redact
from farm.values import Still

_FORMATS: dict[str, Callable[[str, str], Rows]] = {
    ".csv": CsvRows,
    ".jsonl": JsonlRows,
    ".parquet": ParquetRows,
}
_ALLOWED = f"a folder, a glob such as stills/*.jpg, or a file that ends in {', '.join(_FORMATS)}"


class Source(Protocol):
    what: str  # its name in messages
    empty: str  # what to say when there is no still in it
    remedy: str  # what to do about two stills with the same id

    def screen(self) -> int | None:
        """The number of stills, where a fast way tells it and finds no fault; else None."""
        ...

    def ids(self) -> Iterator[tuple[str, str]]:
        """(id, where) of every still. Raises InputError at the first that cannot be used."""
        ...

    def stills(self) -> Iterator[Still]: ...

    def extra_columns(self) -> pa.Schema: ...


class Catalog:
    """All stills of a job. Every method may raise InputError, for what is wrong with the catalog or its place."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._count: int | None = None

    def stills(self) -> Iterator[Still]:
        """Every still, from the start, in an order that depends on the catalog only."""
        self.count()
        return self._source.stills()

    def count(self) -> int:
        """The number of stills. The first call reads the whole catalog and checks it; 8 bytes a still are held."""
        if self._count is None:
            count = self._source.screen() or self._check_all()
            self._source.extra_columns()  # what is wrong with them is to be told now
            self._count = count
        return self._count

    @property
    def extra_columns(self) -> pa.Schema:
        """Names and types of `Still.extra`."""
        self.count()
        return self._source.extra_columns()

    def _check_all(self) -> int:
        hashes = array("q", (hash(still_id) for still_id, _ in self._source.ids()))
        if not hashes:
            raise InputError(f"{self._source.what}: {self._source.empty}")
        if twice := repeated(np.array(hashes)):
            self._refuse_twins(twice)
        return len(hashes)

    def _refuse_twins(self, hashes: set[int]) -> None:
        """Raises InputError naming the first two with the same id, if it was not only their hashes that agreed."""
        first: dict[str, str] = {}
        for still_id, where in self._source.ids():
            if hash(still_id) not in hashes:
                continue
            if still_id in first:
                raise InputError(
                    f"{first[still_id]} and {where} both have id '{printable(still_id)}'; {self._source.remedy}"
                )
            first[still_id] = where


def open_catalog(spec: str, *, base: Path | None = None, reserved: Set[str] = frozenset()) -> Catalog:
    """The catalog at `spec`: a folder, a glob, a table, or an fsspec URL of one of these.

    A relative local path is looked for in the working directory, then in `base` (the job file's folder). Extra
    columns with a name in `reserved` (the manifest's own) are carried as `catalog_<name>`. Raises InputError when
    there is no such place; what is wrong inside is raised by the catalog's methods.
    """
    spec = spec.strip()
    if not spec or "\0" in spec:
        raise InputError(f"stills: '{printable(spec)}' names nothing; allowed: {_ALLOWED}")
    path = local_path(spec)
    return Catalog(_remote(spec, reserved) if path is None else _local(path.expanduser(), base, reserved))


def _local(path: Path, base: Path | None, reserved: Set[str]) -> Source:
    places = [path] if base is None or path.is_absolute() or base == Path() else [path, base / path]
    for place in places:
        if place.is_dir():
            return Folder(str(place.absolute()), str(place))
        if place.exists():
            return _table(str(place.absolute()), printable(str(place)), place.suffix, reserved)
    if glob := split_glob(str(path)):
        folder, pattern = glob
        roots = [Path(folder)] if len(places) == 1 or base is None else [Path(folder), base / folder]
        root = next((root for root in roots if root.is_dir()), None)
        if root is not None:
            return Folder(str(root.absolute()), str(root), pattern)
    looked = " and ".join(printable(str(place)) for place in places)
    raise InputError(f"stills: no such file or folder: {looked}; allowed: {_ALLOWED}")


def _remote(url: str, reserved: Set[str]) -> Source:
    visible = redact(url)  # without a query, which would look like a wildcard and hide the suffix
    if not visible.partition("://")[2].strip("/"):
        raise InputError(f"{shown(url)}: names no bucket or host")
    suffix = Path(visible).suffix
    glob = split_glob(url) if split_glob(visible) else None
    if glob is None and suffix.lower() in _FORMATS:
        return _table(url, shown(url), suffix, reserved)
    if url.lower().startswith(("http://", "https://")):
        raise InputError(
            f"{shown(url)}: a web server lists no folders; give a file that ends in {', '.join(_FORMATS)}"
        )
    if glob is None:
        return Folder(url, shown(url))
    return Folder(glob[0], shown(glob[0]), glob[1])


def _table(place: str, what: str, suffix: str, reserved: Set[str]) -> Source:
    make = _FORMATS.get(suffix.lower())
    if make is None:
        raise InputError(f"{what}: not a catalog; allowed: {_ALLOWED}")
    return Table(make(place, what), place, what, reserved)
