"""Models of real size on a GPU, the farm beside a plain loop: `make bench-gpu` (ARGS="--model ltx-video --takes 2").

Random weights of the published shapes (tests/gpu/real_size.py): what is rendered is noise, the work is real, apart from
the text encoder, which is small. The same frames on both sides are checked. "rendering" is the share of the wall time
in which the farm renders; nvidia-smi's figure, where there is one, is of the same time. Nothing is warm but one take.
`--device cpu --tiny` goes the same way with small numbers anywhere.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

import real_size
import torch
from renders import Spent, Subject, measure, prepare, quiet, table


def main() -> None:
    asked = _arguments()
    quiet()
    if asked.device == "cuda" and not torch.cuda.is_available():
        raise SystemExit("torch sees no CUDA device here; --device cpu --tiny tries the bench itself")
    if asked.device == "cpu":
        torch.set_num_threads(1)
    told = [report(name, asked) for name in asked.model or real_size.REAL_SIZE]
    if asked.json:
        print(json.dumps(told, indent=2))


def report(name: str, asked: argparse.Namespace) -> dict[str, object]:
    """One model, measured and printed; the same as plain values."""
    with tempfile.TemporaryDirectory(prefix="bench-gpu-", dir=asked.folder) as folder:
        home = Path(folder)
        began_s = time.perf_counter()
        real_size.save(name, home / "model", device=asked.device, tiny=asked.tiny)
        build_s = time.perf_counter() - began_s
        subject = subject_of(name, home / "model", asked)
        gib = sum(path.stat().st_size for path in subject.folder.rglob("*.safetensors")) / 2**30
        job = prepare(home, subject, stills=asked.stills, motions=asked.motions, takes=asked.takes)
        rows = measure(subject, job, asked.repeats)
    facts = {
        "model": name, "device": machine(asked.device), "torch": torch.__version__, "gib": gib, "build_s": build_s,
        "takes": asked.stills * asked.motions * asked.takes, "frames": subject.frames, "size": subject.size,
        "steps": subject.steps,
    }  # fmt: skip
    if not asked.json:
        print(_heading(facts))
        by = f"each the best of {asked.repeats} passes, each after a warm-up; every frame equals the loop's"
        print(table(rows, by=by))
        print(_ratios(rows))
    return facts | {"rows": [row.plain() for row in rows]}


def subject_of(name: str, folder: Path, asked: argparse.Namespace) -> Subject:
    model = real_size.REAL_SIZE[name]
    size, frames, steps = ((64, 64), 9, 2) if asked.tiny else (model.size, model.frames, model.steps)
    return Subject(name, folder, size, asked.frames or frames, asked.steps or steps, asked.device)


def machine(device: str) -> str:
    return "CPU" if device == "cpu" else torch.cuda.get_device_name()


def _heading(facts: dict[str, object]) -> str:
    width, height = facts["size"]  # type: ignore[misc]
    return (
        f"{facts['model']} on {facts['device']}, torch {facts['torch']}: {facts['takes']} takes, {facts['frames']} "
        f"frames {width}x{height}, {facts['steps']} steps; {facts['gib']:.1f} GiB of weights, built and saved in "
        f"{facts['build_s']:.0f} s"
    )


def _ratios(rows: list[Spent]) -> str:
    loop, whole = rows[0], rows[-1]  # the last: finishing beside the next render, as the pools do
    return (
        f"throughput of whole takes: {loop.wall_s / whole.wall_s:.3f} of the loop's renders; "
        f"it renders {whole.busy or 0.0:.1%} of the time"
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="The farm beside a plain loop, on models of real size.")
    parser.add_argument("--model", action="append", choices=sorted(real_size.REAL_SIZE), help="default: all")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--tiny", action="store_true", help="the same with small numbers")
    parser.add_argument("--stills", type=int, default=2)
    parser.add_argument("--motions", type=int, default=2)
    parser.add_argument("--takes", type=int, default=2, help="seeds of a still and a motion")
    parser.add_argument(
        "--repeats", type=int, default=1, help="passes over all takes, of which the best counts"
    )
    parser.add_argument("--frames", type=int, help="default: the publisher's")
    parser.add_argument("--steps", type=int, help="default: the publisher's")
    parser.add_argument(
        "--folder", type=Path, help="where the weights go for a while; default: the system's own"
    )
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    main()
