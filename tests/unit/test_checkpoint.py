"""A model's folder: what is refused before anything is loaded, and the revision that is read off its content."""

import json

import pytest

from farm.errors import InputError
from farm.render.checkpoint import Checkpoint
from farm.render.families import FAMILIES, resolve
from farm.spec import ModelSpec, RenderSpec

FAMILY = FAMILIES["wan2.1-i2v"]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "transformer").mkdir()
    (tmp_path / "model_index.json").write_text(json.dumps({"_class_name": "WanImageToVideoPipeline"}))
    (tmp_path / "transformer" / "config.json").write_text("{}")
    (tmp_path / "transformer" / "model.safetensors").write_bytes(bytes(3 << 20))
    return tmp_path


def read(folder, family=FAMILY):
    return Checkpoint.read(folder, family, said="job.yaml: models: w: path=x")


def test_the_revision_is_the_content(folder):
    first = read(folder).revision
    assert first.startswith("local-") and read(folder).revision == first
    weights = folder / "transformer" / "model.safetensors"
    for at in (0, -1):
        data = bytearray(3 << 20)
        data[at] = 1
        weights.write_bytes(data)
        assert read(folder).revision != first
    weights.write_bytes(bytes(3 << 20))
    assert read(folder).revision == first
    weights.rename(weights.with_name("other.safetensors"))
    assert read(folder).revision != first


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("model_index.json", None, "no model_index.json in it; expected a diffusers model"),
        ("model_index.json", "{", "model_index.json cannot be read"),
        ("model_index.json", "[]", "model_index.json is not a mapping"),
        ("model_index.json", "{}", "names no pipeline"),
    ],
)
def test_what_is_no_model_is_refused(folder, name, content, said):
    (folder / name).unlink() if content is None else (folder / name).write_text(content)
    with pytest.raises(InputError, match=said):
        read(folder)


def test_pickled_weights_are_refused(folder):
    weights = folder / "transformer" / "model.safetensors"
    weights.rename(weights.with_name("model.bin"))
    with pytest.raises(InputError, match="only safetensors weights are loaded"):
        read(folder)


def test_a_relative_path_is_looked_for_beside_the_job(folder, monkeypatch, tmp_path_factory):
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    spec = ModelSpec(name="w", family="wan2.1-i2v", path=folder.name)
    model = resolve(spec, RenderSpec(), where="job.yaml", base=folder.parent)
    assert model.path == str(folder) and model.revision.startswith("local-")


def test_cogvideox_is_bound_to_the_size_it_was_made_with(tiny):
    spec = ModelSpec(name="c", family="cogvideox-i2v", path=str(tiny("cogvideox-i2v")))
    assert resolve(spec, RenderSpec(size="64x64", frames=9), where="job.yaml").size == "64x64"
    with pytest.raises(InputError, match="renders 64x64 only; try 64x64"):
        resolve(spec, RenderSpec(size="720x480", frames=9), where="job.yaml")
