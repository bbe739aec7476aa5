"""Copies of a finished run, and what may happen to them: one damage at a time, by the word it should be found under."""

from collections.abc import Callable, Mapping
from io import BytesIO
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from small_runs import PLACE_AND_TIME

from farm.ids import sha256_hex
from farm.store import layout
from farm.store.blobs import Blobs
from farm.store.manifest import encode_outcome, read_takes
from farm.store.rows import outcome_of_row

Row = dict[str, Any]


def copy(source: Blobs, target: Blobs) -> Blobs:
    for key, _ in source.list():
        target.put(key, source.get(key))
    return target


def rows(blobs: Blobs) -> list[Row]:
    found = [row for batch in read_takes(blobs) for row in batch.to_pylist()]
    return sorted(found, key=lambda row: str(row["take_id"]))


def essence(blobs: Blobs) -> list[Row]:
    return [{name: value for name, value in row.items() if name not in PLACE_AND_TIME} for row in rows(blobs)]


def clips(blobs: Blobs) -> dict[str, str]:
    """Every clip with the digest of its bytes."""
    return {key: sha256_hex(blobs.get(key)) for key, _ in blobs.list(layout.CLIPS) if key.endswith(".mp4")}


def circled(blobs: Blobs) -> list[Row]:
    return list(pq.read_table(BytesIO(blobs.get(layout.SELECTS))).drop_columns(["cost_usd"]).to_pylist())


def judged(blobs: Blobs) -> list[Row]:
    """The takes that have clips; circled ones first."""
    names = {row["take_id"] for row in circled(blobs)}
    return sorted(
        (row for row in rows(blobs) if row["clip_uri"]), key=lambda row: row["take_id"] not in names
    )


def in_one_part(blobs: Blobs) -> None:
    """A slow machine flushes a small run twice."""
    keys = sorted(key for key, _ in blobs.list(layout.TAKES))
    whole = pa.concat_tables([pq.read_table(BytesIO(blobs.get(key))) for key in keys])
    blobs.delete(keys)
    put_part(blobs, 1, whole)


def part(blobs: Blobs) -> tuple[str, pa.Table]:
    [key] = [key for key, _ in blobs.list(layout.TAKES)]
    return key, pq.read_table(BytesIO(blobs.get(key)))


def put_part(blobs: Blobs, number: int, table: pa.Table) -> str:
    buffer = pa.BufferOutputStream()
    pq.write_table(table, buffer)
    data = buffer.getvalue().to_pybytes()
    key = layout.takes_part_key(number)
    blobs.put(key, data)
    return key


def rewrite(blobs: Blobs, change: Callable[[Row], Mapping[str, object]]) -> None:
    key, table = part(blobs)
    changed = [row | change(row) for row in table.to_pylist()]
    blobs.delete([key])
    put_part(blobs, 1, pa.Table.from_pylist(changed, schema=table.schema))


def edit(blobs: Blobs, take_id: str, **changes: object) -> None:
    rewrite(blobs, lambda row: changes if row["take_id"] == take_id else {})


def ungather(blobs: Blobs, take_id: str) -> str:
    """A take's row becomes the outcome it was: its driver died before it gathered it."""
    key, table = part(blobs)
    numbers = {row["take_id"]: number for number, row in enumerate(table.to_pylist())}
    number = numbers.pop(take_id)
    put_outcome(blobs, table.to_pylist()[number])
    blobs.delete([key])
    put_part(blobs, 1, table.take(sorted(numbers.values())))
    return layout.outcome_key(take_id)


def put_outcome(blobs: Blobs, row: Row) -> str:
    key = layout.outcome_key(row["take_id"])
    blobs.put(key, encode_outcome(outcome_of_row(row, key)))
    return key


def strip_of(row: Row) -> str:
    return str(row["clip_uri"]).removesuffix(".mp4") + ".strip.webp"


# --- damages: each does one thing and says where it should be found ----------------------------------------


def clip_missing(blobs: Blobs) -> str:
    key = judged(blobs)[0]["clip_uri"]
    blobs.delete([key])
    return str(key)


def all_of_a_take_missing(blobs: Blobs) -> str:
    row = judged(blobs)[0]
    blobs.delete([row["clip_uri"], row["poster_uri"], strip_of(row)])
    return str(row["clip_uri"])


def clip_truncated(blobs: Blobs) -> str:
    key = judged(blobs)[1]["clip_uri"]
    blobs.put(key, blobs.get(key)[:-100])
    return str(key)


