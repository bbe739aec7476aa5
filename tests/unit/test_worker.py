"""One worker: what it says of itself, how a take ends early, and what stands in the row of one that failed."""

import json
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image
from tiny_takes import STILLS, task, tiny_model

from farm.bench import RENDERING, Bench
from farm.clock import SystemClock
from farm.errors import Cancelled
from farm.ids import sha256_hex
from farm.values import Scoring, Status, Still
from farm.worker import Worker

FAMILY = "wan2.2-ti2v-5b"


@pytest.fixture
def worker(tmp_path, tiny):
    model = tiny_model(FAMILY, tiny)
    one = Worker(
        "w1", Bench(str(tmp_path / "run"), (model,), 0.2, Scoring(0.0), 0.0, {}), SystemClock(), "here"
    )
    assert one.load().resident == ("tiny",)
    yield one
    one.close()


def a_task(worker, folder: Path, take: int = 1):
    path = folder / "still.png"
    if not path.exists():
        with Image.open(STILLS[0]) as image:
            image.convert("RGB").resize((80, 64)).save(path)
    bare = task(worker._bench.models[0], take)
    still, sha256 = Still("s", str(path), "s.csv:1"), sha256_hex(path.read_bytes())
    return replace(bare, take_id=f"{take:032x}", still=still, still_sha256=sha256)


def test_a_take_that_never_rendered_has_no_fingerprint_of_another(worker, tmp_path):
    good = worker.take(a_task(worker, tmp_path), 1).outcome
    assert json.loads(good.fingerprint)["shape"] == "64x64x9" and good.accelerator == "CPU"
    still = Still("g", str(tmp_path / "gone.png"), "s.csv:2")
    gone = replace(a_task(worker, tmp_path, 2), still=still, still_sha256="1" * 64)
    failed = worker.take(gone, 1).outcome
    assert (failed.status, failed.kind) == (Status.FAILED, "still_missing")
    assert (failed.fingerprint, failed.accelerator, failed.worker) == ("{}", None, "w1")


def test_a_take_whose_frames_are_no_picture_says_what_they_were_made_with(worker, tmp_path):
    resident = worker._residents.known("tiny")
    vae, decode = resident._pipe.vae, resident._pipe.vae.decode
    vae.decode = lambda *args, **named: (decode(*args, **named)[0] * float("nan"),)
    failed = worker.take(a_task(worker, tmp_path), 1).outcome
    assert failed.kind == "render_nan" and json.loads(failed.fingerprint)["shape"] == "64x64x9"
    assert failed.accelerator == "CPU"


def test_a_cancelled_take_ends_within_a_step_and_is_taken_again(worker, tmp_path):
    one, steps = a_task(worker, tmp_path), threading.Event()
    resident = worker._residents.known("tiny")
    bare = resident.render

    def slow(still, task, beat):
        def told(done, total):
            beat(done, total)
            steps.set()
            cancelled.wait(20)

        return bare(still, task, told)

    cancelled, ended = threading.Event(), []
    resident.render = slow

    def take():
        try:
            ended.append(worker.take(one, 1))
        except Cancelled as e:
            ended.append(e)

    thread = threading.Thread(target=take)
    thread.start()
    assert steps.wait(60)
    (pulse,) = worker.pulse()
    assert (pulse.take_id, pulse.stage, pulse.done, pulse.total) == (one.take_id, RENDERING, 1, 2)
    assert pulse.shape == "64x64x9"
    worker.cancel(one.take_id)
    cancelled.set()
    thread.join(60)
    assert isinstance(ended[0], Cancelled) and "after 2 steps" in str(ended[0])
    assert worker.pulse() == ()
    resident.render = bare
    worker.cancel(one.take_id)  # too late: it is not under way
    assert worker.take(one, 2).outcome.status is not Status.FAILED
