"""Who is blamed, what is avoided, and what waits for the store: one event in, the instructions looked at."""

from collections import Counter, deque

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farm.bench import FINISHING
from farm.dispatch.board import Board
from farm.dispatch.events import (
    Beat,
    Event,
    Finish,
    GiveUp,
    Instruction,
    Lease,
    NodeDraining,
    Notice,
    OpenStill,
    ProbeStore,
    Render,
    StartWorker,
    StillOpened,
    StopWorker,
    StoreProbed,
    StoreTrouble,
    TakeFaulted,
    TakeSettled,
    Tick,
    WorkerLost,
    WorkerPlaced,
    WorkerReady,
)
from farm.dispatch.ledger import Ledger, Limits
from farm.dispatch.nodes import AGAIN_S, AVOIDED_S, WINDOW_S, Nodes
from farm.dispatch.outage import HOPELESS, RELEASE_AFTER_S, Outage
from farm.dispatch.retry import Caps, Fault, given_up
from farm.dispatch.takes import TakesRule
from farm.dispatch.watchdog import UNKNOWN_S
from farm.values import Blame, Status


class Play:
    """A ledger over one still of many shots, and what it said last."""

    def __init__(self, shots: int = 100, workers: int = 4) -> None:
        self.ledger = Ledger(Board(shots), shots, TakesRule(1, 1), Limits(workers=workers), models=("m",))
        self.at_s = 0.0
        self.held: list[Lease] = []
        self.gave_up: list[GiveUp] = []
        self.hear(Tick())
        self.hear(StillOpened(0))

    def hear(self, event: Event, after_s: float = 1.0) -> list[Instruction]:
        self.at_s += after_s
        if isinstance(event, TakeSettled | TakeFaulted):
            self.held.remove(event.lease)
        if isinstance(event, WorkerLost):
            self.held = self.of(event.worker, but=True)
        told = self.ledger.handle(event, self.at_s)
        self.ledger.check()
        for one in told:
            if isinstance(one, Render):
                self.held.append(one.lease)
            if isinstance(one, StopWorker):
                self.held = self.of(one.worker, but=True)
            if isinstance(one, GiveUp):
                self.gave_up.append(one)
        return told

    def ready(self, worker: str, node: str) -> list[Instruction]:
        return self.hear(WorkerReady(worker, node, "CPU", 0.0, None, ("m",)))

    def lose(self, worker: str, *, preempted: bool = False) -> list[Instruction]:
        return self.hear(WorkerLost(worker, "ActorDiedError", "gone", preempted))

    def of(self, worker: str, *, but: bool = False) -> list[Lease]:
        return [lease for lease in self.held if (lease.worker == worker) is not but]

    def settle(self, lease: Lease) -> list[Instruction]:
        return self.hear(TakeSettled(lease, Status.KEPT))


def notices(told: list[Instruction]) -> str:
    return "; ".join(one.message for one in told if isinstance(one, Notice))


def starts(told: list[Instruction]) -> list[str]:
    return [one.worker for one in told if isinstance(one, StartWorker)]


def renders(told: list[Instruction]) -> list[Lease]:
    return [one.lease for one in told if isinstance(one, Render)]


@pytest.fixture
def broken_node() -> Play:
    """w4 works on a good node; w1, w2 and w3 failed on a bad one, each with takes of its own."""
    play = Play()
    play.ready("w4", "good")
    for worker in ("w1", "w2", "w3"):
        play.ready(worker, "bad")
    for worker in ("w1", "w2"):
        assert "avoided" not in notices(play.lose(worker))
    assert "node bad is avoided" in notices(play.lose("w3"))
    return play


# --- nodes ----------------------------------------------------------------------------------------------


def test_a_node_that_loses_workers_with_different_takes_is_avoided(broken_node):
    (w5, *_) = starts(broken_node.hear(Tick())) or ["w5"]
    told = broken_node.hear(WorkerPlaced(w5, "bad"))
    assert StopWorker(w5, gently=True) in told, "sent away before it loads anything"
    told = broken_node.ready("w6", "bad")
    assert StopWorker("w6", gently=True) in told and not renders(told)
    assert renders(broken_node.ready("w7", "good"))


def test_a_worker_sent_away_is_not_replaced_before_a_while(broken_node):
    assert not starts(broken_node.hear(WorkerPlaced("w5", "bad")))
    assert not starts(broken_node.hear(Tick()))
    assert len(starts(broken_node.hear(Tick(), after_s=AGAIN_S))) == 1


