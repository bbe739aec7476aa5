"""The composition root: wires one run from a job.

Invariants
- Nothing is written before the job, its catalog and its output were checked; after that, whatever ends the run, the
  same command goes on with what is missing.
- What is missing is read, and what is made is recorded, by the driver that holds the run's lease.
"""

import json
import secrets
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import FrameType

import pyarrow as pa
from rich.console import Console
from rich.text import Text

from farm import __version__
from farm.bench import Bench
from farm.catalog.characters import StillLook
from farm.clock import SystemClock
from farm.dispatch.driver import Driver
from farm.dispatch.events import Finish
from farm.dispatch.gate import Gate
from farm.dispatch.ledger import Ledger, Limits
from farm.dispatch.pool import Pool
from farm.dispatch.takes import TakesRule
from farm.errors import BrokenFarm, InputError, Interrupted, StoreError
from farm.ids import canonical, model_identity
from farm.plan.enlarging import warning_look
from farm.plan.planning import Plan, make_plan
from farm.record import RunRecord, begun_with, close_run, spent_before
from farm.recovery import Recovered, recover
from farm.redact import redact
from farm.render.families import check_here
from farm.report.console import Terminal
from farm.report.progress import Progress
from farm.report.summary import Summary, plain, show
from farm.report.tally import Tally
from farm.score import panel
from farm.spec import Job
from farm.store import layout
from farm.store.blobs import Blobs
from farm.store.lease import TERM_S, Lease, held
from farm.store.manifest import Manifest, takes_schema
from farm.values import Model
from farm.worker import Worker

# What decides which takes there are and what becomes of them: fixed for the life of a run.
_DECISIVE = ("motions", "models", "takes", "score", "trim")


def run_job(
    job: Job, job_path: Path, *, pool: str, address: str | None, as_json: bool, term_s: float = TERM_S
) -> bool:
    """Runs a job to its end; True when every shot has its take and no take failed.

    `term_s` is how long a driver that is not heard of counts as alive. Raises InputError before anything is written,
    also where another driver runs this job; Interrupted and BrokenFarm when it can be resumed, StoreError.
    """
    console = Terminal(stderr=as_json)
    clock = SystemClock()
    plan = make_plan(job, job_path)
    for line in plan.warnings:
        console.print(Text(f"warning: {line}"), soft_wrap=True)
    if pool != "inline" and job.output.startswith("memory:"):
        raise InputError(f"{job_path}: output={job.output}: lives in one process only; use --pool inline")
    blobs = Blobs.open(job.output)
    blobs.check_writable()
    description = describe(plan)
    # Before anything is written: a column of the catalog may have a name that a score has.
    schema = takes_schema(panel.dimensions(plan.scoring), plan.extra)
    holding = held(blobs, clock, lambda line: console.print(Text(line), soft_wrap=True), term_s)
    rule = TakesRule(job.takes.min, job.takes.max, job.takes.policy, plan.scoring.accept)
    with ExitStack() as to_the_end:
        begun: _Begun | None = None
        if _check_same(blobs, description, job_path):
            begun = _begun(plan, schema, blobs, clock, to_the_end.enter_context(holding))
        if begun is not None and begun.known.board.is_done(rule):
            finish, spent_usd = Finish("done"), begun.known.spent_usd
        else:
            if address is None or pool == "inline":
                # Else the workers' machines are others, and what they cannot do is said when they load.
                for model in plan.grid.models:
                    check_here(model)
            with _workers(pool, address, plan, clock) as workers:
                if begun is None:
                    lease = to_the_end.enter_context(holding)
                    # Another driver may have begun this run, and even ended it, since we looked.
                    if not _check_same(blobs, description, job_path):
                        blobs.create(
                            layout.JOB, json.dumps(description, indent=2, ensure_ascii=False).encode()
                        )
                    begun = _begun(plan, schema, blobs, clock, lease)
                finish, spent_usd = _drive(plan, begun, rule, workers, blobs, console, clock)
        check = begun.lease.check
        summary = close_run(blobs, job.name, plan.grid.pairs, spent_usd, finish.reason, check)
    if stopped := begun.known.board.stopped(rule):
        console.print(f"{stopped} shots got fewer than takes.max={rule.max}: another take was not worth it")
    _report(console, summary, finish, blobs, as_json_too=as_json)
    return summary.is_clean and finish.reason == "done"


@dataclass(frozen=True, slots=True)
class _Begun:
    """A run whose lease is ours, and what it has."""

    lease: Lease
    manifest: Manifest
    known: Recovered


def _begun(plan: Plan, schema: pa.Schema, blobs: Blobs, clock: SystemClock, lease: Lease) -> _Begun:
    manifest = Manifest(blobs, schema, clock, lease.check)
    known = recover(plan, manifest, blobs)
    return _Begun(lease, manifest, replace(known, spent_usd=max(known.spent_usd, spent_before(blobs))))


def describe(plan: Plan) -> dict[str, object]:
    """The resolved job, as job.json holds it; no secret of a URL is in it."""
    job = plan.job.model_dump(mode="json")
    return {
        "farm_version": __version__,
        **job,
        "stills": redact(plan.job.stills),
        "output": redact(plan.job.output),
        "score": panel.described(plan.scoring),
        "motions": [asdict(motion) for motion in plan.grid.motions],
        "models": [_shown(model) for model in plan.grid.models],
    }


