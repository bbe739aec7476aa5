"""A model at a URL: the same revision as in a folder, brought here once, whole and checked, whatever interrupts it."""

import dataclasses
import json
import multiprocessing
import os
import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from uuid import uuid4

import fsspec
import pytest
from tiny_takes import render

from farm.errors import InputError
from farm.render import mirror
from farm.render.families import backend, resolve, weights_bytes
from farm.render.listing import Remote
from farm.render.sources import fetched, held
from farm.spec import ModelSpec, RenderSpec

WEIGHTS = "transformer/diffusion_pytorch_model.safetensors"


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("FARM_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "models"


@pytest.fixture
def source(tiny, tmp_path):
    """A model's folder with files that nobody wants beside it."""
    folder = tmp_path / "source"
    shutil.copytree(tiny("ltx-video"), folder)
    (folder / "README.md").write_text("a card")
    (folder / "transformer" / "code.py").write_text("raise SystemExit")
    return folder


def put(source, url):
    system, root = fsspec.core.url_to_fs(url)
    for path in source.rglob("*"):
        if path.is_file():
            system.pipe_file(f"{root}/{path.relative_to(source).as_posix()}", path.read_bytes())
    return url


def model_at(place):
    return resolve(
        ModelSpec(name="mine", path=str(place)), RenderSpec(frames=9, size="64x64", steps=2), where="job.yaml"
    )


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture
def website(source):
    """The folder on a web server that lists it as links, the way Python's own does."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(source))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture(params=["file", "memory", "http", "moto"])
def url(request, source, tmp_path, use_s3):
    if request.param == "file":
        return f"file://{source}"
    if request.param == "http":
        return request.getfixturevalue("website")
    if request.param == "memory":
        return put(source, f"memory://{uuid4().hex}/model")
    return put(source, f"{use_s3(request.getfixturevalue('moto'))}/models/ltx")


def test_weights_have_one_revision_wherever_they_lie(url, source, cache):
    there, here = model_at(url), model_at(source)
    assert there.revision == here.revision and there.path == url and there.family == "ltx-video"
    assert held(there) is None and weights_bytes(there) > 2**30, "nothing was fetched to plan"
    assert not cache.exists()


def test_a_mirror_renders_what_the_folder_renders(url, source, cache):
    model = model_at(url)
    folder = fetched(model)
    assert folder == cache / model.revision == held(model)
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    own = {path.relative_to(source).as_posix() for path in source.rglob("*") if path.is_file()}
    assert names == own - {"README.md", "transformer/code.py"} | {mirror.NOTES}
    frames = []
    for place in (folder, source):
        one = backend(dataclasses.replace(model, path=str(place)))
        one.load()
        frames.append(render(one, 1))
        one.close()
    assert (frames[0] == frames[1]).all()


def test_what_is_whole_is_not_fetched_again(source, monkeypatch):
    model = model_at(put(source, f"memory://{uuid4().hex}/model"))
    fetched(model)
    monkeypatch.setattr(Remote, "files", lambda self: pytest.fail("the store was asked"))
    fetched(model)


def damage(path):
    """Cuts the last byte off."""
    path.write_bytes(path.read_bytes()[:-1])


def streams(monkeypatch):
    """The names of the files that were streamed from then on."""
    names = []
    stream = mirror._streamed
    monkeypatch.setattr(
        mirror, "_streamed", lambda place, name, to: names.append(name) or stream(place, name, to)
    )
    return names


@pytest.mark.parametrize("name", [WEIGHTS, "vae/config.json", mirror.NOTES])
def test_a_damaged_mirror_is_mended(name, source, monkeypatch):
    model = model_at(put(source, f"memory://{uuid4().hex}/model"))
    path = fetched(model) / name
    before = path.read_bytes()
    damage(path)
    names = streams(monkeypatch)
    assert fetched(model) == path.parents[name.count("/")] and path.read_bytes() == before
    assert names == [name] if name != mirror.NOTES else len(names) > 5


def test_an_interrupted_mirror_goes_on_where_it_was(source, monkeypatch, cache):
    model = model_at(put(source, f"memory://{uuid4().hex}/model"))
    stream, begun = mirror._streamed, []

    def torn(place, name, target):
        begun.append(name)
        if len(begun) == 4:
            target.write_bytes(b"half of it")
            raise KeyboardInterrupt
        return stream(place, name, target)

    monkeypatch.setattr(mirror, "_streamed", torn)
    with pytest.raises(KeyboardInterrupt):
        fetched(model)
    assert held(model) is None and [path.name for path in cache.glob("*.partial")] == [
        f"{model.revision}.partial"
    ]
    begun.extend("xxxx")
    fetched(model)
    again = begun[8:]
    assert held(model) and not list(cache.glob("*.partial")) and not list(cache.rglob("*.part"))
    assert begun[3] in again and not set(begun[:3]) & set(again)


def _fetch(model, cache, results):
    os.environ["FARM_CACHE"] = str(cache)
    names = []
    stream = mirror._streamed
    mirror._streamed = lambda place, name, to: names.append(name) or stream(place, name, to)
    results.put((str(fetched(model)), len(names)))


def test_of_two_processes_one_fetches_and_the_other_waits(source, cache):
    model = model_at(f"file://{source}")
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    both = [context.Process(target=_fetch, args=(model, cache.parent, results)) for _ in range(2)]
    for one in both:
        one.start()
    told = [results.get(timeout=120) for _ in both]
    for one in both:
        one.join()
    assert {folder for folder, _ in told} == {str(cache / model.revision)}
    assert sorted(count > 0 for _, count in told) == [False, True]


def _hang(model, cache, begun):
    os.environ["FARM_CACHE"] = str(cache)
    mirror._streamed = lambda place, name, to: begun.put(name) or time.sleep(300)
    fetched(model)


def test_a_process_that_is_killed_while_it_mirrors_holds_nobody_up(source, cache):
    model = model_at(f"file://{source}")
    context = multiprocessing.get_context("spawn")
    begun = context.Queue()
    one = context.Process(target=_hang, args=(model, cache.parent, begun))
    one.start()
    begun.get(timeout=120)
    one.kill()
    one.join()
    assert fetched(model) == cache / model.revision and held(model)


def test_threads_of_one_process_wait_for_each_other_too(source, monkeypatch):
    model = model_at(f"file://{source}")
    names = streams(monkeypatch)
    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(fetched, [model] * 4))) == 1
    assert len(names) == len(set(names))


def test_what_was_changed_since_the_plan_is_refused(source):
    url = put(source, f"memory://{uuid4().hex}/model")
    there, here = model_at(url), model_at(source)
    (source / "vae" / "config.json").write_text((source / "vae" / "config.json").read_text() + "\n")
    put(source, url)
    with pytest.raises(InputError, match=r"mine: memory://.*: was changed since the job was planned"):
        fetched(there)
    with pytest.raises(InputError, match=r"mine: .*: holds other files here than the job was planned with"):
        fetched(here)
    shutil.rmtree(source)
    with pytest.raises(InputError, match="there is no such folder"):
        fetched(here)


def test_weights_that_end_early_are_refused_by_their_header(source):
    path = source / WEIGHTS
    path.write_bytes(path.read_bytes()[:-10])
    model = model_at(put(source, f"memory://{uuid4().hex}/model"))
    with pytest.raises(InputError, match=rf"{WEIGHTS} has \d+ bytes, \d+ by its header"):
        fetched(model)
    path.write_bytes(b"<html>not found</html>")
    model = model_at(put(source, f"memory://{uuid4().hex}/model"))
    with pytest.raises(InputError, match=f"{WEIGHTS} is no safetensors file"):
        fetched(model)


def test_a_transfer_that_is_not_what_the_store_says_is_told(source, monkeypatch, use_s3, moto):
    """An ETag that is an MD5 is held against what came; one that only looks like it is recognised by a second look."""
    model = model_at(put(source, f"{use_s3(moto)}/model"))
    files = Remote.files
    other = lambda self: [dataclasses.replace(file, etag="0" * 32) for file in files(self)]  # noqa: E731
    with monkeypatch.context() as patch:
        patch.setattr(Remote, "files", other)
        names = streams(patch)
        fetched(model)
        assert len(names) == 2 * len(set(names))
    shutil.rmtree(mirror.mirror_of(model.revision))
    blocks, calls = Remote.blocks, []

    def flipped(self, name, block_bytes):
        calls.append(name)
        for block in blocks(self, name, block_bytes):
            yield block[:-1] + bytes([(block[-1] + len(calls)) % 256])

    monkeypatch.setattr(Remote, "blocks", flipped)
    with pytest.raises(InputError, match="came in two versions; its transfer is not to be trusted"):
        fetched(model)


def test_what_does_not_fit_is_told_before_it_is_fetched(source, monkeypatch):
    model = model_at(f"file://{source}")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10, 10, 0))
    with pytest.raises(
        InputError, match=r"GiB do not fit into .*models, where 0.0 GiB are free; set FARM_CACHE"
    ):
        fetched(model)


def test_a_cache_that_cannot_be_written_is_told(source, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("FARM_CACHE", str(tmp_path / "file"))
    with pytest.raises(InputError, match=r"mine: file://.*: cannot be mirrored to .*: Not a directory"):
        fetched(model_at(f"file://{source}"))


def test_stores_that_answer_no_are_told_without_secrets(use_s3, moto, monkeypatch):
    bucket = use_s3(moto)
    for place, said in (
        (f"{bucket}/nothing", "no such folder, or nothing in it"),
        ("s3://no-such-bucket-here/model", "no such object, folder or bucket"),
        ("s3://KEY:hunter2@no-such-bucket-here/model", "credentials belong in the environment, not a URL"),
        ("ftp://user:hunter2@127.0.0.1:9/model", "cannot be reached"),
    ):
        with pytest.raises(InputError) as told:
            model_at(place)
        line = str(told.value)
        assert said in line and "hunter2" not in line and "\n" not in line, line


def test_notes_name_no_credentials(source):
    model = model_at(put(source, f"memory://{uuid4().hex}/model"))
    notes = json.loads((fetched(model) / mirror.NOTES).read_text())
    assert notes["url"] == model.path and len(notes["files"]["model_index.json"]["sha256"]) == 64


def test_names_that_lead_out_of_the_folder_are_not_wanted(source, cache):
    url = put(source, f"memory://{uuid4().hex}/model")
    system, root = fsspec.core.url_to_fs(url)
    system.store[f"{root}/transformer/../../evil.json"] = system.store[f"{root}/model_index.json"]
    folder = fetched(model_at(url))
    assert not list(cache.parent.rglob("evil.json")) and Path(folder).is_dir()
