"""The ledger: the pure state machine that decides. Events in, instructions out.

Invariants
- Every take that was issued settles exactly once; what was settled before this run is never issued.
- Memory grows with what is open (see queue.py and board.py). What models a worker holds is what it said last.
- A worker that faulted gets nothing more and is replaced; one that hangs is killed. A result of an old attempt changes
  nothing. Who is charged is blame.py's business.
- While the store is away, nothing is given out, opened or hired (outage.py).
- Deterministic: the same events at the same times give the same instructions. It knows no clock, no network, no
  file and no log; time comes with each event.
- After Finish it answers nothing.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from farm.dispatch.blame import Blamer
from farm.dispatch.board import Board
from farm.dispatch.books import Books, cell_of
from farm.dispatch.crew import Crew
from farm.dispatch.events import (
    Beat,
    CloseStill,
    Event,
    Finish,
    Instruction,
    Lease,
    NodeDraining,
    OpenStill,
    RefuseShot,
    Render,
    Standing,
    StartWorker,
    StillOpened,
    StillRefused,
    StopAsked,
    StoreProbed,
    StoreTrouble,
    TakeFaulted,
    TakeSettled,
    Tick,
    WorkerLost,
    WorkerPlaced,
    WorkerReady,
)
from farm.dispatch.foreman import Foreman
from farm.dispatch.outage import Outage
from farm.dispatch.placement import AHEAD
from farm.dispatch.purse import Purse
from farm.dispatch.queue import LOOKAHEAD, TakeQueue
from farm.dispatch.retry import Caps
from farm.dispatch.setbacks import Setbacks
from farm.dispatch.takes import TakesRule
from farm.values import Status


@dataclass(frozen=True, slots=True)
class Limits:
    """What bounds a run. `usd` and `hours` None: no budget. `spent_usd`: what earlier sessions of it cost."""

    workers: int
    usd: float | None = None
    hours: float | None = None
    spent_usd: float = 0.0
    gpus_per_worker: float = 0.0
    caps: Caps = field(default_factory=Caps)
    stills_ahead: int = 8
    lookahead: int = LOOKAHEAD


class Ledger:
    """Decides for one run over the shots of `board`, `shots_per_still` of them to a still.

    A still's shots lie model by model in the order of `models`, which are the models' names.
    """

    def __init__(
        self,
        board: Board,
        shots_per_still: int,
        rule: TakesRule,
        limits: Limits,
        *,
        models: Sequence[str],
        session: str = "w",
    ) -> None:
        self.finished = False
        self._board = board
        self._rule = rule
        self._limits = limits
        self._models = tuple(models)
        self._queue = TakeQueue(
            board,
            shots_per_still,
            rule,
            models=len(models),
            stills_ahead=limits.stills_ahead,
            window=limits.lookahead * limits.workers,
        )
        self._crew = Crew(session, models)
        self._blamer = Blamer(limits.caps, limits.workers, self._crew)
        self._outage = Outage(limits.caps.store_outages)
        self._purse = Purse(limits.usd, limits.hours, limits.spent_usd, limits.gpus_per_worker)
        self._books = Books(self._queue, self._crew, self._purse)
        self._setbacks = Setbacks(self._books, self._blamer, self._outage)
        self._foreman = Foreman(self._queue, self._crew, self._blamer.attempts, self._blamer.streaks)

    def standing(self) -> Standing:
        return Standing(
            shots=len(self._board),
            shots_accepted=self._board.shots_accepted,
            takes_settled=self._board.takes_settled,
            takes_waiting=self._queue.waiting,
            in_flight=len(self._books.out),
            workers_ready=self._crew.ready,
            workers_starting=len(self._crew) - self._crew.ready,
            spent_usd=self._purse.spent_usd,
        )

    def handle(self, event: Event, at_s: float) -> list[Instruction]:
        """The answer to one event at a time in seconds, which never goes back."""
        if self.finished:
            return []
        self._books.tick(at_s)
        if isinstance(event, Beat):
            # The most frequent event; nothing follows from it before time passes.
            self._books.watchdog.beat(event)
            return []
        return [*self._blamer.tick(at_s), *self._hear(event), *self._go_on()]

    def is_current(self, lease: Lease) -> bool:
        """Whether this attempt is the one that counts."""
        return self._books.is_current(lease)

    @property
    def store_is_away(self) -> bool:
        """Whether the store was asked for and has not answered since."""
        return self._outage.on

    # --- what happened --------------------------------------------------------------------------------

    def _hear(self, event: Event) -> Iterator[Instruction]:
        match event:
            case Tick():
                yield from self._setbacks.look_at_the_clock()
            case StillOpened(still):
                self._queue.open(still)
            case StillRefused(still):
                for shot, take in self._queue.refuse(still):
                    yield RefuseShot(shot, take)
                yield CloseStill(still)
            case WorkerPlaced(worker, node):
                yield from self._setbacks.placed(worker, node)
            case WorkerReady(worker, node):
                yield from self._setbacks.placed(worker, node)
                self._welcome(event)
            case WorkerLost():
                yield from self._setbacks.lost(event)
            case NodeDraining(node, left_s):
                yield from self._blamer.drain(node, left_s)
            case StoreTrouble(kind, message):
                yield from self._setbacks.store_refused(kind, message)
            case StoreProbed(answers):
                yield from self._setbacks.store_probed(answers)
            case TakeSettled(lease) if self.is_current(lease):
                yield from self._book(event)
            case TakeFaulted(lease) if self.is_current(lease):
                yield from self._setbacks.faulted(event)
            case TakeSettled() | TakeFaulted():
                pass  # an old attempt
            case StopAsked(at_once):
                self._books.ending = self._books.ending or Finish("interrupted")
                if at_once:
                    yield from self._books.drop_all()

    def _welcome(self, event: WorkerReady) -> None:
        worker = self._crew.get(event.worker)
        if worker is not None:
            worker.ready = True
            self._blamer.started(event.node, worker.loads)
            self._foreman.welcome(event)
            self._purse.hire(event.worker, event.price_usd_h, event.load_s)
            self._books.watchdog.hired(event.worker, event.accelerator)

    def _book(self, event: TakeSettled) -> Iterator[Instruction]:
        lease, well = event.lease, event.status is not Status.FAILED
        model = self._queue.model_of(lease.shot)
        self._blamer.settled(cell_of(lease), model, well=well)
        self._outage.settled()
        self._purse.learn(model, event.take_s or 0.0, event.load_s)
        self._books.release(lease, well=well, resident=event.resident)
        self._foreman.learn(event)
        yield from self._books.settle(cell_of(lease), event.status, event.score)

    # --- what follows from it -------------------------------------------------------------------------

    def _go_on(self) -> Iterator[Instruction]:
        books, away = self._books, self._outage.on
        if books.ending is None:
            verdict = self._purse.verdict(self._crew.longest_queue, self._foreman.unfinished())
            books.ending = Finish("budget", verdict) if verdict else None
        leaving = self._crew.names(lambda worker: worker.leaving and not worker.leases)
        yield from books.dismiss(leaving, gently=False)
        if books.ending is None and not away:
            for still in self._queue.fill(2 * AHEAD * self._limits.workers, self._crew.models):
                yield OpenStill(still)
            for lease in self._foreman.leases(books.now_s):
                books.give(lease, self._models[self._queue.model_of(lease.shot)])
                yield Render(lease)
            yield from self._hire()
        needless = self._outage.is_long(books.now_s) if away else self._queue.exhausted
        if books.ending or needless:
            # Whoever is still busy takes what may yet come; the others cost money and are not needed.
            yield from books.dismiss(self._crew.names(lambda worker: not worker.leases), gently=True)
        if not books.out and (books.ending or (self._queue.empty and not away)):
            yield from books.dismiss(self._crew.names(), gently=True)
            self.finished = True
            broken = books.ending is not None and books.ending.reason == "broken"
            # Asked to end, or out of budget, with the last takes that were due: nothing is missing.
            done = not broken and self._board.is_done(self._rule)
            yield books.ending if books.ending and not done else Finish("done")

    def _hire(self) -> Iterator[Instruction]:
        if not self._books.out and (trouble := self._foreman.stuck()):
            self._books.broken(trouble)
            return
        closed = self._blamer.nodes.places_closed if self._crew.present else 0
        for _ in range(self._foreman.workers_wanted(self._limits.workers - closed)):
            # Where others render, the night goes on with them; a model is tried again when a take of it went well.
            model = self._foreman.first_model()
            if model is None:
                return
            yield StartWorker(self._crew.hire(model), self._models[model])

    def check(self) -> None:
        """Asserts what must hold between events; for tests and simulations, where a breach is a bug."""
        if not self.finished:
            self._crew.check(self._books.out.values())
            self._queue.check(set(self._books.out))
            self._blamer.check()
        assert self._crew.present <= self._limits.workers
