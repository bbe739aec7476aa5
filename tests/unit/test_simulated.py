"""The simulated pool, and what is said of nights that are played with it."""

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from outcomes import kept, open_manifest

from farm.cli import BAD_INPUT, DONE, call
from farm.clock import VirtualClock
from farm.dispatch.agenda import Agenda
from farm.dispatch.board import Board
from farm.dispatch.events import Beat, Event, Lease, TakeFaulted, TakeSettled, WorkerLost, WorkerReady
from farm.dispatch.ledger import Ledger, Limits
from farm.dispatch.night import Night, Tale
from farm.dispatch.pool import Pool
from farm.dispatch.simulated import SimulatedPool
from farm.dispatch.takes import TakesRule
from farm.dispatch.world import Kind, Lasting, World, chance
from farm.plan.estimate import Timing
from farm.plan.timings import measured
from farm.report.simulate_table import timeline
from farm.store.blobs import Blobs
from farm.values import Blame, Status

PLAIN = World(
    kinds=(Kind("H100", Lasting(30.0), 3.6),),
    takes={"a": Lasting(10.0), "b": Lasting(20.0)},
    loads={"a": Lasting(60.0), "b": Lasting(60.0)},
    finish=Lasting(2.0),
)


def pool_of(world: World) -> tuple[SimulatedPool, VirtualClock]:
    clock = VirtualClock()
    pool = SimulatedPool(world, lambda shot: "ab"[shot % 2], Agenda(clock), seed=1)
    as_any: Pool = pool
    assert as_any.slots is None
    return pool, clock


def heard_until(pool: Pool, clock: VirtualClock, until_s: float) -> list[tuple[float, Event]]:
    """Everything but signs of life, with when it was heard."""
    heard = []
    while clock.monotonic_s() < until_s:
        told = pool.poll(until_s - clock.monotonic_s())
        heard += [(clock.monotonic_s(), event) for event, _ in told if not isinstance(event, Beat)]
    return heard


def test_a_worker_starts_loads_renders_and_finishes_beside_the_next_take():
    pool, clock = pool_of(PLAIN)
    pool.start("w1", "a")
    ready = WorkerReady("w1", "node-0", "H100", 60.0, 3.6, ("a",))
    assert heard_until(pool, clock, 95.0) == [(90.0, ready)]
    for shot in (0, 2):
        pool.render(Lease(shot, 0, 1, "w1"))
    heard = heard_until(pool, clock, 200.0)
    assert all(event.score >= PLAIN.limit for _, event in heard)
    assert [(at_s, replace(event, score=None)) for at_s, event in heard] == [
        (107.0, TakeSettled(Lease(0, 0, 1, "w1"), Status.KEPT, 12.0, ("a",), 0.0)),
        (117.0, TakeSettled(Lease(2, 0, 1, "w1"), Status.KEPT, 12.0, ("a",), 0.0)),
    ]
    assert pool.paid_s == 200.0 - 30.0


def test_another_model_is_loaded_and_the_first_one_goes():
    pool, clock = pool_of(PLAIN)
    pool.start("w1", "a")
    heard_until(pool, clock, 90.0)
    pool.render(Lease(1, 0, 1, "w1"))
    ((at_s, event),) = heard_until(pool, clock, 300.0)
    settled = TakeSettled(Lease(1, 0, 1, "w1"), Status.KEPT, 22.0, ("b",), 60.0, event.score)
    assert (at_s, event) == (172.0, settled)


def test_nothing_is_heard_of_a_worker_that_was_stopped_or_is_lost():
    pool, clock = pool_of(replace(PLAIN, poison=1.0))
    for name in ("w1", "w2"):
        pool.start(name, "a")
    heard_until(pool, clock, 90.0)
    pool.render(Lease(0, 0, 1, "w1"))
    pool.render(Lease(2, 0, 1, "w1"))
    pool.render(Lease(4, 0, 1, "w2"))
    pool.stop("w2", gently=False)
    events = [event for _, event in heard_until(pool, clock, 300.0)]
    assert events == [WorkerLost("w1", "died", "poison")]
    pool.render(Lease(6, 0, 1, "w1"))
    assert heard_until(pool, clock, 400.0) == []
    assert pool.account.lost == 2 and pool.account.crashed == 1


def test_who_hangs_says_nothing_and_is_not_cancelled():
    pool, clock = pool_of(replace(PLAIN, hangs_h=1e6))
    pool.start("w1", "a")
    heard_until(pool, clock, 91.0)
    pool.render(Lease(0, 0, 1, "w1"))
    pool.cancel(Lease(0, 0, 1, "w1"))
    assert heard_until(pool, clock, 900.0) == []


def test_a_take_is_cancelled_while_it_renders():
    pool, clock = pool_of(PLAIN)
    pool.start("w1", "a")
    heard_until(pool, clock, 91.0)
    pool.render(Lease(0, 0, 1, "w1"))
    pool.cancel(Lease(0, 0, 1, "w1"))
    ((at_s, event),) = heard_until(pool, clock, 300.0)
    assert at_s == 91.0 and isinstance(event, TakeFaulted) and event.kind == "overdue"


