"""The farm beside a plain loop over the same diffusers pipeline, take by take: what both benches of rendering measure.

Invariant: no figure is printed unless every frame of the farm's back-end is the loop's, to the last bit. Each side
loads its own pipeline from the same folder and has rendered a take, of another still, before its time starts.
"""

import gc
import json
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pyarrow.compute as pc
import pyarrow.dataset
import torch
import transformers
import yaml
from PIL import Image
from tiny_bare import loaded, plain

from farm.catalog.stills import decode
from farm.clock import SystemClock
from farm.dispatch.placement import AHEAD
from farm.ids import sha256_hex
from farm.plan.planning import Plan, make_plan
from farm.render.families import backend
from farm.spec import read_job
from farm.store import layout
from farm.store.blobs import Blobs
from farm.store.manifest import decode_outcome
from farm.values import Frames, Pixels, Status, Still, Task
from farm.worker import Bench, Worker

PHOTOGRAPHS = Path(__file__).parents[2] / "jobs" / "stills"
MOTIONS = (
    "push-in",
    "pan-left",
    "tilt-up",
    "orbit-right",
    "hair-in-wind",
    "soft-smile",
    "breathing",
    "pull-out",
)


@dataclass(frozen=True)
class Subject:
    """What is rendered: a checkpoint's folder, and (width, height), frames and steps of a take."""

    family: str
    folder: Path
    size: tuple[int, int]
    frames: int
    steps: int
    device: str = "cpu"
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Spent:
    """Seconds of each take of a pass, of its mean take where takes overlap; `load_s` of loading, where it was timed."""

    name: str
    walls_s: tuple[float, ...]
    cpus_s: tuple[float, ...]
    load_s: float | None = None
    busy: float | None = None
    gpu_percent: float | None = None

    @property
    def wall_s(self) -> float:
        return sum(self.walls_s) / len(self.walls_s)

    @property
    def cpu_s(self) -> float:
        return sum(self.cpus_s) / len(self.cpus_s)

    def plain(self) -> dict[str, object]:
        return {
            "name": self.name, "wall_s": self.wall_s, "cpu_s": self.cpu_s, "load_s": self.load_s, "busy": self.busy,
            "gpu_percent": self.gpu_percent,
        }  # fmt: skip


def prepare(home: Path, subject: Subject, *, stills: int, motions: int, takes: int) -> Path:
    """A job of that subject in `home`, and its stills, cut to the frame so that fitting them changes nothing."""
    if not 1 <= motions <= len(MOTIONS):
        raise SystemExit(f"motions={motions}: expected 1 to {len(MOTIONS)}")
    photographs = sorted(PHOTOGRAPHS.glob("*.[jp][pn]g"))
    if not 1 <= stills < len(photographs):
        raise SystemExit(f"stills={stills}: expected 1 to {len(photographs) - 1}")
    (home / "stills").mkdir(parents=True)
    for path in photographs[:stills]:
        _cut(path, subject.size, home / "stills" / f"{path.stem}.png")
    _cut(photographs[stills], subject.size, home / "warm.png")
    width, height = subject.size
    model = {
        "name": "measured",
        "family": subject.family,
        "path": str(subject.folder),
        "device": subject.device,
    }
    job = {
        "name": "bench", "stills": str(home / "stills"), "motions": list(MOTIONS[:motions]),
        "models": [model | subject.options], "takes": {"min": takes, "max": takes},
        "render": {"frames": subject.frames, "size": f"{width}x{height}", "steps": subject.steps},
        "trim": {"seconds": 2.0}, "score": {"faces": False}, "output": str(home / "run"),
        "workers": {"max": 1, "gpus": 0 if subject.device == "cpu" else 1},
    }  # fmt: skip
    path = home / "job.yaml"
    path.write_text(yaml.safe_dump(job, sort_keys=False))
    return path


def _cut(path: Path, size: tuple[int, int], to: Path) -> None:
    with Image.open(path) as image:
        image.convert("RGB").resize(size).save(to)


