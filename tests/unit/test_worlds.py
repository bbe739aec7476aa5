"""What only Kandinsky 5 and Cosmos do: a least number of frames, a safety checker that is a package of its own."""

import dataclasses
import sys

import numpy as np
import pytest
import torch
from tiny_takes import render, resident, still, task, tiny_model
from tiny_worlds import PACKAGE, REFUSED

from farm.errors import InputError, TakeError
from farm.render.families import backend, resolve
from farm.spec import ModelSpec, RenderSpec
from farm.values import Blame

KANDINSKY, COSMOS = "kandinsky5-i2v", ["cosmos1-v2w", "cosmos2-v2w"]


@pytest.fixture(autouse=True)
def threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def frames(**render):
    return resolve(ModelSpec(name=KANDINSKY), RenderSpec(**render), where="job.yaml").frames


def test_kandinsky_renders_17_frames_at_least():
    with pytest.raises(
        InputError, match=r"job.yaml: render.frames=13: kandinsky5-i2v needs at least 17 frames"
    ):
        frames(frames=13)
    assert frames(frames=17) == 17 and frames(frames=21) == 21
    assert frames(seconds=0.1) == 17 and frames(seconds=1) == 25 and frames() == 121


def test_with_fewer_there_would_be_no_numbers(tiny):
    one = resident(KANDINSKY, tiny)
    one._model = dataclasses.replace(one._model, frames=13)
    with (
        pytest.warns(UserWarning, match="degrees of freedom"),
        pytest.raises(TakeError, match="not numbers") as told,
    ):
        render(one, seed=1)
    one.close()
    assert told.value.kind == "render_nan"


@pytest.mark.parametrize("family", COSMOS)
def test_a_missing_safety_checker_is_said_before_anything_is_loaded(family, tiny, monkeypatch):
    model = tiny_model(family, tiny)
    monkeypatch.delitem(sys.modules, PACKAGE)
    with pytest.raises(InputError, match="the package cosmos_guardrail"):
        backend(model).load()


@pytest.mark.parametrize("family", COSMOS)
def test_a_prompt_that_the_safety_checker_refuses_is_the_tasks_fault(family, tiny):
    one = resident(family, tiny)
    first = render(one, seed=1)
    with pytest.raises(TakeError, match=f"its safety checker refuses the prompt 'a {REFUSED} sea'") as told:
        one.render(still(), task(one._model, 1, f"a {REFUSED} sea"), lambda done, total: None)
    assert (told.value.kind, told.value.blame) == ("prompt_refused", Blame.TASK)
    assert np.array_equal(render(one, seed=1), first)
    one.close()
