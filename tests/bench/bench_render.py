"""What the farm adds to rendering, and what it saves: `make bench-render` (ARGS="--family ltx-video --takes 3 --json").

A tiny random model on one CPU thread, rendered by a plain loop over its diffusers pipeline and by the farm in the same
process: the same frames, which is checked. Then whole runs, each in a process of its own: the loop as a script, and
`farm run --pool inline`. Ratios are to the loop. How much conditioning saves is a matter of how dear it is beside a
step: with these models that is another share than with real ones, while the overhead is the same seconds.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from renders import Measured, Spent, Subject, farm_run, measure, prepare, quiet, table
from tiny_models import TINY, save


def main() -> None:
    asked = _arguments()
    quiet()
    torch.set_num_threads(1)
    if asked.loop_only:
        Measured(_subject(asked, asked.loop_only / "model"), asked.loop_only / "job.yaml").loop(warm=False)
        return
    with tempfile.TemporaryDirectory(prefix="bench-render-") as folder:
        home = Path(folder)
        subject = _subject(asked, save(asked.family, home / "model"))
        job = prepare(home, subject, stills=asked.stills, motions=asked.motions, takes=asked.takes)
        rows = measure(subject, job, asked.repeats)
        takes = asked.stills * asked.motions * asked.takes
        script_s = _script_s(home)
        run_s, steady_s = farm_run(job, takes)
    whole = {"takes": takes, "script_s": script_s, "farm_run_s": run_s, "farm_run_steady_s": steady_s}
    if asked.json:
        print(json.dumps({"rows": [row.plain() for row in rows], "whole": whole}, indent=2))
        return
    print(_heading(asked, subject, takes))
    print(
        table(
            rows, by=f"each the best of {asked.repeats} passes that take turns; every frame equals the loop's"
        )
    )
    print(_whole(rows[0], **whole))


def _heading(asked: argparse.Namespace, subject: Subject, takes: int) -> str:
    width, height = subject.size
    return (
        f"{asked.family}: {takes} takes ({asked.stills} stills x {asked.motions} motions x {asked.takes} seeds), "
        f"{subject.frames} frames {width}x{height}, {subject.steps} steps, one thread"
    )


def _whole(loop: Spent, takes: int, script_s: float, farm_run_s: float, farm_run_steady_s: float) -> str:
    steady = farm_run_steady_s / takes
    return (
        f"from start to end: the loop as a script {script_s:.1f} s, farm run {farm_run_s:.1f} s "
        f"({farm_run_s / script_s:.2f}x), {farm_run_s / takes:.2f} s a take; of these, rendering and finishing "
        f"{farm_run_steady_s:.1f} s, {steady:.2f} s a take ({steady / loop.wall_s:.2f}x)"
    )


def _script_s(home: Path) -> float:
    """Wall seconds of the loop in a process of its own: imports, loading, the warm-up and one pass over all takes."""
    began_s = time.perf_counter()
    subprocess.run(
        [sys.executable, __file__, *sys.argv[1:], "--loop-only", str(home)], check=True, env=os.environ
    )
    return time.perf_counter() - began_s


def _subject(asked: argparse.Namespace, folder: Path) -> Subject:
    tiny = TINY[asked.family]
    return Subject(asked.family, folder, (64, 64), tiny.frames, asked.steps, options=tiny.options)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="The farm beside a plain loop over the same pipeline.")
    parser.add_argument("--family", choices=sorted(TINY), default="wan2.1-i2v")
    parser.add_argument("--stills", type=int, default=2)
    parser.add_argument("--motions", type=int, default=3)
    parser.add_argument("--takes", type=int, default=2, help="seeds of a still and a motion")
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument(
        "--repeats", type=int, default=3, help="passes over all takes, of which the best counts"
    )
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--loop-only", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
