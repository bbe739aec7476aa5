"""Stills in JSONL files: one JSON object a line.

Invariant: nothing in a line is dropped: a repeated key or a number that JSON does not have is an error.
"""

import json
import math
from collections.abc import Iterator, Sequence
from typing import NoReturn

import pyarrow as pa

from farm.catalog.columns import Row, checked_names, common_type, json_kind, kind_of
from farm.catalog.naming import printable
from farm.catalog.remote import opened
from farm.errors import InputError

_MAX_LINE_BYTES = 8 * 2**20


class JsonlRows:
    """UTF-8, empty lines are passed over. The columns are those of all rows together."""

    def __init__(self, place: str, shown_as: str) -> None:
        self._place = place
        self._shown = shown_as
        self._kinds: dict[str, set[type]] = {}
        self._complete = False
        self._decoder = json.JSONDecoder(
            object_pairs_hook=_unique, parse_constant=_no_constant, parse_float=_finite
        )

    def __iter__(self) -> Iterator[Row]:
        with opened(self._place) as file:
            line = 0
            while raw := file.readline(_MAX_LINE_BYTES + 1):
                line += 1
                where = f"{self._shown}:{line}"
                if len(raw) > _MAX_LINE_BYTES:
                    raise InputError(f"{where}: a line of more than {_MAX_LINE_BYTES // 2**20} MiB")
                text = self._decode(raw, where, first=line == 1)
                if text:
                    row = self._parse(text, where)
                    self._note_kinds(row, where)
                    yield line, row
        self._complete = True

    def schema(self) -> pa.Schema:
        if not self._complete:
            for _ in self:
                pass
        return pa.schema([(name, common_type(kinds)) for name, kinds in self._kinds.items()])

    def batches(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        # pyarrow's reader wants one type a column and names no lines.
        return iter(())

    def _decode(self, raw: bytes, where: str, *, first: bool) -> str:
        try:
            return raw.decode("utf-8-sig" if first else "utf-8").strip()
        except UnicodeDecodeError:
            raise InputError(f"{where}: not UTF-8 text; save it as UTF-8") from None

    def _parse(self, text: str, where: str) -> dict[str, object]:
        try:
            row = self._decoder.decode(text)
            if "\\ud" in text or "\\uD" in text:
                # Half a surrogate pair, which JSON can spell, is refused by Arrow and by every store.
                json.dumps(row, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise InputError(f"{where}: half a surrogate pair (\\ud...); allowed: whole characters") from None
        except json.JSONDecodeError as e:
            raise InputError(f"{where}: not valid JSON: {e.msg} (column {e.colno})") from None
        except ValueError as e:
            raise InputError(f"{where}: not valid JSON: {printable(str(e))}") from None
        except RecursionError:
            raise InputError(f"{where}: nested too deeply") from None
        if not isinstance(row, dict):
            raise InputError(f'{where}: {kind_of(row)}; expected an object such as {{"image": "a.jpg"}}')
        return row

    def _note_kinds(self, row: dict[str, object], where: str) -> None:
        for name, value in row.items():
            kinds = self._kinds.get(name)
            if kinds is None:
                kinds = self._kinds[name] = set()
                checked_names(list(self._kinds), where)
            if value is not None:
                kinds.add(json_kind(value))


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    row = dict(pairs)
    if len(row) != len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the key '{next(name for name in names if names.count(name) > 1)}' stands twice")
    return row


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError(f"the number {digits[:40]} is too large")
    return number
