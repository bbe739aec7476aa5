"""A model's folder: what is refused before anything is loaded, and the revision that is read off its content."""

import json

import pytest

from farm.errors import InputError
from farm.render.checkpoint import Checkpoint, weights_bytes
from farm.render.families import resolve
from farm.render.listing import Folder
from farm.spec import ModelSpec, RenderSpec


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "transformer").mkdir()
    index = {"_class_name": "WanImageToVideoPipeline", "transformer": ["diffusers", "WanTransformer3DModel"]}
    (tmp_path / "model_index.json").write_text(json.dumps(index))
    (tmp_path / "transformer" / "config.json").write_text("{}")
    (tmp_path / "transformer" / "model.safetensors").write_bytes(bytes(3 << 20))
    return tmp_path


def read(folder):
    return Checkpoint.read(Folder(folder, "job.yaml: models: w: path=x"))


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


def test_what_is_not_loaded_is_in_no_revision(folder):
    first = read(folder).revision
    (folder / "README.md").write_text("a card")
    (folder / "single_file.safetensors").write_bytes(b"the same weights once more")
    (folder / "transformer" / "model.fp16.safetensors").write_bytes(b"another precision")
    (folder / "transformer" / ".lock").write_text("")
    (folder / "original").mkdir()
    (folder / "original" / "config.json").write_text("of no component")
    assert read(folder).revision == first
    (folder / "transformer" / "config.json").write_text('{"in_channels": 36}')
    assert read(folder).revision != first


def test_a_model_put_together_by_links_is_read_like_one_of_folders(folder, tmp_path_factory):
    linked = tmp_path_factory.mktemp("linked")
    (linked / "model_index.json").symlink_to(folder / "model_index.json")
    (linked / "transformer").symlink_to(folder / "transformer")
    assert read(linked).revision == read(folder).revision


def test_weights_are_counted_where_all_of_them_are_there(folder):
    assert weights_bytes(folder) == 3 << 20
    weights = folder / "transformer" / "model.safetensors"
    index = folder / "transformer" / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": "model.safetensors", "b": "model-2.safetensors"}}))
    assert weights_bytes(folder) is None
    (folder / "transformer" / "model-2.safetensors").write_bytes(bytes(10))
    assert weights_bytes(folder) == (3 << 20) + 10
    index.unlink()
    weights.unlink()
    (folder / "transformer" / "model-2.safetensors").unlink()
    assert weights_bytes(folder) is None
    assert weights_bytes(folder / "nowhere") is None


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("model_index.json", None, "no model_index.json in it; expected a diffusers model"),
        ("model_index.json", "{", "model_index.json cannot be read"),
        ("model_index.json", "[]", "model_index.json is not a mapping"),
        ("model_index.json", "{}", "names no pipeline"),
        (
            "model_index.json",
            '{"_class_name": ["pipeline_mine", "Mine"]}',
            "code of its own, which is never run",
        ),
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
