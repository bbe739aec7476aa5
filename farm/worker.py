"""One worker: a task in, an outcome out. Render, then score, trim, encode and store, beside the next render.

Invariants
- `take` may be called from two threads: one renders at a time, the other finishes what it rendered before. More
  than two takes are never in memory.
- The outcome is committed last: clip, poster and filmstrip are in the store before a row can name them.
- A take that cannot be made is an Outcome; what is raised is a fault of the worker or of the store.
- Frames never leave the process.
"""

import platform
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from farm import __version__
from farm.catalog.stills import decode, fetch
from farm.clock import Clock
from farm.errors import StillError, TakeError
from farm.ids import canonical, sha256_hex
from farm.outcomes import blank_outcome, failed_outcome
from farm.prices import cost_usd, price_per_hour
from farm.render.backend import Backend
from farm.render.families import backend
from farm.render.fit import fit
from farm.score import panel
from farm.score.scorer import Scorer
from farm.store import layout
from farm.store.blobs import Blobs
from farm.store.manifest import decode_outcome, encode_outcome
from farm.trim.encode import encode_clip, filmstrip, poster
from farm.trim.provenance import provenance
from farm.trim.span import best_span
from farm.values import Frames, Model, Outcome, Pixels, Scoring, Status, Task

_STILLS_KEPT = 4  # decoded pictures in memory: neighbouring tasks share theirs


@dataclass(frozen=True, slots=True)
class Bench:
    """What every worker of a run is told once; picklable. `output` may hold credentials and is never shown."""

    output: str = field(repr=False)
    models: tuple[Model, ...]
    trim_s: float
    scoring: Scoring
    gpus: float
    prices: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Hello:
    """What a worker says when its model is resident."""

    node: str
    accelerator: str
    load_s: float
    price_usd_h: float | None


@dataclass(frozen=True, slots=True)
class _Rendered:
    frames: Frames
    still: Pixels
    started_at: str
    render_s: float
    wait_s: float


