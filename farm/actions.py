"""What each command does, once its arguments are read: calls its room, prints what came of it, gives the exit code.

Invariant: each imports what it needs when it is called, so that help is instant.
"""

import argparse
import json
import os
import sys
from collections.abc import Sequence

from farm.errors import BrokenFarm, InputError, TakeError

DONE, SHORT, BAD_INPUT, BROKEN, INTERRUPTED = 0, 1, 2, 3, 130


def run(options: argparse.Namespace) -> int:
    from farm.run import run_job
    from farm.spec import read_job

    job = read_job(options.job, options.set)
    address = options.address or os.environ.get("RAY_ADDRESS") or None
    if options.address and options.pool == "inline":
        raise InputError("--address: the inline pool has no cluster; leave out --pool inline")
    clean = run_job(job, options.job, pool=options.pool, address=address, as_json=options.json)
    return DONE if clean else SHORT


def plan(options: argparse.Namespace) -> int:
    from dataclasses import asdict

    from rich.console import Console

    from farm.plan.estimate import estimate
    from farm.plan.planning import make_plan
    from farm.plan.timings import measured
    from farm.redact import redact
    from farm.report.plan_table import show
    from farm.simulate import QUICK_WORK, forecast
    from farm.spec import read_job

    job = read_job(options.job, options.set)
    plan = make_plan(job, options.job)
    _warn(plan.warnings)
    timings = measured(job.output)
    known = all(model.name in timings for model in plan.grid.models)
    ahead = forecast(plan, timings, work=QUICK_WORK) if known else None
    found = estimate(plan, timings, output=redact(job.output), forecast=ahead)
    if options.json:
        _print_json(asdict(found))
    else:
        show(Console(), found)
    return DONE


def simulate(options: argparse.Namespace) -> int:
    from dataclasses import asdict

    from rich.console import Console

    from farm.plan.planning import make_plan
    from farm.plan.timings import measured
    from farm.report.simulate_table import show
    from farm.simulate import forecast
    from farm.spec import read_job

    sized = [f"workers.max={options.workers}"] if options.workers is not None else []
    job = read_job(options.job, [*options.set, *sized])
    plan = make_plan(job, options.job)
    _warn(plan.warnings)
    timings = measured(job.output)
    found = forecast(plan, timings, nights=options.nights, seed=options.seed, settings=options.world)
    if options.json:
        _print_json(asdict(found))
    else:
        show(Console(), found)
    return DONE


def status(options: argparse.Namespace) -> int:
    from farm.status import show_status

    show_status(options.run, as_json=options.json)
    return DONE


def replay(options: argparse.Namespace) -> int:
    from farm.replay import replay
    from farm.report.console import Terminal
    from farm.report.replay_table import show

    found = replay(options.run, options.take, options.clip)
    if options.json:
        _print_json(found.as_json())
    else:
        show(Terminal(), found.as_json())
    return SHORT if found.verdict == "different" else DONE


def verify(options: argparse.Namespace) -> int:
    from contextlib import nullcontext

    from farm.clock import SystemClock
    from farm.report.console import Terminal
    from farm.report.verify_table import show, watching
    from farm.store.blobs import Blobs
    from farm.store.lease import held
    from farm.verify.repair import repair
    from farm.verify.scan import scan

    if options.delete_orphans and not options.repair:
        raise InputError("--delete-orphans: is part of a repair; add --repair")
    blobs, clock = Blobs.open(options.run), SystemClock()
    owned = held(blobs, clock, lambda line: print(line, file=sys.stderr)) if options.repair else nullcontext()
    with owned as lease, watching() as shown:

        def watch(done: int, of: int) -> None:
            shown(done, of)
            if lease is not None:
                lease.check()  # says, too, that a long look is no hanging driver

        found = scan(blobs, decode=options.decode, watch=watch)
        if lease is not None:
            found = repair(blobs, found, clock, lease.check, delete_orphans=options.delete_orphans)
    if options.json:
        _print_json(found.as_json())
    else:
        show(Terminal(), found.as_json(), repaired=options.repair)
    return SHORT if found.left else DONE


def score(options: argparse.Namespace) -> int:
    from fractions import Fraction

    from rich.console import Console

    from farm.clips import cut, judge
    from farm.report.clips_table import show
    from farm.score import panel

    if options.character and options.faces is False:
        raise InputError("--character: without faces nothing is compared with it; leave out --no-faces")
    # Who shows a character asks for faces.
    faces = True if options.character else options.faces
    scoring = panel.resolve(options.accept, faces, options.learned)
    judged = judge(
        options.clips,
        panel.scorer(scoring),
        still=options.still,
        character=options.character,
        seconds=options.seconds,
        accept=options.accept,
        frame_rate=Fraction(options.fps).limit_denominator(1001),
    )
    written = cut(judged, options.cut) if options.cut else []
    if options.json:
        _print_json({"clips": [one.as_json() for one in judged]})
    else:
        show(Console(), [one.as_json() for one in judged], written)
    return DONE


def models(options: argparse.Namespace) -> int:
    from rich.console import Console

    from farm.models import listed, show_list

    if options.action:
        return check_model(options)
    if options.set:
        raise InputError("--set: is for 'farm models check NAME'")
    families = listed()
    if options.json:
        _print_json({"models": families})
    else:
        show_list(Console(), families)
    return DONE


def check_model(options: argparse.Namespace) -> int:
    from dataclasses import asdict

    from rich.console import Console

    from farm.clock import SystemClock
    from farm.models import check, show_check
    from farm.spec import model_of

    if options.name is None:
        raise InputError("models check: which model? give its name, such as previz or wan2.1-i2v")
    try:
        checked = check(model_of(options.name, options.set), SystemClock())
    except TakeError as e:
        raise BrokenFarm(str(e)) from e
    _warn(checked.warnings)
    if options.json:
        _print_json(asdict(checked))
    else:
        show_check(Console(), checked)
    return DONE


def _print_json(value: object) -> None:
    print(json.dumps(value, indent=2, ensure_ascii=False))


def _warn(lines: Sequence[str]) -> None:
    for line in lines:
        print(f"warning: {' '.join(line.split())}", file=sys.stderr)