def test_a_store_that_is_away_is_waited_for_and_then_blamed():
    for patience_s, expected in ((1e9, TakeSettled), (0.0, TakeFaulted)):
        world = replace(PLAIN, outages_h=1e6, outage=Lasting(200.0), patience_s=patience_s)
        pool, clock = pool_of(replace(world, outages_h=3600.0))
        pool._world = replace(world, outages_h=0.0)  # one outage is enough
        pool.start("w1", "a")
        heard_until(pool, clock, 91.0)
        pool.render(Lease(0, 0, 1, "w1"))
        ((at_s, event),) = heard_until(pool, clock, 500.0)
        assert isinstance(event, expected)
        assert (at_s > 200.0) == (expected is TakeSettled)
        assert isinstance(event, TakeSettled) or event.blame is Blame.STORE


def test_a_wave_takes_whole_nodes_and_blames_nobody():
    pool, clock = pool_of(replace(PLAIN, waves_h=3600 / 20, wave=0.2, workers_per_node=4))
    for number in range(40):
        pool.start(f"w{number}", "a")
    lost = [event for _, event in heard_until(pool, clock, 100.0) if isinstance(event, WorkerLost)]
    assert lost and all(event.preempted for event in lost)
    nodes = {int(event.worker[1:]) // 4 for event in lost}
    assert 0 < len(nodes) < 10 and len(lost) == 4 * len(nodes)


def test_capacity_that_arrives_slowly():
    pool, clock = pool_of(replace(PLAIN, arriving_h=60))
    for number in range(3):
        pool.start(f"w{number}", "a")
    assert [at_s for at_s, _ in heard_until(pool, clock, 500.0)] == [150.0, 210.0, 270.0]


def test_what_becomes_of_a_take_is_its_own():
    assert chance(1, 0, 5, 2) == chance(1, 0, 5, 2) != chance(1, 0, 2, 5)
    found = [chance(seed, what, shot) for seed in range(20) for what in range(3) for shot in range(50)]
    assert abs(sum(found) / len(found) - 0.5) < 0.02 and len(set(found)) == len(found)


@pytest.mark.parametrize("spread", [0.2, 1.0])
def test_durations_have_the_mean_and_the_spread_that_they_say(spread):
    from random import Random

    dice = Random(1)
    drawn = [Lasting(40.0, spread).draw(dice) for _ in range(20_000)]
    mean = sum(drawn) / len(drawn)
    deviation = (sum((one - mean) ** 2 for one in drawn) / len(drawn)) ** 0.5
    assert mean == pytest.approx(40, rel=0.03) and deviation / mean == pytest.approx(spread, rel=0.1)


# --- nights -----------------------------------------------------------------------------------------------


def night(world: World, *, workers: int = 4, stills: int = 20, seed: int = 1) -> Tale:
    ledger = Ledger(Board(stills), 1, TakesRule(1, 3), Limits(workers=workers), models=["a"])
    return Night(ledger, world, lambda shot: "a", workers=workers, seed=seed).play()


def test_a_night_without_faults_lasts_and_costs_what_its_takes_do():
    tale = night(PLAIN)
    # 30 s to start, 60 s to load, five takes of ten seconds each, and what the last of them needs to be finished.
    assert tale.finish.reason == "done" and tale.wall_s == pytest.approx(90 + 50 + 2, abs=1)
    assert (tale.renders, tale.settled, tale.accepted) == (20, 20, 20)
    assert tale.usd == pytest.approx(tale.paid_s * 3.6 / 3600)


def test_faults_cost_time_and_takes_are_done_twice():
    calm, rough = night(PLAIN), night(replace(PLAIN, crashes_h=60, hangs_h=5))
    assert rough.wall_s > calm.wall_s and rough.settled == calm.settled
    assert rough.renders - rough.settled >= rough.account.lost > 0 < rough.account.crashed


def test_takes_that_are_not_accepted_are_tried_again():
    tale = night(replace(PLAIN, accept={"a": 0.4}))
    assert 20 < tale.settled <= 60 and tale.accepted < 20


def test_the_same_seed_is_the_same_night():
    world = replace(PLAIN, crashes_h=20, takes={"a": Lasting(10.0, 0.5)}, accept={"a": 0.5})
    assert night(world) == night(world) != night(world, seed=2)


# --- farm simulate ----------------------------------------------------------------------------------------


def simulated(tmp_path, capsys, *more: str, command: str = "simulate") -> dict:
    job = f"jobs/demo.yaml --set output={tmp_path} --json".split()
    assert call([command, *job, *more]) == DONE
    return json.loads(capsys.readouterr().out)


def test_the_command_says_what_it_rests_on_and_gives_no_dollars_without_a_price(tmp_path, capsys):
    found = simulated(tmp_path, capsys)
    assert found["cost_usd"] is None and any("price: unknown" in line for line in found["rests_on"])
    assert any("60 s, assumed" in line for line in found["rests_on"])
    assert found["ended"] == {"done": 10} and found["wall_s"][0] <= found["wall_s"][1] <= found["wall_s"][2]
    assert found == simulated(tmp_path, capsys)
    assert found != simulated(tmp_path, capsys, "--seed", "5")


def test_what_is_given_is_used_and_budget_ends_nights(tmp_path, capsys):
    world = ["--world", "take_s=600", "--world", "price_usd_h=3"]
    found = simulated(tmp_path, capsys, *world)
    dear = found["cost_usd"][1]
    assert dear == pytest.approx(found["takes"][1] * 600 * 3 / 3600, rel=0.25)
    bounded = simulated(tmp_path, capsys, *world, "--set", f"budget.usd={dear * 0.8}")
    assert bounded["ended"] == {"budget": 10} and bounded["cost_usd"][2] < dear * 0.8


def test_more_workers_end_earlier(tmp_path, capsys):
    few, many = (simulated(tmp_path, capsys, "--workers", n, "--nights", "3") for n in ("2", "20"))
    assert many["wall_s"][1] < few["wall_s"][1] / 3


def test_a_fleet_is_simulated_in_proportion(tmp_path):
    from farm.plan.planning import make_plan
    from farm.simulate import forecast
    from farm.spec import read_job

    job = Path("jobs/demo.yaml")
    plan = make_plan(read_job(job, [f"output={tmp_path}", "workers.max=10", "takes.max=4"]), job)
    plan = replace(plan, grid=replace(plan.grid, stills=200))
    settings = ["price_usd_h=2", "accept=0.5"]
    whole = forecast(plan, {}, nights=3, settings=settings)
    small = forecast(plan, {}, nights=3, settings=settings, work=1500)
    assert whole.scale == 1 and small.scale > 3 and small.shots == whole.shots
    for one, other in (
        (whole.wall_s, small.wall_s),
        (whole.cost_usd, small.cost_usd),
        (whole.takes, small.takes),
    ):
        assert one and other and other[1] == pytest.approx(one[1], rel=0.25)


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("warp=9", "there is no 'warp'"),
        ("crashes_h", "a number"),
        ("wave=1.5", "0 to 1"),
        ("holds=1.5", "whole"),
    ],
)
def test_settings_that_there_are_not_are_bad_input(setting, said, tmp_path, capsys):
    job = f"jobs/demo.yaml --set output={tmp_path}".split()
    assert call(["simulate", *job, "--world", setting]) == BAD_INPUT
    assert said in capsys.readouterr().err


