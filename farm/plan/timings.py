"""What takes of a run took, read from its manifest: what an estimate rests on."""

import pyarrow as pa
import pyarrow.compute as pc

from farm.plan.estimate import Timing
from farm.store.blobs import Blobs
from farm.store.manifest import read_takes

_COLUMNS = ("model", "accelerator", "render_s", "finish_s", "accepted")


def measured(output: str) -> dict[str, Timing]:
    """By model name: the takes under `output` that were rendered, on the accelerator that rendered most of them.

    Empty where nothing is there yet. Raises InputError for a URL that cannot be used, StoreError.
    """
    batches = list(read_takes(Blobs.open(output), _COLUMNS))
    if not batches:
        return {}
    rows = pa.Table.from_batches(batches)
    rows = rows.filter(pc.is_valid(rows["render_s"]))
    rows = rows.set_column(
        rows.column_names.index("accepted"), "accepted", pc.cast(rows["accepted"], pa.float64())
    )
    figures = [("render_s", "count"), ("render_s", "mean"), ("render_s", "stddev"), ("finish_s", "mean"),
               ("accepted", "mean")]  # fmt: skip
    found: dict[str, Timing] = {}
    for row in rows.group_by(["model", "accelerator"]).aggregate(figures).to_pylist():
        mean_s = row["render_s_mean"]
        timing = Timing(
            takes=row["render_s_count"],
            render_s=mean_s,
            accelerator=row["accelerator"],
            spread=row["render_s_stddev"] / mean_s if mean_s else 0.0,
            finish_s=row["finish_s_mean"] or 0.0,
            accepted=row["accepted_mean"] or 0.0,
        )
        if row["model"] not in found or found[row["model"]].takes < timing.takes:
            found[row["model"]] = timing
    return found
