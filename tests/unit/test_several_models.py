"""Several models in one job: who loads what, and when. One event in; and whole calm nights."""

import pytest

from farm.bench import LOADING
from farm.dispatch.board import Board
from farm.dispatch.crew import Crew
from farm.dispatch.events import (
    Beat,
    Event,
    Finish,
    Instruction,
    Lease,
    OpenStill,
    Render,
    StartWorker,
    StillOpened,
    TakeSettled,
    Tick,
    WorkerReady,
)
from farm.dispatch.ledger import Ledger, Limits
from farm.dispatch.night import Night, Tale
from farm.dispatch.pace import ASSUMED_LOAD_S, ASSUMED_TAKE_S, Pace
from farm.dispatch.placement import WORTH, Backlog, switch_to
from farm.dispatch.purse import Purse
from farm.dispatch.queue import LOOKAHEAD, TakeQueue
from farm.dispatch.takes import TakesRule
from farm.dispatch.world import Kind, Lasting, World
from farm.values import Status

NAMES = ("a", "b", "c")
ONE = TakesRule(1, 1)


def make(
    stills: int,
    motions: int,
    models: int,
    rule: TakesRule = ONE,
    workers: int = 1,
    lookahead: int = LOOKAHEAD,
) -> Ledger:
    per_still = motions * models
    limits = Limits(workers=workers, lookahead=lookahead)
    return Ledger(Board(stills * per_still), per_still, rule, limits, models=NAMES[:models])


def hold(worker: str, *models: str, load_s: float = 30.0) -> WorkerReady:
    return WorkerReady(worker, "node", "CPU", load_s, None, models)


def opened(ledger: Ledger, event: Event, at_s: float = 0.0) -> list[Instruction]:
    """What the ledger answers, all stills that it wants opened at once."""
    told: list[Instruction] = []
    events = [event]
    while events:
        answer = ledger.handle(events.pop(0), at_s)
        events += [StillOpened(one.still) for one in answer if isinstance(one, OpenStill)]
        told += [one for one in answer if not isinstance(one, OpenStill)]
        ledger.check()
    return told


def shots(told: list[Instruction]) -> list[int]:
    return [one.lease.shot for one in told if isinstance(one, Render)]


# --- who loads what ---------------------------------------------------------------------------------------


def test_new_workers_spread_over_the_models():
    told = opened(make(stills=50, motions=2, models=3, workers=5), Tick())
    assert told == [StartWorker(f"w{n}", model) for n, model in enumerate(("a", "b", "c", "a", "b"), 1)]


def test_no_worker_is_started_for_a_model_that_is_done():
    ledger = make(stills=2, motions=1, models=2, workers=1)
    for still in (0, 1):
        ledger._board.settle(2 * still, 0, Status.KEPT)
    again = Ledger(ledger._board, 2, TakesRule(1, 1), Limits(workers=1), models=NAMES[:2])
    assert opened(again, Tick()) == [StartWorker("w1", "b")]


def test_a_worker_gets_takes_of_the_model_that_it_holds_past_those_of_others():
    ledger = make(stills=50, motions=2, models=3, workers=2)
    opened(ledger, Tick())
    assert shots(opened(ledger, hold("w2", "b"))) == [2, 3]
    assert shots(opened(ledger, hold("w1", "a"))) == [0, 1]


def test_a_worker_that_holds_two_models_goes_still_by_still():
    ledger = make(stills=50, motions=1, models=2)
    opened(ledger, Tick())
    given = shots(opened(ledger, hold("w1", "a", "b")))
    for at_s in range(3):
        lease = Lease(given[at_s], 0, 1, "w1")
        given += shots(opened(ledger, TakeSettled(lease, Status.KEPT, 1.0), at_s))
    assert given == [0, 1, 2, 3, 4]


def test_a_worker_changes_only_when_it_has_nothing_else_and_holds_no_lease():
    ledger = make(stills=2, motions=1, models=2)
    opened(ledger, Tick())
    assert shots(opened(ledger, hold("w1", "a"))) == [0, 2]
    assert shots(opened(ledger, TakeSettled(Lease(0, 0, 1, "w1"), Status.KEPT, 9.0, ("a",)))) == []
    told = opened(ledger, TakeSettled(Lease(2, 0, 1, "w1"), Status.KEPT, 9.0, ("a",)))
    assert shots(told) == [1], "its load begins with one take"
    assert shots(opened(ledger, Tick())) == [3], "the next waits behind it"
    told = opened(ledger, TakeSettled(Lease(1, 0, 1, "w1"), Status.KEPT, 9.0, ("b",), load_s=40.0))
    told = opened(ledger, TakeSettled(Lease(3, 0, 1, "w1"), Status.KEPT, 9.0, ("b",)))
    assert told[-1] == Finish("done")


def test_a_slow_gate_makes_nobody_change():
    ledger = make(stills=50, motions=1, models=2)
    ledger.handle(Tick(), 0.0)
    ledger.handle(StillOpened(0), 0.0)
    assert shots(ledger.handle(hold("w1", "a"), 0.0)) == [0]
    told = ledger.handle(TakeSettled(Lease(0, 0, 1, "w1"), Status.KEPT, 9.0, ("a",)), 9.0)
    assert shots(told) == [], "take 1 is ready, but of the other model, and more of its own is coming"
    assert shots(ledger.handle(StillOpened(1), 10.0)) == [2]