def test_what_happened_on_a_broken_node_is_no_takes_fault(broken_node):
    """Each of the takes has one fault that counts for nothing: three more workers are tried before it is given up."""
    faults = broken_node.ledger._blamer.attempts._faults
    assert [[fault.excused for fault in some] for some in faults.values()] == [[True]] * 6
    victim = renders(broken_node.ready("w5", "good"))[0]
    assert victim.attempt == 2
    for worker in ("w5", "w6"):
        (lease,) = broken_node.of(worker)
        assert (lease.shot, lease.worker) == (victim.shot, worker), "it renders alone"
        broken_node.lose(worker)
        broken_node.ready(f"w{int(worker[1:]) + 1}", f"another than {worker}'s")
    assert not broken_node.gave_up
    broken_node.lose("w7")
    assert [one.shot for one in broken_node.gave_up] == [victim.shot]
    assert broken_node.gave_up[0].blame is Blame.TASK


def test_a_node_is_forgiven_after_a_while(broken_node):
    assert "node bad is tried again" in notices(broken_node.hear(Tick(), after_s=AVOIDED_S))
    assert renders(broken_node.ready("w5", "bad"))


def test_the_last_node_is_never_avoided(broken_node):
    only = Play()
    for worker in ("w1", "w2", "w3", "w4"):
        only.ready(worker, "bad")
    for worker in ("w1", "w2", "w3"):
        assert "avoided" not in notices(only.lose(worker))
    broken_node.lose("w4", preempted=True)
    assert renders(broken_node.ready("w5", "bad")), "there is nothing else any more"


def test_old_losses_are_not_held_against_a_node():
    play = Play()
    play.ready("w4", "good")
    for worker in ("w1", "w2", "w3"):
        play.ready(worker, "bad")
    play.lose("w1")
    play.lose("w2")
    play.hear(Tick(), after_s=WINDOW_S)
    assert "avoided" not in notices(play.lose("w3"))


def test_one_take_that_kills_its_workers_makes_no_node_look_broken():
    play = Play(workers=2)
    play.ready("w1", "good")
    poisoned = renders(play.ready("w2", "one node"))[0].shot
    begun: list[str] = []
    for _ in range(40):
        lethal = next((lease.worker for lease in play.held if lease.shot == poisoned), None)
        told = play.lose(lethal) if lethal else play.settle(play.held[0])
        assert "avoided" not in notices(told)
        begun += starts(told)
        while begun:
            play.ready(begun.pop(), "one node")
    assert [one.shot for one in play.gave_up] == [poisoned]


def test_losses_that_have_a_take_in_common_count_once():
    nodes = Nodes(losses=3, starts=2)
    for number in range(5):
        assert nodes.lost("a", f"w{number}", {(7, 0), (number, 1)}, {"b"}) is None
    assert nodes.lost("a", "w5", {(8, 0)}, {"b"}) is None
    assert nodes.lost("a", "w5", {(9, 0)}, {"b"}) is None, "the same worker"
    assert nodes.lost("a", "w6", {(10, 0)}, {"b"}) == "3 workers failed there with different takes"


def test_a_node_on_which_workers_cannot_start_is_avoided_and_ends_no_hiring():
    play = Play()
    play.ready("w1", "good")
    for worker in ("w2", "w3"):
        play.hear(WorkerPlaced(worker, "bad"))
    play.lose("w2")
    assert "node bad is avoided" in notices(play.lose("w3"))
    told = play.lose("w4")
    assert starts(told), "two of the three starts that failed in a row were the node's"


def test_a_take_that_faulted_is_tried_on_another_node():
    play = Play(workers=3)
    play.ready("w1", "a")
    play.ready("w2", "b")
    bad = play.of("w1")[0]
    play.hear(TakeFaulted(bad, Blame.WORKER, "CudaError", "context lost"))
    told = play.ready("w3", "a")
    assert bad.shot not in {lease.shot for lease in renders(told)}, "w2 will have it"
    for lease in play.of("w2"):
        assert not [one for one in renders(play.settle(lease)) if one.shot != bad.shot], "it is kept free"
    assert (bad.shot, "w2") in {(lease.shot, lease.worker) for lease in play.held}


def test_a_take_that_fails_wherever_nodes_were_blamed_for_it_ends_as_theirs():
    caps = Caps()
    faults = [Fault(f"w{n}", Blame.WORKER, "k", "m", f"n{n}", excused=True) for n in range(caps.task_faults)]
    assert given_up(caps, faults[1:]) is None
    assert given_up(caps, faults) is Blame.NODE
    own = [Fault(f"w{n}", Blame.WORKER, "k", "m") for n in range(caps.task_workers)]
    assert given_up(caps, own) is Blame.TASK
    assert given_up(caps, [*own[1:], own[1]]) is None, "distinct workers"
    assert given_up(caps, [Fault("w", Blame.STORE, "k", "m")] * 99) is None


