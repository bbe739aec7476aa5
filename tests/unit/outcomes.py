"""Outcomes to try the store with: a schema with columns of every type, kept takes by number, a clock that stands."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pyarrow as pa
from hypothesis import strategies as st

from farm.store import layout
from farm.store.blobs import Blobs
from farm.store.manifest import Manifest, encode_outcome, read_takes, takes_schema
from farm.values import Outcome, Status

DIMENSIONS = ("flicker", "warp")
ANY_TEXT = st.text(st.characters(), max_size=30)  # surrogates and controls too
EXTRA = pa.schema(
    [("price", pa.float64()), ("season", pa.string()), ("live", pa.bool_()), ("sku", pa.int64())]
)
SCHEMA = takes_schema(DIMENSIONS, EXTRA)
CONTRACT = (
    "take_id still_id still_uri still_sha256 motion_id prompt model model_revision seed attempt status reason blame "
    "kind score score_flicker score_warp accepted span_start span_stop frames fps width_px height_px rendered_fps "
    "still_scale clip_uri poster_uri clip_sha256 clip_bytes render_s finish_s wait_s accelerator worker node cost_usd "
    "started_at finished_at farm_version fingerprint price season live sku"
).split()


@dataclass
class Clock:
    at_s: float = 0.0

    def monotonic_s(self) -> float:
        return self.at_s

    def now(self) -> datetime:
        return datetime(2026, 11, 22, tzinfo=UTC) + timedelta(seconds=self.at_s)

    def sleep(self, seconds: float) -> None:
        self.at_s += seconds


def take_id(number: int) -> str:
    return f"{number:032x}"


def kept(number: int) -> Outcome:
    return Outcome(
        take_id=take_id(number),
        still_id=f"still-{number // 4}",
        still_uri="stills/a.png",
        still_sha256="0" * 64,
        motion_id="push-in",
        prompt="slow push-in",
        model="previz",
        model_revision="1",
        seed=number,
        attempt=1,
        status=Status.KEPT,
        score=0.75,
        scores={"flicker": 0.5, "warp": 1.0},
        accepted=True,
        span_start=3,
        span_stop=51,
        frames=96,
        fps=24.0,
        width_px=1280,
        height_px=720,
        clip_uri="clips/a/push-in/previz/1-00000000.mp4",
        started_at="2026-11-22T01:02:03.000004+00:00",
        finished_at="2026-11-22T03:02:04.5+02:00",
        extra={"price": 3, "season": "spring", "live": True},
    )


def open_manifest(blobs: Blobs, clock: Clock | None = None) -> Manifest:
    manifest = Manifest(blobs, SCHEMA, clock or Clock())
    manifest.recover()
    return manifest


def commit(blobs: Blobs, *outcomes: Outcome) -> None:
    for outcome in outcomes:
        blobs.put(layout.outcome_key(outcome.take_id), encode_outcome(outcome))


def keys(blobs: Blobs, prefix: str = "") -> list[str]:
    return sorted(key for key, _ in blobs.list(prefix))


def written(blobs: Blobs) -> list[str]:
    return [one for batch in read_takes(blobs, ["take_id"]) for one in batch.column(0).to_pylist()]