def test_while_a_worker_loads_it_is_given_nothing_of_what_may_have_to_go():
    crew = Crew("w", NAMES)
    name = crew.hire(0)
    assert crew.models == {0} and crew.starting(0) == 1
    crew.told(name, ("a", "of another job"))
    crew.switch(name, 1)
    crew.give(Lease(1, 0, 1, name), 0)
    crew.give(Lease(3, 0, 1, name), 1)
    assert crew.models == {1}
    crew.release(Lease(1, 0, 1, name))
    crew.told(name, ("a",))
    assert crew.models == {1}, "that take failed before its model was needed; the next one loads it"
    crew.told(name, ("b",))
    assert crew.models == {1} and crew.with_model(0) == 0
    crew.told(name, ("a", "b"))
    assert crew.models == {0, 1}


def test_a_few_takes_are_left_to_the_worker_that_holds_their_model():
    """Two workers, a model each; the first is done with its own when little is left of the other's."""
    ledger = make(stills=4, motions=1, models=2, workers=2)
    opened(ledger, Tick())
    opened(ledger, hold("w1", "a"))
    opened(ledger, hold("w2", "b"))
    told: list[Instruction] = []
    for shot in (0, 2, 4, 6):
        told += opened(ledger, TakeSettled(Lease(shot, 0, 1, "w1"), Status.KEPT, 5.0, ("a",)))
    assert not [
        one for one in told if isinstance(one, Render) and one.lease.shot % 2 and one.lease.worker == "w1"
    ]


def test_what_is_worth_a_load():
    assert switch_to([]) is None
    worth = Backlog(0, work_s=4 * WORTH * 10 + 1, workers=3, load_s=10)
    assert switch_to([worth]) == 0
    assert switch_to([Backlog(0, work_s=4 * WORTH * 10, workers=3, load_s=10)]) is None
    lonely = Backlog(1, work_s=1, workers=0, load_s=10)
    assert switch_to([lonely]) == 1, "nobody else would ever render it"
    assert switch_to([lonely, worth]) == 0


def test_the_pace_is_assumed_until_it_was_measured():
    pace = Pace(2)
    assert (pace.load_s(1), pace.take_s(1)) == (ASSUMED_LOAD_S, ASSUMED_TAKE_S)
    for seconds in (10.0, 20.0):
        pace.loaded(1, seconds)
        pace.took(1, seconds / 10)
    assert (pace.load_s(1), pace.take_s(1)) == (15.0, 1.5)
    assert pace.load_s(0) == ASSUMED_LOAD_S


def test_no_more_takes_are_read_past_than_the_window_holds():
    rule = TakesRule(2, 2)
    queue = TakeQueue(Board(3000), 30, rule, models=3, stills_ahead=8, window=100)
    for _ in range(50):
        for still in queue.fill(8, {2}):
            queue.open(still)
    assert len(queue.ready[2]) >= 8
    queue.ready[2].clear()  # as if they were out
    queue._open_shots = {shot: 2 for model in (0, 1) for shot, take in queue.ready[model] if not take}
    for _ in range(200):
        for still in queue.fill(8, {2}):
            queue.open(still)
        queue.ready[2].clear()
    assert sum(map(len, queue.ready)) <= 100 + rule.min
    assert not queue.coming(2), "until somebody takes of the others"


def test_the_reserve_is_that_of_the_models_that_are_left():
    purse = Purse(None, 1.0, 0.0, 0)
    purse.tick(0.0)
    purse.learn(0, 1000.0)
    purse.learn(1, 10.0)
    purse.tick(3000.0)
    assert purse.verdict(0, [0, 1]) is not None
    assert purse.verdict(0, [1]) is None


# --- whole nights (with faults: tests/simtest) ---------------------------------------------------------------


class CountingNight(Night):
    """Counts the loads of workers that are running already."""

    loads = 0

    def tell(self, event: Event) -> list[Instruction]:
        self.loads += isinstance(event, Beat) and event.stage == LOADING
        return super().tell(event)


def calm(
    stills: int, motions: int, models: int, workers: int, *, load_s: float, take_s: float, room: int = 1
) -> tuple[Tale, int]:
    """A night without faults, and how often a running worker loaded a model."""
    names = NAMES[:models]
    world = World(
        kinds=(Kind("CPU", Lasting(0.0)),),
        takes=dict.fromkeys(names, Lasting(take_s)),
        loads=dict.fromkeys(names, Lasting(load_s)),
        finish=Lasting(0.0),
        still=Lasting(0.2),
        holds=room,
    )
    ledger = make(stills, motions, models, workers=workers)
    night = CountingNight(
        ledger, world, lambda shot: names[shot // motions % models], workers=workers, seed=0
    )
    tale = night.play()
    assert tale.finish == Finish("done") and tale.settled == tale.renders == stills * motions * models
    return tale, night.loads


@pytest.mark.parametrize("models", [1, 2, 3])
def test_one_worker_loads_each_model_once_where_all_fits_the_window(models):
    _, loads = calm(stills=20, motions=4, models=models, workers=1, load_s=60.0, take_s=5.0)
    assert loads == models - 1, "besides its first"


def test_one_worker_with_more_than_the_window_changes_once_a_window():
    _, loads = calm(stills=300, motions=4, models=2, workers=1, load_s=60.0, take_s=5.0)
    assert 1 <= loads <= 2 * 300 * 4 / LOOKAHEAD + 1


def test_a_worker_for_each_model_changes_none():
    _, loads = calm(stills=40, motions=2, models=3, workers=3, load_s=100.0, take_s=5.0)
    assert not loads


def test_a_worker_that_holds_all_loads_each_once():
    _, loads = calm(stills=300, motions=2, models=3, workers=1, load_s=60.0, take_s=1.0, room=3)
    assert loads == 2


def test_more_workers_are_not_slower_for_their_loads():
    """Six workers on two models of which one is done first: who is free helps where it is worth it."""
    one, six = (calm(stills=100, motions=3, models=2, workers=n, load_s=60.0, take_s=20.0)[0] for n in (1, 6))
    assert six.wall_s < one.wall_s / 4