# --- draining -------------------------------------------------------------------------------------------


def test_a_draining_node_gets_nothing_more_and_is_replaced():
    play = Play(workers=2)
    play.ready("w1", "spot")
    first, second = play.of("w1")
    told = play.hear(NodeDraining("spot", 60.0))
    assert starts(told), "its place is filled"
    assert "spot is being taken away in 60 s" in notices(told)
    assert play.hear(NodeDraining("spot", 59.0)) == [], "said once"
    assert not renders(play.settle(first))
    assert StopWorker("w1", gently=False) in play.settle(second), "what it held was finished"


@pytest.mark.parametrize("ends", ["deadline", "lost", "faulted"])
def test_what_a_draining_node_did_not_finish_goes_back_uncharged(ends):
    play = Play(shots=2, workers=1)
    for round_ in range(5):
        worker, node = f"w{round_ + 1}", f"spot {round_}"
        play.ready(worker, node)
        play.hear(NodeDraining(node, 60.0))
        if ends == "lost":
            play.lose(worker)
        elif ends == "faulted":
            for lease in play.of(worker):
                play.hear(TakeFaulted(lease, Blame.WORKER, "RuntimeError", "torn away"))
        else:
            told = play.hear(Tick(), after_s=60.0)
            assert StopWorker(worker, gently=False) in told
    assert not play.gave_up and play.ledger.standing().takes_settled == 0
    told = play.ready("w6", "stable")
    assert [lease.attempt for lease in renders(told)] == [6, 6], "both at once: nobody suspects them"


# --- poison ---------------------------------------------------------------------------------------------


@settings(max_examples=200, deadline=None)
@given(
    poison=st.sets(st.integers(0, 11), max_size=4),
    workers=st.integers(1, 4),
    nodes=st.integers(1, 3),
    draw=st.randoms(use_true_random=False),
)
def test_whoever_rendered_beside_poison_is_never_given_up(poison, workers, nodes, draw):
    """Poison kills its worker as soon as it renders, at the worst of times; nothing else ever fails."""
    play = Play(shots=12, workers=workers)
    beside: Counter[int] = Counter()
    begun = deque(f"w{number + 1}" for number in range(workers))
    for _ in range(600):
        lethal = [lease for lease in play.held if lease.shot in poison]
        if begun:
            told = play.ready(begun.popleft(), f"node {draw.randrange(nodes)}")
        elif lethal and draw.random() < 0.7:
            victim = draw.choice(lethal)
            beside.update(lease.shot for lease in play.of(victim.worker) if lease.shot not in poison)
            told = play.lose(victim.worker)
        elif harmless := [lease for lease in play.held if lease.shot not in poison]:
            told = play.settle(draw.choice(harmless))
        else:
            told = play.hear(Tick(), after_s=60.0)
        begun.extend(starts(told))
        if play.ledger.finished:
            break
    assert play.ledger.finished
    assert {one.shot for one in play.gave_up} == poison
    assert all(count <= 1 for count in beside.values()), "whoever was hit once renders alone"


def test_what_poison_did_to_others_is_excused_when_it_is_known():
    play = Play(shots=6, workers=2)
    poison, neighbour = renders(play.ready("w1", "n"))
    play.ready("w2", "n")
    play.lose("w1")
    while neighbour.shot not in {lease.shot for lease in play.held if lease.worker == "w3"}:
        play.ready("w3", "n")
    for lease in play.of("w2"):
        play.settle(lease)
    faults = play.ledger._blamer.attempts._faults
    for number in (4, 5):
        (alone,) = [lease for lease in play.held if lease.shot == poison.shot]
        assert [fault.excused for fault in faults[neighbour.shot, 0]] == [False]
        play.lose(alone.worker)
        play.ready(f"w{number}", "n")
    assert [one.shot for one in play.gave_up] == [poison.shot]
    assert [fault.excused for fault in faults[neighbour.shot, 0]] == [True]


# --- the store ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["unreachable", "throttled", "timeout", "unavailable"])
def test_an_outage_pauses_what_is_given_out_and_charges_nobody(kind):
    play = Play(workers=1)
    first, second = renders(play.ready("w1", "n"))
    told = play.hear(TakeFaulted(first, Blame.STORE, kind, "no route"))
    assert not renders(told) and not [one for one in told if isinstance(one, StopWorker | OpenStill)]
    assert "the store does not answer" in notices(told)
    assert play.ledger.store_is_away
    told = play.hear(TakeFaulted(second, Blame.STORE, kind, "no route"))
    assert told == [], "it is one outage"
    assert play.hear(Tick()) == [ProbeStore()]
    assert play.hear(Tick()) == [], "one question at a time"
    assert play.hear(StoreProbed(False)) == []
    assert play.hear(Tick()) == [], "not so soon again"
    assert play.hear(Tick()) == [ProbeStore()]
    told = play.hear(StoreProbed(True))
    assert "the store answers again" in notices(told)
    assert {(lease.shot, lease.worker) for lease in renders(told)} == {(0, "w1"), (1, "w1")}
    assert not play.ledger.store_is_away


