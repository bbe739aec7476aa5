"""A table of stills, row by row, whatever format its rows come from.

Invariant: what `screen` lets pass, row by row reading lets pass too, with the same ids (but for a CSV file with
broken quotes, which only the latter refuses).
"""

import posixpath
import re
from collections.abc import Iterator, Mapping, Set

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from farm.catalog.columns import Rows, carry, kind_of, listed
from farm.catalog.naming import MAX_ID_CHARS, SUFFIX_PATTERN, checked_id, derived_id, is_image, is_url
from farm.catalog.remote import BadUrl, filesystem, local_path, shown
from farm.errors import InputError
from farm.redact import redact
from farm.values import Still

_OWN_COLUMNS = ("image", "id", "character", "shot", "prompt")
# White space at an end, or a character that may be none (RE2 has no Unicode \s): for the exact way to look at.
_ODD = r"^[\s\pZ]|[\s\pZ]$|\pC|^$"
# Below this the exact way takes a moment, too.
_WORTH_SCREENING_ROWS = 50_000


class Table:
    """`what` names the file in messages. `reserved` names, of the manifest, are carried with `catalog_` before."""

    empty = "no rows; expected one for every still"
    remedy = "ids must be unique (without a column id, they come from the images' names)"

    def __init__(self, rows: Rows, place: str, what: str, reserved: Set[str]) -> None:
        self._rows = rows
        self._place = place
        self.what = what
        self._reserved = {name.casefold() for name in reserved}
        path = local_path(place)
        self._folder = str(path.absolute().parent).rstrip("/") if path else None
        self._schemes: set[str] = set()  # of URLs in rows, known to be readable

    def screen(self) -> int | None:
        """The number of stills if the fast way finds nothing to ask about, else None."""
        hashes = []
        try:
            for batch in self._rows.batches(("image", "id")):
                seen = _screened(batch)
                if seen is None:
                    return None
                hashes.append(seen)
        except (pa.ArrowException, ValueError):
            return None
        count = sum(map(len, hashes))
        if count < _WORTH_SCREENING_ROWS or repeated(np.concatenate(hashes)):
            return None
        return count

    def ids(self) -> Iterator[tuple[str, str]]:
        for number, row in self._rows:
            where = f"{self.what}:{number}"
            yield _id(row, _image(row, where), where), where

    def stills(self) -> Iterator[Still]:
        carried = self._carried()
        for number, row in self._rows:
            where = f"{self.what}:{number}"
            image = _image(row, where)
            character = _label(row, "character", where)
            yield Still(
                id=_id(row, image, where),
                uri=self._uri(image, where),
                where=where,
                # What a still's row says is stored, what a URL is signed with is not.
                character=redact(character) if character else None,
                shot=_label(row, "shot", where),
                prompt=_label(row, "prompt", where),
                extra={field.name: carry(row.get(name), field.type) for name, field in carried.items()},
                # `mira.png` is a picture of Mira, `Mira` is her name.
                character_uri=self._uri(character, where) if character and _is_picture(character) else None,
            )

    def extra_columns(self) -> pa.Schema:
        return pa.schema(list(self._carried().values()))

    def _carried(self) -> dict[str, pa.Field]:
        """The extra columns by their name in the table, as fields of the manifest."""
        carried: dict[str, pa.Field] = {}
        names: set[str] = set()
        for column in self._rows.schema():
            if column.name in _OWN_COLUMNS:
                continue
            name = f"catalog_{column.name}" if column.name.casefold() in self._reserved else column.name
            if name in names:
                raise InputError(f"{self.what}: two columns would be carried as '{name}'; rename one of them")
            names.add(name)
            carried[column.name] = pa.field(name, column.type)
        return carried

    def _uri(self, image: str, where: str) -> str:
        if is_url(image):
            scheme = image.partition("://")[0]
            if scheme not in self._schemes:
                try:
                    filesystem(image)
                except InputError as e:
                    raise InputError(f"{where}: {e}") from None
                except BadUrl as e:
                    raise InputError(f"{where}: {shown(image)}: {e}") from None
                self._schemes.add(scheme)
            return image
        if image.startswith("/"):
            return image
        if self._folder is not None:
            return f"{self._folder}/{image}"
        scheme, mark, rest = self._place.partition("://")
        authority, _, path = rest.partition("/")
        # Buckets know no "..", and what stands after "?" belongs to the table alone.
        path = posixpath.normpath(posixpath.join("/", posixpath.dirname(path.partition("?")[0]), image))
        return f"{scheme}{mark}{authority}{path}"


def repeated(hashes: NDArray[np.int64]) -> set[int]:
    """The values that stand more than once. Sorts in place."""
    hashes.sort()
    return set(hashes[1:][hashes[1:] == hashes[:-1]].tolist())


def _screened(batch: pa.RecordBatch) -> NDArray[np.int64] | None:
    """Hashes of the ids of a batch; None if a row must be looked at."""
    names = batch.schema.names
    if "image" not in names or any(column.null_count for column in batch.columns):
        return None
    image = batch.column("image")
    ids = batch.column("id") if "id" in names else _derived(image)
    if ids is None or any(pc.any(pc.match_substring_regex(column, _ODD)).as_py() for column in (image, ids)):
        return None
    if len(ids) and pc.max(pc.utf8_length(ids)).as_py() > MAX_ID_CHARS:
        return None
    return np.fromiter(map(hash, ids.to_numpy(zero_copy_only=False)), np.int64, len(ids))


def _derived(image: pa.Array) -> pa.Array | None:
    """`derived_id` of a column of paths; None where there are URLs."""
    if pc.any(pc.match_substring(image, "://")).as_py():
        return None
    stems = pc.replace_substring_regex(image, r"^.*/", "")
    names = pc.if_else(pc.starts_with(image, "/"), stems, image)
    return pc.replace_substring_regex(names, SUFFIX_PATTERN, r"\1")


def _image(row: Mapping[str, object], where: str) -> str:
    image = row.get("image")
    if isinstance(image, str) and (stripped := image.strip()):
        return stripped
    if "image" not in row:
        hint = (
            "; columns are separated by commas" if any(mark in name for name in row for mark in ";\t") else ""
        )
        raise InputError(
            f"{where}: no 'image', which is required; there is: {listed(row) or 'nothing'}{hint}"
        )
    if isinstance(image, str):
        raise InputError(f"{where}: image is empty; expected a path or a URL")
    raise InputError(f"{where}: image is {kind_of(image)}; expected a path or a URL")


def _is_picture(character: str) -> bool:
    # Of a URL also what stands before a signature.
    return is_image(character) or (is_url(character) and is_image(re.split(r"[?#]", character)[0]))


def _id(row: Mapping[str, object], image: str, where: str) -> str:
    given = row.get("id")
    if given is None:
        return checked_id(derived_id(image), where=where)
    if isinstance(given, bool) or not isinstance(given, str | int):
        raise InputError(f"{where}: id is {kind_of(given)}; allowed: a text or a whole number")
    return checked_id(str(given), where=where)


def _label(row: Mapping[str, object], name: str, where: str) -> str | None:
    """An optional text; a number is taken as it is written, an empty one as none."""
    value = row.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise InputError(f"{where}: {name} is {kind_of(value)}; allowed: a text")
    return str(value).strip() or None
