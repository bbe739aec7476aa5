"""The grid: an index space, and back from names to numbers."""

from dataclasses import replace
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from farm.ids import segment, take_id
from farm.plan.grid import Grid, ShotFinder, join_prompts
from farm.values import Model, Motion, Still

MODEL = Model("previz", "previz", "previz-1", 16, Fraction(24), "native")
STILL = Still("s", "file:///s.png", "s.png")
SHA = "ab" * 32


def grid(stills: int, motions: int, models: int, takes: int = 4, seed: int = 0) -> Grid:
    return Grid(
        stills,
        tuple(Motion(f"m{number}", f"motion {number}") for number in range(motions)),
        tuple(replace(MODEL, name=f"model{number}") for number in range(models)),
        takes,
        seed,
    )


@given(st.integers(1, 30), st.integers(1, 7), st.integers(1, 4), st.integers(1, 9), st.integers(0, 99))
def test_every_shot_and_take_is_found_again_by_its_names(stills, motions, models, takes, seed):
    space = grid(stills, motions, models, takes, seed)
    finder = ShotFinder(space, (f"still {number}" for number in range(stills)))
    for shot in range(space.shots):
        still = f"still {space.still_of(shot)}"
        motion, model = space.motion_of(shot).id, space.model_of(shot).name
        for take in (0, takes - 1):
            assert finder.find(still, motion, model, space.seed(take)) == (shot, take)
    assert finder.find("no such still", "m0", "model0", seed) is None
    assert finder.find("still 0", "m0", "model0", seed + takes) is None
    assert finder.find("still 0", "m0", "no such model", seed) is None


def test_ten_million_takes_are_a_few_numbers():
    space = grid(100_000, 25, 1)
    assert space.shots * space.takes_max == 10_000_000
    task = space.task(space.shots - 1, 3, STILL, SHA)
    assert (task.motion.id, task.model.name, task.seed) == ("m24", "model0", 3)


def test_a_take_id_follows_the_content_and_nothing_else():
    task = grid(1, 1, 1).task(0, 0, STILL, SHA)
    same = grid(5, 1, 1).task(
        0, 0, replace(STILL, uri="s3://elsewhere/s.png", where="c.csv:9", extra={"sku": 1}), SHA
    )
    assert task.take_id == same.take_id
    known = {
        "still": STILL,
        "still_sha256": SHA,
        "motion": task.motion,
        "prompt": "p",
        "model": MODEL,
        "seed": 0,
    }
    ids = {
        take_id(**(known | change))
        for change in (
            {},
            {"still": replace(STILL, id="other")},
            {"still_sha256": "cd" * 32},
            {"motion": replace(task.motion, strength=1.5)},
            {"motion": replace(task.motion, camera="pan-left")},
            {"motion": replace(task.motion, ambient=())},
            {"prompt": "q"},
            {"model": replace(MODEL, frames=17)},
            {"model": replace(MODEL, fps=Fraction(24000, 1001))},
            {"model": replace(MODEL, revision="previz-2")},
            {"seed": 1},
        )
    }
    assert len(ids) == 11
    assert take_id(**(known | {"motion": replace(task.motion, kind="hair")})) == take_id(**known), (
        "kind is a label"
    )


@given(st.text(max_size=300), st.text(max_size=300))
def test_two_names_never_share_a_key_and_none_leaves_its_folder(one, other):
    for name in (one, other):
        made = segment(name)
        assert made and len(made.encode()) <= 120 and made not in (".", "..")
        assert "/" not in made and "\\" not in made and not made.startswith((".", "-", "_"))
        assert made.isascii() and made.isprintable()
    if one != other:
        assert segment(one).casefold() != segment(other).casefold()


def test_join_prompts():
    assert join_prompts("A cat on a sill.", "its fur moves") == "A cat on a sill. its fur moves"
    assert join_prompts(None, "its fur moves") == join_prompts("  ", "its fur moves") == "its fur moves"


def test_a_model_is_the_same_wherever_its_weights_lie_and_however_they_are_held():
    known = {
        "still": STILL,
        "still_sha256": SHA,
        "motion": grid(1, 1, 1).motions[0],
        "prompt": "p",
        "seed": 1,
    }
    here = replace(MODEL, revision="local-0123456789ab", path="/models/a")
    there = replace(here, path="s3://models/a", hosting=(("offload", "model"),))
    assert take_id(model=here, **known) == take_id(model=there, **known)
    hub = replace(MODEL, revision="main", path="org/a")
    for other in (
        replace(hub, path="org/b"),
        replace(hub, fit="pad"),
        replace(hub, rendered_fps=Fraction(16)),
    ):
        assert take_id(model=hub, **known) != take_id(model=other, **known)
