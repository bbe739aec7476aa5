"""Every checked-in job is read and planned by the real code, from the folder in which a person starts it."""

from pathlib import Path

import pytest

from farm.errors import InputError
from farm.plan.planning import make_plan
from farm.render.families import FAMILIES
from farm.spec import read_job

ROOT = Path(__file__).parents[2]
JOBS = sorted((ROOT / "jobs").glob("*.yaml"))
NEEDS_A_PATH = {"framepack-i2v"}


@pytest.fixture(autouse=True)
def at_the_root(monkeypatch):
    monkeypatch.chdir(ROOT)


@pytest.mark.parametrize(
    "path", [path for path in JOBS if path.stem not in NEEDS_A_PATH], ids=lambda path: path.stem
)
def test_a_job_is_planned(path):
    job = read_job(path.relative_to(ROOT))
    plan = make_plan(job, path.relative_to(ROOT))
    assert plan.catalog.count() == 5 and plan.grid.shots >= 5
    assert job.name == path.stem and job.output == f"runs/{path.stem}"
    for model in plan.grid.models:
        family = FAMILIES[model.family]
        assert model.frames / model.fps >= job.trim.seconds, "a take is longer than its clip"
        assert family.takes_text or len(plan.grid.motions) == 1, "it would render each take once a motion"


@pytest.mark.parametrize("name", sorted(NEEDS_A_PATH))
def test_a_job_without_a_checkpoint_asks_for_one(name, tiny):
    path = Path("jobs") / f"{name}.yaml"
    with pytest.raises(InputError, match=f"{name} has no checkpoint of its own; give a path"):
        make_plan(read_job(path), path)
    given = [f"models=[{{name: {name}, path: {tiny(name)}}}]"]
    assert make_plan(read_job(path, given), path).grid.models[0].path == str(tiny(name))


def test_every_published_family_has_a_job_of_its_own():
    published = {name for name, row in FAMILIES.items() if row.repo} | NEEDS_A_PATH
    assert published <= {path.stem for path in JOBS}


def test_priced_jobs_have_a_budget():
    for path in JOBS:
        job = read_job(path)
        assert not job.prices or (job.budget.usd and job.budget.hours), path