def clip_altered(blobs: Blobs) -> str:
    key = judged(blobs)[2]["clip_uri"]
    data = bytearray(blobs.get(key))
    data[len(data) // 2] ^= 1
    blobs.put(key, bytes(data))
    return str(key)


def clip_longer(blobs: Blobs) -> str:
    key = judged(blobs)[0]["clip_uri"]
    blobs.put(key, blobs.get(key) + b"\0")
    return str(key)


def clip_no_video(blobs: Blobs) -> str:
    row = judged(blobs)[0]
    data = b"no video " * 100
    blobs.put(row["clip_uri"], data)
    edit(blobs, row["take_id"], clip_sha256=sha256_hex(data), clip_bytes=len(data))
    return str(row["clip_uri"])


def span_too_long(blobs: Blobs) -> str:
    row = judged(blobs)[0]
    edit(blobs, row["take_id"], span_stop=row["span_stop"] + 1)
    return str(row["clip_uri"])


def span_too_short(blobs: Blobs) -> str:
    row = judged(blobs)[0]
    edit(blobs, row["take_id"], span_stop=row["span_stop"] - 1)
    return str(row["clip_uri"])


def other_rate(blobs: Blobs) -> str:
    row = judged(blobs)[0]
    edit(blobs, row["take_id"], fps=row["fps"] * 1000 / 1001)
    return str(row["clip_uri"])


def other_size(blobs: Blobs) -> str:
    row = judged(blobs)[0]
    edit(blobs, row["take_id"], width_px=row["width_px"] + 2)
    return str(row["clip_uri"])


def clip_of_another(blobs: Blobs) -> str:
    row, other = judged(blobs)[:2]
    data = blobs.get(other["clip_uri"])
    blobs.put(row["clip_uri"], data)
    edit(blobs, row["take_id"], **{name: other[name] for name in ("clip_sha256", "clip_bytes")})
    return str(row["clip_uri"])


def key_of_another(blobs: Blobs) -> str:
    row, other = judged(blobs)[:2]
    names = ("clip_uri", "poster_uri", "clip_sha256", "clip_bytes")
    edit(blobs, row["take_id"], **{name: other[name] for name in names})
    return str(other["clip_uri"])


def no_key(blobs: Blobs) -> str:
    edit(blobs, judged(blobs)[0]["take_id"], clip_uri="../../elsewhere.mp4")
    return "../../elsewhere.mp4"


def poster_missing(blobs: Blobs) -> str:
    key = judged(blobs)[0]["poster_uri"]
    blobs.delete([key])
    return str(key)


def filmstrip_missing(blobs: Blobs) -> str:
    key = strip_of(judged(blobs)[1])
    blobs.delete([key])
    return key


def poster_broken(blobs: Blobs) -> str:
    key = judged(blobs)[2]["poster_uri"]
    blobs.put(key, blobs.get(key)[:50])
    return str(key)


def row_doubled(blobs: Blobs) -> str:
    _, table = part(blobs)
    return put_part(blobs, 2, table.slice(1, 2))


def row_doubled_in_its_part(blobs: Blobs) -> str:
    key, table = part(blobs)
    blobs.delete([key])
    return put_part(blobs, 1, pa.concat_tables([table, table.slice(0, 1)]))


def outcome_left_over(blobs: Blobs) -> str:
    return put_outcome(blobs, judged(blobs)[0])


def outcome_no_json(blobs: Blobs) -> str:
    key = ungather(blobs, judged(blobs)[0]["take_id"])
    blobs.put(key, blobs.get(key)[:-10])
    return key


def clip_of_an_outcome_missing(blobs: Blobs) -> str:
    row = judged(blobs)[0]
    ungather(blobs, row["take_id"])
    blobs.delete([row["clip_uri"]])
    return str(row["clip_uri"])


def select_of_no_take(blobs: Blobs) -> str:
    return _edit_selects(blobs, take_id="0" * 32)


def select_of_a_take_that_failed(blobs: Blobs) -> str:
    return _edit_selects(
        blobs, take_id=next(row["take_id"] for row in rows(blobs) if row["status"] == "failed")
    )


def select_with_another_clip(blobs: Blobs) -> str:
    return _edit_selects(blobs, clip_uri=judged(blobs)[-1]["clip_uri"])


def selects_missing(blobs: Blobs) -> str:
    blobs.delete([layout.SELECTS])
    return layout.SELECTS


def selects_broken(blobs: Blobs) -> str:
    blobs.put(layout.SELECTS, blobs.get(layout.SELECTS)[:-20])
    return layout.SELECTS


def _edit_selects(blobs: Blobs, **changes: object) -> str:
    table = pq.read_table(BytesIO(blobs.get(layout.SELECTS)))
    told = table.to_pylist()
    at = next(number for number, row in enumerate(told) if row["take_id"])
    told[at] |= changes
    buffer = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(told, schema=table.schema), buffer)
    blobs.put(layout.SELECTS, buffer.getvalue().to_pybytes())
    return layout.SELECTS


MENDED: list[tuple[str, Callable[[Blobs], str]]] = [
    ("missing", clip_missing),
    ("missing", all_of_a_take_missing),
    ("truncated", clip_truncated),
    ("altered", clip_altered),
    ("altered", clip_longer),
    ("undecodable", clip_no_video),
    ("undecodable", span_too_long),
    ("undecodable", span_too_short),
    ("undecodable", other_rate),
    ("undecodable", other_size),
    ("mislabelled", clip_of_another),
    ("mislabelled", key_of_another),
    ("missing", no_key),
    ("missing", poster_missing),
    ("missing", filmstrip_missing),
    ("undecodable", poster_broken),
    ("doubled", row_doubled),
    ("doubled", row_doubled_in_its_part),
    ("stray", outcome_left_over),
    ("undecodable", outcome_no_json),
    ("missing", clip_of_an_outcome_missing),
    ("select", select_of_no_take),
    ("select", select_of_a_take_that_failed),
    ("select", select_with_another_clip),
    ("missing", selects_missing),
    ("undecodable", selects_broken),
]
"""What a repair and a run make good, and the word under which it is found."""