class Worker:
    def __init__(self, name: str, bench: Bench, clock: Clock, node: str = "") -> None:
        self._name = name
        self._bench = bench
        self._scorer: Scorer  # from load()
        self._clock = clock
        self._node = node or platform.node()
        self._blobs = Blobs.open(bench.output)
        self._backends: dict[str, Backend] = {}
        self._stills: OrderedDict[str, Pixels] = OrderedDict()
        self._stills_lock = threading.Lock()
        self._render_lock = threading.Lock()
        self._idle_since_s = clock.monotonic_s()

    def load(self) -> Hello:
        """Makes the scorer and the first model resident. Raises InputError when one cannot be used here."""
        began_s = self._clock.monotonic_s()
        self._scorer = panel.scorer(self._bench.scoring)
        resident = self._backend(self._bench.models[0])
        self._idle_since_s = self._clock.monotonic_s()
        accelerator = resident.accelerator
        price = price_per_hour(self._bench.prices, accelerator)
        return Hello(self._node, accelerator, self._idle_since_s - began_s, price)

    def take(self, task: Task, attempt: int) -> Outcome:
        """The committed outcome of one task. Raises StoreError, and whatever breaks a renderer."""
        if attempt > 1 and (done := self._committed(task)):
            return done
        try:
            still = self._still(task)
            character = self._character(task)
            with self._render_lock:
                rendered = self._render(task, still)
            outcome = self._finish(task, attempt, rendered, character)
        except TakeError as e:
            outcome = failed_outcome(
                task, attempt, reason=str(e), blame=e.blame, kind=e.kind, at=self._clock.now().isoformat()
            )
        outcome = self._signed(outcome, task)
        self._blobs.put(layout.outcome_key(task.take_id), encode_outcome(outcome))
        return outcome

    def close(self) -> None:
        for resident in self._backends.values():
            resident.close()
        self._backends.clear()

    # --- the stations ---------------------------------------------------------------------------------

    def _still(self, task: Task) -> Pixels:
        def fetched() -> Pixels:
            data = fetch(task.still.uri)
            if sha256_hex(data) != task.still_sha256:
                raise StillError(
                    f"{task.still.where}: changed since the gate saw it; give it a new id",
                    kind="still_changed",
                )
            return decode(data)

        return self._kept(task.still_sha256, fetched)

    def _character(self, task: Task) -> Pixels | None:
        """The picture of the character, where the catalog names one and somebody looks at it."""
        uri = task.still.character_uri
        if uri is None or not self._bench.scoring.faces:
            return None
        try:
            return self._kept(uri, lambda: decode(fetch(uri)))
        except StillError as e:
            raise StillError(f"{task.still.where}: character: {e}", kind=e.kind) from e

    def _kept(self, key: str, fetched: Callable[[], Pixels]) -> Pixels:
        """A picture, from memory if it was needed a moment ago."""
        with self._stills_lock:
            if key in self._stills:
                self._stills.move_to_end(key)
                return self._stills[key]
        pixels = fetched()
        with self._stills_lock:
            self._stills[key] = pixels
            while len(self._stills) > _STILLS_KEPT:
                self._stills.popitem(last=False)
        return pixels

    def _render(self, task: Task, still: Pixels) -> _Rendered:
        resident = self._backend(task.model)
        width_px, height_px = resident.frame_size(still.shape[1], still.shape[0])
        fitted = fit(still, width_px, height_px)
        started_at = self._clock.now().isoformat()
        began_s = self._clock.monotonic_s()
        frames = resident.render(fitted, task, lambda done, total: None)
        ended_s = self._clock.monotonic_s()
        wait_s, self._idle_since_s = began_s - self._idle_since_s, ended_s
        expected = (task.model.frames, height_px, width_px, 3)
        if frames.shape != expected or frames.dtype != "uint8":
            raise TakeError(
                f"{task.model.name} gave {frames.dtype} frames of shape {frames.shape}, asked for {expected}",
                kind="render_shape",
            )
        return _Rendered(frames, fitted, started_at, ended_s - began_s, wait_s)

    def _finish(self, task: Task, attempt: int, rendered: _Rendered, character: Pixels | None) -> Outcome:
        began_s = self._clock.monotonic_s()
        fps, frames = task.model.fps, rendered.frames
        measures = self._scorer.measure(frames, fps, rendered.still, character)
        span = best_span(measures.composite, measures.cuts, max(1, round(self._bench.trim_s * fps)))
        review = self._scorer.judge(measures, span, fps, self._bench.scoring.accept)
        chosen = span.of(frames)
        with tempfile.TemporaryDirectory(prefix="farm-") as folder:
            clip = Path(folder) / "clip.mp4"
            encode_clip(chosen, fps, clip, provenance(task, span, farm_version=__version__))
            data = clip.read_bytes()
        self._blobs.put(layout.clip_key(task), data)
        self._blobs.put(layout.poster_key(task), poster(chosen))
        self._blobs.put(layout.filmstrip_key(task), filmstrip(chosen))
        accelerator = self._backend(task.model).accelerator
        return replace(
            blank_outcome(task, attempt, Status.KEPT if review.accepted else Status.REJECTED),
            reason="; ".join(review.reasons) or None,
            score=review.score,
            scores=dict(review.dimensions),
            accepted=review.accepted,
            span_start=span.start,
            span_stop=span.stop,
            frames=len(frames),
            fps=float(fps),
            width_px=frames.shape[2],
            height_px=frames.shape[1],
            clip_uri=layout.clip_key(task),
            poster_uri=layout.poster_key(task),
            clip_sha256=sha256_hex(data),
            clip_bytes=len(data),
            render_s=rendered.render_s,
            wait_s=rendered.wait_s,
            finish_s=self._clock.monotonic_s() - began_s,
            cost_usd=cost_usd(self._bench.prices, accelerator, self._bench.gpus, rendered.render_s),
            started_at=rendered.started_at,
            finished_at=self._clock.now().isoformat(),
        )

    # --- what they share ------------------------------------------------------------------------------

    def _backend(self, model: Model) -> Backend:
        if model.name not in self._backends:
            fresh = backend(model)
            fresh.load()
            self._backends[model.name] = fresh
        return self._backends[model.name]

    def _committed(self, task: Task) -> Outcome | None:
        """An earlier attempt may have committed its outcome and died before it could say so."""
        key = layout.outcome_key(task.take_id)
        return decode_outcome(self._blobs.get(key)) if self._blobs.exists(key) else None

    def _signed(self, outcome: Outcome, task: Task) -> Outcome:
        """The outcome with the name of who made it, and on what."""
        signed = replace(outcome, worker=self._name, node=self._node)
        resident = self._backends.get(task.model.name)
        if resident is None:
            return signed
        fingerprint = canonical(dict(resident.fingerprint()))
        return replace(signed, accelerator=resident.accelerator, fingerprint=fingerprint)
