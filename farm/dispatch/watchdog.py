"""What is silent for too long, or renders for too long: learned from the takes that went well. Pure.

Invariants
- Limits only grow, and come from the same accelerator, model, frame shape and stage. What a worker does for the first
  time since it loaded a model, and what nobody has done yet, gets the generous limit: the first kernels are built then.
- Whoever waits for the renderer of a worker that does something is never overdue, nor who waits for the store.
- A driver that heard nobody for a while holds that against nobody (`_LONGEST_TICK_S`).
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, TypeVar

from farm.bench import FINISHING, RENDERING, WAITING
from farm.dispatch.events import Beat, Lease

FLOOR_S = 60.0
"""No limit is shorter. Workers are asked every two seconds; a pause of a virtual machine, a busy head node or a slow
network may swallow a dozen answers in a row without anything being wrong."""

FACTOR = 5.0
"""A limit is so many times the longest that went well. On one accelerator a step is slowed down by the take that is
finished beside it and by throttling, each by a factor of two at most; killing an innocent costs a cold start, a
hanging worker costs its time alone."""

UNKNOWN_S = 1800.0
"""The generous limit. Compiling a large video transformer with autotuning takes ten to twenty minutes, and the first
load of a model may download it."""

_LONGEST_TICK_S = 5.0
"""Of the time between two looks at the clock no more is counted. They come several times a second, unless the driver
itself was stopped or busy: then signs of life lie unread, and are read before the limits are looked at again."""

_LOOKS_EVERY_S = 1.0
"""Limits are minutes: looking at every lease at every tick would be the dearest thing that the ledger does."""

_KEPT = 65_536
"""Facts that are remembered, some 10 MB; the oldest are forgotten first, and cost a generous limit."""

Doing: TypeAlias = tuple[str, str, str]  # accelerator, model, shape
Key = TypeVar("Key")
Fact = TypeVar("Fact")


@dataclass(frozen=True, slots=True)
class Late:
    """A lease past a limit: "hung", when its worker gives no sign of life, or "overdue", when it renders on and on."""

    lease: Lease
    kind: Literal["hung", "overdue"]
    trouble: str


@dataclass(slots=True)
class _Watch:
    """One lease: where it is since when, and its longest silence in each stage so far."""

    model: str
    sign_s: float
    stage: str = WAITING
    shape: str = ""
    steps: str = ""
    began_s: float | None = None  # to render
    rendered_s: float | None = None
    cancelled_s: float | None = None
    silences: dict[tuple[str, str], float] = field(default_factory=dict)  # (shape, stage) -> seconds


class Watchdog:
    def __init__(self) -> None:
        self._now_s = self._tick_s = self._looked_s = 0.0
        self._began = False
        self._accelerators: dict[str, str] = {}  # of workers
        self._watched: dict[str, dict[Lease, _Watch]] = {}  # worker -> its leases
        self._warm: dict[
            str, dict[tuple[str, str], None]
        ] = {}  # worker -> (model, shape) that went well there
        self._silence_s: dict[tuple[Doing, str], float] = {}
        self._render_s: dict[Doing, float] = {}

    def tick(self, at_s: float) -> None:
        if self._began:
            self._now_s += min(at_s - self._tick_s, _LONGEST_TICK_S)
        self._began, self._tick_s = True, at_s

    def hired(self, worker: str, accelerator: str) -> None:
        self._accelerators[worker] = accelerator

    def gone(self, worker: str) -> None:
        self._accelerators.pop(worker, None)
        self._watched.pop(worker, None)
        self._warm.pop(worker, None)

    def given(self, lease: Lease, model: str) -> None:
        self._watched.setdefault(lease.worker, {})[lease] = _Watch(model, self._now_s)

    def beat(self, beat: Beat) -> None:
        watch = self._watched.get(beat.lease.worker, {}).get(beat.lease)
        if watch is None:
            return
        self._sign(watch)
        if beat.stage == RENDERING and watch.began_s is None:
            watch.began_s = self._now_s
        if beat.stage != RENDERING and watch.began_s is not None and watch.rendered_s is None:
            watch.rendered_s = self._now_s - watch.began_s
        watch.stage, watch.shape = beat.stage, beat.shape
        watch.steps = f", step {beat.done} of {beat.total}" if beat.total else ""

    def store_is_away(self) -> None:
        """Who finishes a take waits for the store; that is neither a silence nor learned as one."""
        for watches in self._watched.values():
            for watch in watches.values():
                if watch.stage == FINISHING:
                    watch.sign_s = self._now_s

    def ended(self, lease: Lease, *, well: bool, resident: Collection[str] | None = None) -> None:
        """A lease is out no more. `well`: what it took is learned. `resident`: what its worker holds now, if known."""
        watches = self._watched.get(lease.worker, {})
        watch = watches.pop(lease, None)
        if watch is not None and well:
            self._sign(watch)
            self._learn(lease.worker, watch)
        for other in watches.values():
            self._sign(other)  # who waited behind it has only now a chance to do anything
        if not watches:
            self._watched.pop(lease.worker, None)
        if resident is not None:
            warm = self._warm.get(lease.worker, {})
            for place in [place for place in warm if place[0] not in resident]:
                del warm[place]

    def overdue(self) -> list[Late]:
        """The leases that are past a limit now; one that renders too long is named once, and then may hang."""
        if self._now_s - self._looked_s < _LOOKS_EVERY_S:
            return []
        self._looked_s = self._now_s
        return [
            late
            for worker, watches in self._watched.items()
            for lease, watch in watches.items()
            if (late := self._late(worker, lease, watch)) is not None
        ]

    def _late(self, worker: str, lease: Lease, watch: _Watch) -> Late | None:
        others = (other for other in self._watched[worker].values() if other is not watch)
        if watch.stage == WAITING and any(other.stage != WAITING for other in others):
            return None
        doing = (self._accelerators.get(worker, ""), watch.model, watch.shape)
        least_s = FLOOR_S if (watch.model, watch.shape) in self._warm.get(worker, ()) else UNKNOWN_S
        learned_s = self._silence_s.get((doing, watch.stage))
        limit_s = UNKNOWN_S if learned_s is None else max(least_s, FACTOR * learned_s)
        if watch.cancelled_s is not None:
            since_s = self._now_s - watch.cancelled_s
            trouble = f"goes on {since_s:.0f} s after it was told to end ({watch.stage}{watch.steps})"
            return Late(lease, "hung", trouble) if since_s > limit_s else None
        silent_s = self._now_s - watch.sign_s
        if silent_s > limit_s:
            trouble = (
                f"no sign of life for {silent_s:.0f} s ({watch.stage}{watch.steps}); allowed: {limit_s:.0f} s"
            )
            return Late(lease, "hung", trouble)
        longest_s = self._render_s.get(doing)
        if watch.stage != RENDERING or watch.began_s is None or longest_s is None:
            return None
        renders_s, limit_s = self._now_s - watch.began_s, max(least_s, FACTOR * longest_s)
        if renders_s <= limit_s:
            return None
        watch.cancelled_s = self._now_s
        trouble = f"renders for {renders_s:.0f} s{watch.steps}; allowed: {limit_s:.0f} s"
        return Late(lease, "overdue", trouble)

    def _sign(self, watch: _Watch) -> None:
        place = (watch.shape, watch.stage)
        watch.silences[place] = max(watch.silences.get(place, 0.0), self._now_s - watch.sign_s)
        watch.sign_s = self._now_s

    def _learn(self, worker: str, watch: _Watch) -> None:
        accelerator = self._accelerators.get(worker, "")
        warm = self._warm.setdefault(worker, {})
        for (shape, stage), silent_s in watch.silences.items():
            key = ((accelerator, watch.model, shape), stage)
            _keep(self._silence_s, key, max(silent_s, self._silence_s.get(key, 0.0)))
            _keep(warm, (watch.model, shape), None)
        if watch.began_s is not None:
            render_s = self._now_s - watch.began_s if watch.rendered_s is None else watch.rendered_s
            doing = (accelerator, watch.model, watch.shape)
            _keep(self._render_s, doing, max(render_s, self._render_s.get(doing, 0.0)))


def _keep(facts: dict[Key, Fact], key: Key, value: Fact) -> None:
    facts[key] = value
    if len(facts) > _KEPT:
        del facts[next(iter(facts))]
