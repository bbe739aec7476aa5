"""Small real runs for end-to-end tests: photographs cut small, few frames, everything else as in earnest."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset
import yaml
from PIL import Image

STILLS = Path(__file__).parents[2] / "jobs" / "stills"

# What may differ between two runs of one job: where, when and how often, never what.
PLACE_AND_TIME = (
    "attempt", "render_s", "finish_s", "wait_s", "worker", "node", "accelerator", "cost_usd", "started_at",
    "finished_at", "fingerprint",
)  # fmt: skip


def write_stills(folder: Path, count: int = 2, size: tuple[int, int] = (160, 120)) -> Path:
    """`count` photographs, cut to `size`."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, path in enumerate(sorted(STILLS.glob("*.[jp][pn]g"))[:count]):
        with Image.open(path) as image:
            image.convert("RGB").resize(size).save(folder / f"still{number}.png")
    return folder


def write_job(folder: Path, **changes: Any) -> Path:
    """A job of two stills and two motions, 16 frames a take; `changes` replace its keys."""
    job: dict[str, Any] = {
        "name": "small",
        "stills": str(folder / "stills"),
        "motions": [
            {"id": "push", "prompt": "a slow push-in", "camera": "push-in"},
            {"id": "wind", "prompt": "hair moves in a light wind", "ambient": ["sway"]},
        ],
        "models": ["previz"],
        "takes": {"min": 2, "max": 3},
        "render": {"frames": 16},
        "trim": {"seconds": 0.5},
        "score": {"accept": 0.3},
        "output": str(folder / "run"),
        "workers": {"max": 2},
    } | changes
    if not (folder / "stills").exists():
        write_stills(folder / "stills")
    path = folder / "job.yaml"
    path.write_text(yaml.safe_dump(job, sort_keys=False))
    return path


def farm(
    *arguments: str | Path, timeout_s: float = 240, **options: Any
) -> "subprocess.CompletedProcess[str]":
    """The command as a person calls it, in a process of its own."""
    command = [sys.executable, "-m", "farm", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, **options)


def takes(run: Path) -> pa.Table:
    return pyarrow.dataset.dataset(run / "takes", format="parquet").to_table().sort_by("take_id")


def essence(run: Path) -> list[dict[str, Any]]:
    """The takes manifest without columns of time and place."""
    table = takes(run)
    return list(
        table.drop_columns([name for name in PLACE_AND_TIME if name in table.column_names]).to_pylist()
    )


def job_json(run: Path) -> dict[str, Any]:
    return dict(json.loads((run / "job.json").read_text()))
