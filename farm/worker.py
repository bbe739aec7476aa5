"""One worker: a task in, an outcome out. Render, then score, trim, encode and store, beside the next render.

Invariants
- `take` may be called from two threads: one renders at a time, the other finishes what it rendered before. More
  than two takes are never in memory.
- The outcome is committed last: clip, poster and filmstrip are in the store before a row can name them.
- What was rendered is not lost to a store that is away: it is spooled on the node, and stored before anything else is
  rendered there.
- A take that cannot be made is an Outcome; what is raised is a fault of the worker or of the store.
- Frames never leave the process.
"""

import platform
import threading
from dataclasses import dataclass, replace

from farm import __version__
from farm.bench import FINISHING, LOADING, RENDERING, WAITING, Bench, Hello, Pulse, Taken
from farm.catalog.kept import Pictures
from farm.clock import Clock
from farm.errors import Cancelled, StoreError, TakeError
from farm.ids import canonical, sha256_hex
from farm.outcomes import blank_outcome, failed_outcome
from farm.prices import cost_usd, price_per_hour
from farm.render.backend import Backend
from farm.render.residents import Residents
from farm.score import panel
from farm.score.scorer import Scorer
from farm.staging import Footage, clip_of, retimed, shoot
from farm.store import layout
from farm.store.blobs import Blobs
from farm.store.manifest import decode_outcome, encode_outcome
from farm.store.patience import Patience
from farm.store.spool import Objects, Spool
from farm.trim.encode import filmstrip, poster
from farm.trim.span import best_span
from farm.values import Outcome, Pixels, Status, Task

_PATIENCE_S = (
    30.0  # with the store, a request; with S3's own limit on a try (20 s) the watchdog's shortest is not met
)


@dataclass(frozen=True, slots=True)
class _Rendered:
    footage: Footage
    accelerator: str
    started_at: str
    render_s: float
    wait_s: float

    @property
    def fingerprint(self) -> str:
        return canonical(dict(self.footage.fingerprint))