class Measured:
    """One subject's plan, and the passes over all of its takes."""

    def __init__(self, subject: Subject, job: Path) -> None:
        self.subject = subject
        self.plan: Plan = make_plan(read_job(job), job)
        self._home = job.parent
        self.pixels: dict[str, Pixels] = {}
        self.tasks: list[Task] = []
        for number, still in enumerate(self.plan.catalog.stills()):
            data = Path(still.uri).read_bytes()
            self.pixels[still.uri] = decode(data)
            for shot in range(
                number * self.plan.grid.shots_per_still, (number + 1) * self.plan.grid.shots_per_still
            ):
                for take in range(self.plan.job.takes.max):
                    self.tasks.append(self.plan.grid.task(shot, take, still, sha256_hex(data)))
        warm = (self._home / "warm.png").read_bytes()
        still = Still("warm", str(self._home / "warm.png"), "warm")
        self.pixels[still.uri] = decode(warm)
        self.warm_up = replace(
            self.tasks[0], take_id="f" * 32, still=still, still_sha256=sha256_hex(warm), prompt="warming up"
        )

    def loop(self, *, warm: bool = True) -> tuple[Spent, list[Frames]]:
        """The plain loop, and what it renders."""
        subject = self.subject
        began_s = time.perf_counter()
        pipe = loaded(subject.family, subject.folder, subject.device)
        load_s = time.perf_counter() - began_s
        render = plain(
            pipe, subject.family, frames=subject.frames, size=subject.size, steps=subject.steps,
            options=subject.options,
        )  # fmt: skip

        def one(task: Task) -> Frames:
            return render(self.pixels[task.still.uri], task.prompt, task.seed)

        if warm:
            one(self.warm_up)
        spent, frames = self._pass("plain loop over the pipeline", one)
        return replace(spent, load_s=load_s), frames

    def farm(self, expected: Sequence[Frames], *, reuse: bool) -> Spent:
        """The farm's back-end alone. Raises SystemExit at the first take whose frames are not those expected."""
        began_s = time.perf_counter()
        resident = backend(self.plan.grid.models[0])
        resident.load()
        load_s = time.perf_counter() - began_s
        if not reuse:
            resident.conditioning.detach()  # type: ignore[attr-defined]

        def one(task: Task) -> Frames:
            return resident.render(self.pixels[task.still.uri], task, lambda done, total: None)

        one(self.warm_up)
        spent, rendered = self._pass("backend.render" if reuse else "backend.render, nothing reused", one)
        for task, frames, wanted in zip(self.tasks, rendered, expected, strict=True):
            if not np.array_equal(frames, wanted):
                raise SystemExit(
                    f"{task.still.id}, {task.motion.id}, seed {task.seed}: other frames than the loop's"
                )
        resident.close()
        return replace(spent, load_s=load_s)

    def takes(self, threads: int) -> Spent:
        """Whole takes through the farm's worker, into a fresh store."""
        output = str(self._home / f"takes-{threads}-{secrets.token_hex(4)}")
        job = self.plan.job
        bench = Bench(output, self.plan.grid.models, job.trim.seconds, self.plan.scoring, 0, {})
        worker = Worker("bench", bench, SystemClock())
        worker.load()
        worker.take(self.warm_up, 1)
        with ThreadPoolExecutor(threads) as pool, watched_gpu(self.subject.device) as percents:
            began_s, began_cpu_s = time.perf_counter(), time.process_time()
            list(pool.map(lambda task: worker.take(task, 1), self.tasks))
            wall_s, cpu_s = time.perf_counter() - began_s, time.process_time() - began_cpu_s
        worker.close()
        blobs = Blobs.open(output)
        outcomes = [decode_outcome(blobs.get(layout.outcome_key(task.take_id))) for task in self.tasks]
        if failed := next((one for one in outcomes if one.status is Status.FAILED), None):
            raise SystemExit(f"a take failed: {failed.reason}")
        name = (
            "whole takes, finishing beside the next render"
            if threads > 1
            else "whole takes, one after another"
        )
        busy = sum(one.render_s or 0.0 for one in outcomes) / wall_s
        percent = sum(percents) / len(percents) if percents else None
        return Spent(name, (wall_s / len(outcomes),), (cpu_s / len(outcomes),), None, busy, percent)

    def _pass(self, name: str, one: Callable[[Task], Frames]) -> tuple[Spent, list[Frames]]:
        frames, walls_s, cpus_s = [], [], []
        for task in self.tasks:
            began_s, began_cpu_s = time.perf_counter(), time.process_time()
            frames.append(one(task))
            walls_s.append(time.perf_counter() - began_s)
            cpus_s.append(time.process_time() - began_cpu_s)
        return Spent(name, tuple(walls_s), tuple(cpus_s)), frames


def quiet() -> None:
    for library in (diffusers, transformers):
        library.utils.logging.disable_progress_bar()
        library.utils.logging.set_verbosity_error()