def test_the_table_draws_the_workers(tmp_path, capsys):
    job = f"jobs/demo.yaml --set output={tmp_path}".split()
    assert call(["simulate", *job, "--nights", "2"]) == DONE
    assert "█" in capsys.readouterr().out
    assert timeline([0, 1, 400, 800]) == " ▁▄█" and timeline([]) == ""


def rendered(output: Path, seconds: Sequence[float]) -> None:
    """A run under `output` whose takes lasted so long on an H100; every other one was accepted."""
    manifest = open_manifest(Blobs.open(str(output)))
    for number, render_s in enumerate(seconds):
        seen = {
            "render_s": render_s,
            "finish_s": 4.0,
            "accelerator": "NVIDIA H100",
            "accepted": number % 2 == 0,
        }
        manifest.add(replace(kept(number), **seen))
    manifest.flush()


def test_takes_of_this_run_are_what_a_forecast_rests_on(tmp_path, capsys):
    rendered(tmp_path, [20.0, 40.0, 20.0, 40.0])
    assert measured(str(tmp_path)) == {
        "previz": Timing(4, 30.0, "NVIDIA H100", pytest.approx(1 / 3), 4.0, 0.5)
    }
    found = simulated(tmp_path, capsys, "--set", "prices.H100=2")
    assert (
        "previz: a take 30.0 s, from 4 takes of this run on NVIDIA H100; loading 1 s, assumed"
        in found["rests_on"]
    )
    assert any("50%, measured" in line for line in found["rests_on"]) and found["cost_usd"][0] > 0


def test_a_plan_has_a_forecast_as_soon_as_takes_were_measured(tmp_path, capsys):
    assert simulated(tmp_path, capsys, command="plan")["forecast"] is None
    rendered(tmp_path, [20.0, 40.0])
    priced = ("--set", "prices.H100=2")
    ahead = simulated(tmp_path, capsys, *priced, command="plan")["forecast"]
    assert ahead["wall_s"][1] > 30 and ahead["cost_usd"][1] > 0
    assert call(["plan", "jobs/demo.yaml", "--set", f"output={tmp_path}", *priced]) == DONE
    assert "forecast of the whole job: " in capsys.readouterr().out


def test_simulating_loads_neither_ray_nor_torch():
    program = (
        "import sys, farm.simulate, farm.report.simulate_table\n"
        "print([m for m in ('ray', 'torch', 'diffusers', 'transformers', 'cv2') if m in sys.modules])"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"
