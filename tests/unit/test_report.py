"""What people see: the progress lines, the closing table, the words for figures."""

import io
from dataclasses import replace
from fractions import Fraction

import pyarrow as pa
import pytest
from rich.console import Console

from farm.dispatch.events import (
    Cancel,
    GiveUp,
    Lease,
    Notice,
    Standing,
    StopWorker,
    TakeFaulted,
    TakeSettled,
    WorkerLost,
    WorkerReady,
)
from farm.outcomes import failed_outcome
from farm.plan.grid import Grid
from farm.report.progress import Progress
from farm.report.summary import COLUMNS, plain, show, summarize
from farm.report.tally import Tally
from farm.report.words import between, duration
from farm.values import Blame, Model, Motion, Status, Still

STANDING = Standing(
    shots=10, shots_accepted=3, takes_settled=8, takes_waiting=12, in_flight=4, workers_ready=2, workers_starting=1,
    spent_usd=1.5,
)  # fmt: skip


def outcome(status: Status, blame: Blame = Blame.TASK, attempt: int = 1):
    grid = Grid(1, (Motion("m", "p"),), (Model("previz", "previz", "1", 16, Fraction(24), "native"),), 1, 0)
    made = failed_outcome(
        grid.task(0, 0, Still("s [bold]x", "u", "w"), "ab"),
        attempt,
        reason="torn",
        blame=blame,
        kind="k",
        at="t",
    )
    return replace(made, status=status)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (59.4, "59 s"), (59.6, "1 min 00 s"), (190, "3 min 10 s"), (25_500, "7 h 05 min")],
)
def test_durations(seconds, words):
    assert duration(seconds) == words


def test_intervals():
    assert between((32, 64)) == "32 to 64"
    assert between((32, 32)) == "32"
    assert between(None) == "unknown"
    assert between((1e6, 2e6)) == "1,000,000 to 2,000,000"


def test_the_tally_gives_rate_and_time_left():
    tally = Tally()
    for second in range(5):
        tally.on_event(WorkerReady("w1", "n", "CPU", 0.0, None, ("previz",)), None, 10.0 + 2 * second)
        tally.on_outcome(outcome(Status.KEPT))
    assert tally.takes_per_s == pytest.approx(0.5)
    tally.on_turn(STANDING, 20.0)
    assert tally.eta_s == pytest.approx((12 + 4) / 0.5)
    assert tally.elapsed_s == pytest.approx(10.0)
    assert not tally.priced


def test_plain_lines_where_there_is_no_terminal():
    file = io.StringIO()
    tally = Tally()
    progress = Progress(Console(file=file, width=60), tally)
    with progress.shown():
        tally.on_event(WorkerReady("w1", "n", "CPU", 0.0, 2.0, ("previz",)), None, 0.0)
        tally.on_outcome(outcome(Status.FAILED))
        tally.on_turn(STANDING, 1.0)
        progress.on_turn(STANDING, 1.0)
        progress.on_turn(STANDING, 2.0)
    (line,) = file.getvalue().splitlines()
    assert line == "8 takes | 3/10 shots circled | 2 workers (+1 starting) | $1.50 | failed: 1 task"


def test_troubles_are_told_when_they_happen():
    file = io.StringIO()
    progress = Progress(Console(file=file, width=60), Tally())
    progress.on_event(WorkerLost("w1", "ActorDiedError", "gone [red]", preempted=False), None, 0.0)
    progress.on_event(WorkerLost("w2", "ActorDiedError", "gone", preempted=True), None, 0.0)
    progress.on_event(TakeFaulted(Lease(0, 0, 2, "w3"), Blame.STORE, "denied", "no"), None, 0.0)
    progress.on_instruction(GiveUp(0, 0, 3, Blame.TASK, "x", "its story"), 0.0)
    progress.on_outcome(outcome(Status.FAILED, attempt=0))
    progress.on_instruction(Notice("the store answers again after 7 s"), 0.0)
    told = file.getvalue().splitlines()
    assert len(told) == 6 and told[5] == "the store answers again after 7 s"
    assert "gone [red]" in told[0] and "taken away" in told[1] and "attempt 2" in told[2]
    assert "its story" in told[3] and "s [bold]x refused: torn" in told[4]


def test_a_worker_that_is_ready_or_changes_its_model_is_told_in_a_plain_line():
    file = io.StringIO()
    tally = Tally()
    progress = Progress(Console(file=file, width=60), tally)
    settled = TakeSettled(Lease(0, 0, 1, "w1"), Status.KEPT, 9.0, ("wan", "previz"))
    for event in (
        WorkerReady("w1", "n", "NVIDIA H100", 38.21, 2.0, ("wan",)),
        settled,
        replace(settled, load_s=4.0),
    ):
        for observer in (tally, progress):
            observer.on_event(event, outcome(Status.KEPT), 0.0)
    assert file.getvalue().splitlines() == [
        "worker w1 is ready: wan loaded in 38.2 s on NVIDIA H100",
        "worker w1 changed its model: previz loaded in 4.0 s",
    ]
    assert tally.load_s == {"wan": 38.21, "previz": 4.0}


def test_what_the_watchdog_does_is_told_with_its_reason():
    file = io.StringIO()
    progress = Progress(Console(file=file, width=60), Tally())
    for instruction in (
        Cancel(Lease(0, 0, 2, "w1"), "renders for 201 s; allowed: 200 s"),
        StopWorker("w1", gently=False, trouble="no sign of life for 61 s"),
        StopWorker("w2", gently=True),
    ):
        progress.on_instruction(instruction, 0.0)
    assert file.getvalue().splitlines() == [
        "worker w1: attempt 2 is cancelled (renders for 201 s; allowed: 200 s)",
        "worker w1 hangs and is replaced (no sign of life for 61 s)",
    ]