def test_a_take_that_could_not_be_stored_goes_back_to_who_has_it():
    play = Play(workers=3)
    for worker in ("w1", "w2", "w3"):
        play.ready(worker, f"node of {worker}")
    for lease in list(play.held):
        play.hear(TakeFaulted(lease, Blame.STORE, "unreachable", "no route"))
    held = {(lease.shot, lease.worker) for lease in renders(answered(play))}
    assert held == {(0, "w1"), (1, "w1"), (2, "w2"), (3, "w2"), (4, "w3"), (5, "w3")}


def test_takes_go_on_and_settle_while_the_store_is_away():
    play = Play(workers=1)
    first, second = renders(play.ready("w1", "n"))
    play.hear(StoreTrouble("unreachable", "no route"))
    assert not renders(play.settle(first)) and not renders(play.settle(second))
    assert play.ledger.standing().takes_settled == 2
    assert renders(answered(play))


def test_whoever_waits_for_the_store_does_not_hang():
    ends = []
    for away in (True, False):
        play = Play(workers=1)
        first, _ = renders(play.ready("w1", "n"))
        play.hear(Beat(first, FINISHING))
        if away:
            play.hear(StoreTrouble("unreachable", "no route"))
        told = [play.hear(Tick()) for _ in range(int(UNKNOWN_S) + 10)]
        stopped = {one.worker for some in told for one in some if isinstance(one, StopWorker)}
        ends.append("w1" in stopped)
    assert ends == [False, True]


def test_workers_that_wait_too_long_go_and_are_hired_again():
    play = Play(workers=2)
    busy = renders(play.ready("w1", "n"))
    play.ready("w2", "n")
    for lease in play.of("w2"):
        play.hear(TakeFaulted(lease, Blame.STORE, "unreachable", "no route"))
    told = play.hear(Tick(), after_s=RELEASE_AFTER_S)
    assert [one for one in told if isinstance(one, StopWorker)] == [StopWorker("w2", gently=True)]
    assert not starts(told)
    assert StopWorker("w1", gently=True) not in play.settle(busy[0])
    assert StopWorker("w1", gently=True) in play.settle(busy[1])
    assert not play.ledger.finished
    assert len(starts(play.hear(StoreProbed(True)))) == 2


@pytest.mark.parametrize("kind", sorted(HOPELESS))
def test_what_no_waiting_mends_ends_the_run_at_once(kind):
    play = Play(workers=2)
    play.ready("w2", "n")
    first, _ = renders(play.ready("w1", "n"))
    told = play.hear(TakeFaulted(first, Blame.STORE, kind, "says no"))
    assert StopWorker("w2", gently=False) in told, "whatever it renders would be lost"
    assert told[-1] == Finish("broken", f"the store cannot be used ({kind}): says no")


def test_a_store_that_answers_and_takes_nothing_ends_the_run():
    play = Play(workers=1)
    play.ready("w1", "n")
    for _ in range(Caps().store_outages):
        told = play.hear(TakeFaulted(play.held[0], Blame.STORE, "other", "bad gateway"))
        assert play.ledger.store_is_away
        told = answered(play)
    told = play.hear(TakeFaulted(play.held[0], Blame.STORE, "other", "bad gateway"))
    assert told[-1] == Finish(
        "broken", "the store was back 10 times in a row and refused the next take: bad gateway"
    )


def test_questions_become_rare_and_a_take_that_arrives_makes_them_frequent_again():
    outage, asked = Outage(10), []
    outage.refused("timeout", "m", 0.0)
    for at_s in range(200):
        if outage.ask_now(at_s):
            asked.append(at_s)
            outage.probed(False, at_s)
    assert asked == [1, 3, 7, 15, 31, 61, 91, 121, 151, 181]
    assert outage.probed(True, 200.0) == 200.0 and not outage.on
    outage.refused("timeout", "m", 300.0)
    assert not outage.ask_now(301.0) and outage.ask_now(302.0)
    outage.probed(True, 302.0)
    outage.settled()
    outage.refused("timeout", "m", 400.0)
    assert outage.ask_now(401.0)


def answered(play: Play) -> list[Instruction]:
    """Time passes until the store is asked, and it answers."""
    for _ in range(40):
        if ProbeStore() in play.hear(Tick()):
            return play.hear(StoreProbed(True))
    raise AssertionError("it was never asked")