def measure(subject: Subject, job: Path, repeats: int) -> list[Spent]:
    """Each way's best of so many passes, take by take; the loop first, which is what all else is a ratio to.

    Passes take turns, so that whatever the machine does meanwhile, or the process learns, favours nobody.
    """
    measured = Measured(subject, job)
    best: dict[str, Spent] = {}
    for _ in range(repeats):
        loop, frames = measured.loop()
        ways: list[Callable[[], Spent]] = [
            partial(measured.farm, frames, reuse=False),
            partial(measured.farm, frames, reuse=True),
            partial(measured.takes, 1),
            partial(measured.takes, AHEAD),
        ]
        for spent in (loop, *(alone(way, subject.device) for way in ways)):
            best[spent.name] = _faster(best.get(spent.name, spent), spent)
    return list(best.values())


def alone(way: Callable[[], Spent], device: str) -> Spent:
    """A pipeline goes in circles: until they are collected, the next one would have to fit beside it."""
    gc.collect()
    if device != "cpu":
        torch.cuda.empty_cache()
    return way()


def table(rows: Sequence[Spent], *, by: str) -> str:
    """Seconds of a take and their ratio to the first row's, in CPU or wall time where that is what counts."""
    lines = [
        f"{'':48s} {'CPU-s':>7s} {'ratio':>6s} {'wall s':>7s} {'ratio':>6s} {'load s':>7s} {'rendering':>9s}"
    ]
    first = rows[0]
    for row in rows:
        lines.append(
            f"{row.name:48s} {row.cpu_s:7.3f} {row.cpu_s / first.cpu_s:5.2f}x {row.wall_s:7.3f} "
            f"{row.wall_s / first.wall_s:5.2f}x {_or_dash(row.load_s, '7.1f')} {_or_dash(row.busy, '9.0%')}"
        )
        if row.gpu_percent is not None:
            lines.append(f"{'  GPU in use, by nvidia-smi':48s} {row.gpu_percent:.0f}%")
    return "\n".join([*lines, f"seconds a take; {by}"])


def _or_dash(value: float | None, form: str) -> str:
    return format("-", f">{form.split('.')[0]}") if value is None else format(value, form)


def _faster(one: Spent, other: Spent) -> Spent:
    """The least of each take: whoever else is on the machine disturbs now this one, now that."""
    walls_s = tuple(map(min, one.walls_s, other.walls_s))
    return replace(
        min(one, other, key=lambda spent: spent.wall_s),
        walls_s=walls_s,
        cpus_s=tuple(map(min, one.cpus_s, other.cpus_s)),
    )


@contextmanager
def watched_gpu(device: str) -> Iterator[list[float]]:
    """What nvidia-smi says within it of the GPU's use in percent, twice a second; empty where there is none."""
    percents: list[float] = []
    command = shutil.which("nvidia-smi")
    if device == "cpu" or command is None:
        yield percents
        return
    asked = [
        command,
        "--query-gpu=utilization.gpu",
        "--format=csv,noheader,nounits",
        "--loop-ms=500",
        "--id=0",
    ]
    with subprocess.Popen(asked, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield percents
        finally:
            process.terminate()
            percents += numbers(process.communicate()[0])


def numbers(text: str) -> list[float]:
    """The lines that are numbers; a driver that cannot tell says [N/A]."""
    return [float(line) for line in text.split() if line.replace(".", "", 1).isdigit()]


def farm_run(job: Path, takes: int) -> tuple[float, float]:
    """(wall seconds of `farm run --pool inline`, seconds from its first take's start to its last one's end)."""
    began_s = time.perf_counter()
    told = subprocess.run(
        [sys.executable, "-m", "farm", "run", str(job), "--pool", "inline"], capture_output=True, text=True
    )
    wall_s = time.perf_counter() - began_s
    summary = job.parent / "run" / "summary.json"
    if not summary.exists() or json.loads(summary.read_text())["takes"] != takes:
        raise SystemExit(f"farm run: {told.returncode}: {told.stderr}")
    return wall_s, steady_s(job.parent / "run")


def steady_s(run: Path) -> float:
    """Seconds from the first take's start to the last one's end."""
    takes = pyarrow.dataset.dataset(run / "takes", format="parquet").to_table(["started_at", "finished_at"])
    began, ended = pc.min(takes["started_at"]).as_py(), pc.max(takes["finished_at"]).as_py()
    return float((ended - began).total_seconds())