def _shown(model: Model) -> dict[str, object]:
    plain: dict[str, object] = json.loads(canonical(model))
    return plain | {"path": redact(model.path)} if model.path else plain


def _check_same(blobs: Blobs, description: dict[str, object], job_path: Path) -> bool:
    """Whether this run was begun before. Raises InputError when it was begun with another job."""
    before = begun_with(blobs)
    if before is None:
        return False
    for key in _DECISIVE:
        there, here = (canonical(_deciding(key, one)) for one in (before.get(key), description[key]))
        if there != here:
            place = _differing(key, json.loads(there), json.loads(here))
            raise InputError(
                f"{job_path}: {place} is not what {blobs.url}/{layout.JOB} says this run was begun with; a run's job "
                "is fixed: set it back, or give another output"
            )
    return True


def _deciding(key: str, value: object) -> object:
    """What of a job's part decides takes: where a model lies and how it is held may change from night to night."""
    plain = json.loads(canonical(value))
    if key == "takes" and isinstance(plain, dict):
        return {"policy": "ladder"} | plain  # what there was before it had a name
    if key != "models" or not isinstance(plain, list):
        return plain
    return [model_identity(model) if isinstance(model, dict) else model for model in plain]


def _differing(key: str, there: object, here: object) -> str:
    """The place in a job that two differ in: `score.faces` says more than `score`, above all where it was `auto`."""
    if not isinstance(there, dict) or not isinstance(here, dict):
        return key
    places = (f"{key}.{name}" for name in sorted({*there, *here}) if there.get(name) != here.get(name))
    return next(places, key)


@contextmanager
def _workers(kind: str, address: str | None, plan: Plan, clock: SystemClock) -> Iterator[Pool]:
    bench = Bench(
        plan.job.output,
        plan.grid.models,
        plan.job.trim.seconds,
        plan.scoring,
        plan.gpus_per_worker,
        dict(plan.job.prices),
        prompts=len(plan.grid.motions),
    )
    if kind == "inline":
        from farm.dispatch.inline import InlinePool

        pool: Pool = InlinePool(lambda name: Worker(name, bench, clock), clock)
        try:
            yield pool
        finally:
            pool.close()
        return
    from farm.dispatch.ray_pool import RayPool, connected

    cpus, gpus = plan.job.workers.cpus, plan.gpus_per_worker
    with connected(address, cpus=cpus, gpus=gpus) as slots:
        pool = RayPool(bench, cpus=cpus, gpus=gpus, slots=slots, clock=clock)
        try:
            yield pool
        finally:
            pool.close()


def _drive(
    plan: Plan,
    begun: _Begun,
    rule: TakesRule,
    workers: Pool,
    blobs: Blobs,
    console: Console,
    clock: SystemClock,
) -> tuple[Finish, float]:
    job, known, tally = plan.job, begun.known, Tally()
    slots = workers.slots if workers.slots is not None else job.workers.max
    limits = Limits(
        workers=min(job.workers.max, slots),
        usd=job.budget.usd,
        hours=job.budget.hours,
        spent_usd=known.spent_usd,
        gpus_per_worker=plan.gpus_per_worker,
    )
    session = f"{secrets.token_hex(2)}-"
    models = [model.name for model in plan.grid.models]
    ledger = Ledger(known.board, plan.grid.shots_per_still, rule, limits, models=models, session=session)
    record = RunRecord(blobs, begun.manifest, plan.extra, clock, begun.lease.check)
    progress = Progress(console, tally)
    look = warning_look(StillLook(characters=plan.scoring.faces), plan.grid.models)
    gate = Gate(lambda: known.in_order(plan.catalog.stills()), known.guarded(look))
    driver = Driver(
        grid=plan.grid,
        ledger=ledger,
        pool=workers,
        gate=gate,
        record=record,
        clock=clock,
        observers=(tally, progress),
        answers=lambda: _answers(blobs),
        still_ours=begun.lease.still_ours,
    )
    try:
        with _stoppable(driver), progress.shown():
            finish = driver.run()
    finally:
        gate.close()
        record.flush()
    return finish, ledger.standing().spent_usd


def _answers(blobs: Blobs) -> bool:
    """Whether the store is there. Raises StoreError for what does not pass by itself."""
    try:
        blobs.exists(layout.JOB)
    except StoreError as e:
        if not e.passing:
            raise
        return False
    return True


@contextmanager
def _stoppable(driver: Driver) -> Iterator[None]:
    """Ctrl-C, or a machine that is told to stop, ends the run in order while the body runs."""

    def stop(number: int, frame: FrameType | None) -> None:
        driver.stop()

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _report(console: Console, summary: Summary, finish: Finish, blobs: Blobs, *, as_json_too: bool) -> None:
    show(console, summary, where=blobs.url, winners=_place(blobs, layout.SELECTS))
    if as_json_too:
        print(json.dumps(plain(summary) | {"ended": finish.reason}, indent=2, ensure_ascii=False))
    if finish.reason == "budget":
        console.print(Text(f"stopped by the budget: {finish.message}"), soft_wrap=True)
    if finish.reason == "interrupted":
        raise Interrupted(
            f"interrupted after {summary.takes} takes; what is finished is safe, the same command resumes"
        )
    if finish.reason == "broken":
        raise BrokenFarm(finish.message)


def _place(blobs: Blobs, key: str) -> str:
    return f"{blobs.url}/{key}"
