"""From a job to a plan: the motions, the models and the counted catalog, as a grid.

Invariant: a plan is made before anything is written or rendered; whatever is wrong with a job is found here.
"""

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from farm.catalog.motions import load_motions
from farm.catalog.sources import Catalog, open_catalog
from farm.errors import InputError
from farm.plan.grid import Grid
from farm.render.families import chosen, warnings
from farm.score import panel
from farm.spec import Job
from farm.store.rows import takes_schema
from farm.store.stills import stills_schema
from farm.values import Scoring

# Columns of takes and stills; a catalog's own column of such a name is carried as `catalog_<name>` to both.
RESERVED = frozenset([*takes_schema((), pa.schema([])).names, *stills_schema(pa.schema([])).names])


@dataclass(frozen=True, slots=True)
class Plan:
    job: Job
    catalog: Catalog
    grid: Grid
    extra: pa.Schema  # the catalog's extra columns, which are carried to the manifest
    gpus_per_worker: float
    scoring: Scoring
    warnings: tuple[str, ...] = ()  # what a person should know before the run, one line each


def make_plan(job: Job, job_path: Path) -> Plan:
    """Raises InputError for motions, models, scorers or a catalog that cannot be used."""
    where = str(job_path)
    specs = job.model_specs()
    resolved = [chosen(spec, job.render, where=where, base=job_path.parent) for spec in specs]
    models = tuple(model for model, _ in resolved)
    names = [model.name for model in models]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise InputError(f"{where}: models: {twice!r} stands twice; give one of them another name")
    motions = load_motions(job.motions, where=where, base=job_path.parent)
    catalog = open_catalog(job.stills, base=job_path.parent, reserved=RESERVED)
    grid = Grid(catalog.count(), motions, models, job.takes.max, job.takes.seed)
    folders = [job_path.parent / folder for folder in job.score.learned]
    scoring = panel.resolve(job.score.accept, job.score.faces, folders)
    gpus = job.workers.gpus
    if gpus is None:
        gpus = max(family.gpus for _, family in resolved)
    told = tuple(line for model, family in resolved for line in warnings(model, family))
    return Plan(job, catalog, grid, catalog.extra_columns, gpus, scoring, told)