def test_a_terminal_gets_a_live_block():
    file = io.StringIO()
    progress = Progress(Console(file=file, width=100, force_terminal=True), Tally())
    with progress.shown():
        progress.on_turn(STANDING, 1.0)
    assert "8/24 takes" in file.getvalue() and "3/10 shots circled" in file.getvalue()


def rows(*changes: dict) -> pa.Table:
    whole = {
        "model": "previz", "status": "kept", "blame": None, "kind": None, "attempt": 1, "score": 0.8, "render_s": 2.0,
        "finish_s": 1.0, "cost_usd": None, "clip_bytes": 100, "reason": None,
    }  # fmt: skip
    types = {"score": pa.float64(), "render_s": pa.float64(), "finish_s": pa.float64(), "cost_usd": pa.float64(),
             "attempt": pa.int32(), "clip_bytes": pa.int64()}  # fmt: skip
    schema = pa.schema([(name, types.get(name, pa.string())) for name in COLUMNS])
    return pa.Table.from_pylist([whole | change for change in changes], schema=schema)


FAILED = {"status": "failed", "blame": "task", "kind": "still_empty", "attempt": 0, "score": None, "render_s": None,
          "finish_s": None, "clip_bytes": None}  # fmt: skip


def test_the_summary_counts_the_manifest():
    takes = rows(
        {"cost_usd": 0.1},
        {"status": "rejected", "score": 0.2, "cost_usd": 0.3, "reason": "flickers from 2.1 s; blurred"},
        {"status": "rejected", "score": 0.2, "cost_usd": 0.0, "reason": "flickers from 1.0 s"},
        FAILED,
    )
    summary = summarize("n", takes, {("selected", "previz"): 1, ("none_usable", None): 1}, 3)
    assert (summary.takes, summary.kept, summary.rejected, summary.failed) == (4, 1, 2, 1)
    assert (summary.selected, summary.none_usable, summary.shots_refused) == (1, 1, 1)
    assert summary.cost_usd == pytest.approx(0.4)
    assert summary.reasons == {"flickers": 2} and summary.failures == {"task: still_empty": 1}
    model = summary.models["previz"]
    assert model.accept_ratio == pytest.approx(1 / 3) and model.score == pytest.approx(0.4)
    assert not summary.is_clean
    file = io.StringIO()
    show(Console(file=file, width=120), summary, where="out", winners="out/selects.parquet")
    told = file.getvalue()
    for words in ("1 circled, 1 with no usable take, 1 not reached", "flickers (2)", "$0.40", "33%"):
        assert words in told


def test_an_unknown_price_makes_the_cost_unknown_not_zero():
    summary = summarize("n", rows({}, {"cost_usd": 0.5}), {("selected", "previz"): 1}, 1)
    assert summary.cost_usd is None and plain(summary)["cost_usd"] is None
    assert summary.is_clean


def test_a_run_without_takes_has_a_summary():
    summary = summarize("n", rows(), {}, 5)
    assert (summary.takes, summary.models, summary.cost_usd) == (0, {}, 0.0)
    show(Console(file=io.StringIO()), summary, where="out", winners=None)


def test_models_are_put_against_each_other():
    takes = rows(
        {"render_s": 2.0, "cost_usd": 0.2},
        {"render_s": 4.0, "cost_usd": 0.4},
        {"render_s": 6.0, "cost_usd": 0.6, "status": "rejected", "score": 0.2},
        {"model": "wan", "render_s": 30.0, "cost_usd": None},
        {"model": "ltx", "render_s": 9.0, "cost_usd": 0.1, "status": "rejected", "score": 0.1},
        FAILED | {"model": "ltx"},
    )
    selects = {
        ("selected", "previz"): 1,
        ("override", "wan"): 2,
        ("selected", "wan"): 1,
        ("none_usable", None): 4,
    }
    summary = summarize("n", takes, selects, None)
    previz, wan, ltx = (summary.models[name] for name in ("previz", "wan", "ltx"))
    # The time and price of what was rejected is put on what was kept.
    assert (previz.s_per_accepted, previz.usd_per_accepted) == (pytest.approx(6.0), pytest.approx(0.6))
    assert (wan.s_per_accepted, wan.usd_per_accepted) == (30.0, None)  # no price is known
    assert (ltx.s_per_accepted, ltx.usd_per_accepted) == (None, None)  # nothing was accepted
    assert (previz.circled, wan.circled, ltx.circled) == (1, 3, 0)
    assert (summary.selected, summary.none_usable) == (4, 4)
    assert plain(summary)["models"]["wan"]["circled"] == 3
    file = io.StringIO()
    show(Console(file=file, width=120), summary, where="out", winners=None)
    told = [line.split() for line in file.getvalue().splitlines()]
    table = told[told.index(["model", "against", "model"]) :]
    assert [line for line in table if line[:1] in (["wan"], ["previz"], ["ltx"])] == [
        ["wan", "3", "1", "100%", "0.80", "30.0", "-"],
        ["previz", "1", "3", "67%", "0.60", "6.0", "$0.600"],
        ["ltx", "0", "2", "0%", "0.10", "-", "-"],
    ]


def test_one_model_has_nobody_to_be_put_against():
    file = io.StringIO()
    show(Console(file=file, width=120), summarize("n", rows({}), {}, None), where="out", winners=None)
    assert "against" not in file.getvalue()