class Worker:
    def __init__(self, name: str, bench: Bench, clock: Clock, node: str = "") -> None:
        self._name = name
        self._bench = bench
        self._scorer: Scorer  # from load()
        self._clock = clock
        self._node = node or platform.node()
        self._blobs = Blobs.open(bench.output, Patience(_PATIENCE_S, clock))
        # All that decides what an outcome says of a take, beside what the take's own id tells.
        settings = (self._blobs.address, bench.trim_s, bench.scoring, __version__)
        self._spool = Spool(canonical(settings))
        self._residents = Residents(prompts=bench.prompts)
        self._pictures = Pictures(characters=bench.scoring.faces)
        self._render_lock = threading.Lock()
        self._doing: dict[str, Pulse] = {}  # by take_id; each take's thread writes its own
        self._cancelled: set[str] = set()
        self._idle_since_s = clock.monotonic_s()

    def load(self, model: str | None = None) -> Hello:
        """Makes the scorer and a model resident, the first one unless another is named.

        Raises InputError when one cannot be used here, MemoryFull when it does not fit.
        """
        began_s = self._clock.monotonic_s()
        self._scorer = panel.scorer(self._bench.scoring)
        by_name = {one.name: one for one in self._bench.models}
        resident = self._residents.get(by_name[model] if model else self._bench.models[0])
        self._idle_since_s = self._clock.monotonic_s()
        accelerator = resident.accelerator
        price = price_per_hour(self._bench.prices, accelerator)
        load_s = self._idle_since_s - began_s
        return Hello(self._node, accelerator, load_s, price, self._residents.names)

    def take(self, task: Task, attempt: int) -> Taken:
        """The committed outcome of one task. Raises StoreError, Cancelled, and whatever breaks a renderer.

        A take that is finished when the store fails is spooled on this node, if there is room; the error says which.
        Whichever worker of the node is given the task again stores it and renders nothing. While anything is spooled
        that the store does not take, no worker of the node renders: the StoreError comes first.
        """
        self._cancelled.discard(task.take_id)  # of an earlier attempt that had ended by then
        self._doing[task.take_id] = Pulse(task.take_id, attempt, WAITING)
        try:
            return self._take(task, attempt)
        finally:
            del self._doing[task.take_id]
            self._cancelled.discard(task.take_id)

    def pulse(self) -> tuple[Pulse, ...]:
        """What this worker does now, a take each; safe from any thread."""
        return tuple(self._doing.copy().values())

    def cancel(self, take_id: str) -> None:
        """Ends a take that is under way at its next step; nothing where it is not."""
        if take_id in self._doing:
            self._cancelled.add(take_id)

    def close(self) -> None:
        self._residents.relieve()

    # --- the stations ---------------------------------------------------------------------------------

    def _take(self, task: Task, attempt: int) -> Taken:
        load_s = 0.0
        if done := self._spooled(task) or (self._committed(task) if attempt > 1 else None):
            return Taken(done, self._residents.names, load_s)
        self._spool.offer(self._blobs, lambda done: self._at(task, FINISHING, done))
        rendered: _Rendered | Outcome | None = None
        objects: Objects = ()
        try:
            still = self._pictures.still(task)
            character = self._pictures.character(task)
            with self._render_lock:
                resident, load_s = self._resident(task)
                rendered = self._render(task, attempt, resident, still, load_s)
            if isinstance(rendered, _Rendered):
                outcome, objects = self._finish(task, attempt, rendered, character)
            else:
                outcome = rendered
        except TakeError as e:
            outcome = self._failed(task, attempt, e)
            if isinstance(rendered, _Rendered):
                outcome = replace(outcome, accelerator=rendered.accelerator, fingerprint=rendered.fingerprint)
        outcome = self._stored(task, replace(outcome, worker=self._name, node=self._node), objects)
        return Taken(outcome, self._residents.names, load_s)

    def _resident(self, task: Task) -> tuple[Backend, float]:
        """The task's model, and the seconds that loading it took, 0 where it is held."""
        if self._residents.known(task.model.name) is not None:
            return self._residents.get(task.model), 0.0
        self._at(task, LOADING)
        began_s = self._clock.monotonic_s()
        resident = self._residents.get(task.model)
        return resident, self._clock.monotonic_s() - began_s

    def _render(
        self, task: Task, attempt: int, resident: Backend, still: Pixels, load_s: float
    ) -> _Rendered | Outcome:
        """The take's footage, or the outcome of one whose renderer gave none; nobody else uses the model meanwhile."""
        width_px, height_px = resident.frame_size(still.shape[1], still.shape[0])
        shape = f"{width_px}x{height_px}x{task.model.frames}"
        self._at(task, RENDERING, shape=shape)
        started_at = self._clock.now().isoformat()
        began_s = self._clock.monotonic_s()
        try:
            footage = shoot(
                resident, still, task, lambda done, total: self._at(task, RENDERING, done, total, shape)
            )
        except TakeError as e:
            self._idle_since_s = self._clock.monotonic_s()
            fingerprint = canonical(dict(resident.fingerprint()))
            failed = self._failed(task, attempt, e)
            return replace(failed, accelerator=resident.accelerator, fingerprint=fingerprint)
        ended_s = self._clock.monotonic_s()
        wait_s, self._idle_since_s = max(0.0, began_s - load_s - self._idle_since_s), ended_s
        return _Rendered(footage, resident.accelerator, started_at, ended_s - began_s, wait_s)

    def _failed(self, task: Task, attempt: int, error: TakeError) -> Outcome:
        at = self._clock.now().isoformat()
        return failed_outcome(task, attempt, reason=str(error), blame=error.blame, kind=error.kind, at=at)

    def _finish(
        self, task: Task, attempt: int, rendered: _Rendered, character: Pixels | None
    ) -> tuple[Outcome, Objects]:
        """The outcome, and what is to be stored before it."""
        self._at(task, FINISHING)
        began_s = self._clock.monotonic_s()
        footage, model = retimed(rendered.footage, task.model), task.model
        fps, frames = model.fps, footage.frames
        measures = self._scorer.measure(frames, fps, footage.still, character)
        span = best_span(measures.composite, measures.cuts, max(1, round(self._bench.trim_s * fps)))
        review = self._scorer.judge(measures, span, fps, self._bench.scoring.accept)
        data = clip_of(footage, task, span)
        chosen = span.of(frames)
        objects = (
            (layout.clip_key(task), data),
            (layout.poster_key(task), poster(chosen)),
            (layout.filmstrip_key(task), filmstrip(chosen)),
        )
        outcome = replace(
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
            rendered_fps=float(model.rendered_fps) if model.rendered_fps else None,
            still_scale=footage.still_scale,
            clip_uri=layout.clip_key(task),
            poster_uri=layout.poster_key(task),
            clip_sha256=sha256_hex(data),
            clip_bytes=len(data),
            render_s=rendered.render_s,
            wait_s=rendered.wait_s,
            finish_s=self._clock.monotonic_s() - began_s,
            cost_usd=cost_usd(self._bench.prices, rendered.accelerator, self._bench.gpus, rendered.render_s),
            started_at=rendered.started_at,
            finished_at=self._clock.now().isoformat(),
            accelerator=rendered.accelerator,
            fingerprint=canonical(dict(footage.fingerprint)),  # with what finishing added
        )
        return outcome, objects

    def _stored(self, task: Task, outcome: Outcome, objects: Objects) -> Outcome:
        """The outcome as it was committed."""
        began_s, key = self._clock.monotonic_s(), layout.outcome_key(task.take_id)
        try:
            for number, (name, data) in enumerate(objects, 1):
                self._say(
                    task, FINISHING, number, len(objects)
                )  # each a sign of life: the store may be waited for
                self._blobs.put(name, data)
            if outcome.finish_s is not None:
                stored_s = self._clock.monotonic_s() - began_s
                at = self._clock.now().isoformat()
                outcome = replace(outcome, finish_s=outcome.finish_s + stored_s, finished_at=at)
            self._blobs.put(key, encode_outcome(outcome))
        except StoreError as e:
            try:
                self._spool.keep(task.take_id, (*objects, (key, encode_outcome(outcome))))
            except OSError as full:
                raise StoreError(f"{e}; the take is lost: {full.strerror or full}", kind=e.kind) from e
            raise StoreError(f"{e}; the take is kept in {self._spool.folder}", kind=e.kind) from e
        return outcome

    # --- what they share ------------------------------------------------------------------------------

    def _at(self, task: Task, stage: str, done: int = 0, total: int = 0, shape: str = "") -> None:
        """Says where a take is. Raises Cancelled where somebody wants it to end."""
        if task.take_id in self._cancelled:
            raise Cancelled(f"take {task.take_id[:8]} was cancelled while {stage}, after {done} steps")
        self._say(task, stage, done, total, shape)

    def _say(self, task: Task, stage: str, done: int = 0, total: int = 0, shape: str = "") -> None:
        before = self._doing[task.take_id]
        self._doing[task.take_id] = Pulse(
            task.take_id, before.attempt, stage, done, total, shape or before.shape
        )

    def _spooled(self, task: Task) -> Outcome | None:
        """A worker of this node may have made the take while the store was away."""
        data = self._spool.deliver(task.take_id, self._blobs)
        return decode_outcome(data) if data else None

    def _committed(self, task: Task) -> Outcome | None:
        """An earlier attempt may have committed its outcome and died before it could say so."""
        key = layout.outcome_key(task.take_id)
        return decode_outcome(self._blobs.get(key)) if self._blobs.exists(key) else None
