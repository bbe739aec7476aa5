"""What takes of a run took, read from its manifest: what an estimate rests on."""

import pyarrow as pa
import pyarrow.compute as pc

from farm.plan.estimate import Timing
from farm.store.blobs import Blobs
from farm.store.manifest import read_takes

_COLUMNS = ("model", "accelerator", "render_s")


def measured(output: str) -> dict[str, Timing]:
    """By model name: the takes under `output` that were rendered, on the accelerator that rendered most of them.

    Empty where nothing is there yet. Raises InputError for a URL that cannot be used, StoreError.
    """
    batches = list(read_takes(Blobs.open(output), _COLUMNS))
    if not batches:
        return {}
    rows = pa.Table.from_batches(batches)
    rows = rows.filter(pc.is_valid(rows["render_s"]))
    grouped = rows.group_by(["model", "accelerator"]).aggregate([("render_s", "count"), ("render_s", "mean")])
    found: dict[str, Timing] = {}
    for row in grouped.to_pylist():
        timing = Timing(row["render_s_count"], row["render_s_mean"], row["accelerator"])
        if row["model"] not in found or found[row["model"]].takes < timing.takes:
            found[row["model"]] = timing
    return found
