"""Stills in CSV files.

Invariant: row by row, Python's strict csv reader decides what a file says; pyarrow's, four times as fast, reads the
same from every file whose quotes are well-formed and is lax about the others.
"""

import csv
import io
from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.csv

from farm.catalog.columns import Row, checked_names, listed
from farm.catalog.remote import opened
from farm.errors import InputError


class CsvRows:
    """Comma separated, UTF-8, quoted with `"`, column names first; empty lines are passed over."""

    def __init__(self, place: str, shown_as: str) -> None:
        self._place = place
        self._shown = shown_as
        self._header: list[str] = []  # as written; empty until it was read

    def __iter__(self) -> Iterator[Row]:
        with opened(self._place) as file:
            # A text wrapper closes its file when it is forgotten; this one is closed where it was opened.
            text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
            reader = csv.reader(text, strict=True)
            line = 1
            try:
                names = self._read_header(next((row for row in reader if row), []))
                line = reader.line_num + 1
                for values in reader:
                    if values:
                        self._check_length(values, names, line)
                        yield line, dict(zip(names, values, strict=True))
                    line = reader.line_num + 1
            except UnicodeDecodeError:
                line = self._line_not_utf8()
                raise InputError(f"{self._shown}:{line}: not UTF-8 text; save it as UTF-8") from None
            except csv.Error as e:
                raise InputError(f"{self._shown}:{line}: not valid CSV: {e}") from None

    def schema(self) -> pa.Schema:
        if not self._header:
            next(iter(self), None)
        return pa.schema([(name.strip(), pa.string()) for name in self._header])

    def batches(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        names = self.schema().names
        with opened(self._place) as file:
            reader = pyarrow.csv.open_csv(
                file,
                # One megabyte at a time in one thread: more of either is memory, not speed.
                read_options=pyarrow.csv.ReadOptions(block_size=2**20, use_threads=False),
                parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True),
                convert_options=pyarrow.csv.ConvertOptions(
                    column_types=dict.fromkeys(self._header, pa.string()), strings_can_be_null=False
                ),
            )
            for batch in reader:
                yield batch.rename_columns(names).select([name for name in columns if name in names])

    def _read_header(self, row: list[str]) -> list[str]:
        if not row:
            raise InputError(f"{self._shown}: is empty; expected column names first, image among them")
        names = checked_names([name.strip() for name in row], f"{self._shown}:1")
        self._header = row
        return names

    def _check_length(self, values: list[str], names: list[str], line: int) -> None:
        if len(values) != len(names):
            raise InputError(
                f"{self._shown}:{line}: {len(values)} values for {len(names)} columns ({listed(names)}); "
                "a value that holds a comma needs quotes"
            )

    def _line_not_utf8(self) -> int:
        with opened(self._place) as file:
            for line, raw in enumerate(file, 1):
                try:
                    raw.decode("utf-8")
                except UnicodeDecodeError:
                    return line
        return 1
