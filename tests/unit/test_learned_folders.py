"""Folders of learned scorers that cannot be used: each is told in one line, before anything is rendered."""

import hashlib
import os
import pickle
import sys
from pathlib import Path

import pytest
import torch
from networks import Brightness, Clip, Features, Lottery, OneForAll, Text, scorer_folder, write_card

from farm.errors import InputError
from farm.score.learned import LearnedCritic, check


def said(folder: Path, *, loading: bool = False) -> str:
    """The one line that is said of a folder, by check() or, where that finds nothing, when it is loaded."""
    if loading:
        check(folder)
    with pytest.raises(InputError) as caught:
        LearnedCritic(folder) if loading else check(folder)
    message = str(caught.value)
    assert "\n" not in message and message.startswith(str(folder))
    return message.removeprefix(str(folder))


def test_folders_that_are_none(tmp_path):
    assert said(tmp_path / "no") == ": no such folder; a learned scorer is a folder with scorer.yaml"
    (tmp_path / "file").write_text("")
    assert said(tmp_path / "file") == ": is no folder; a learned scorer is a folder with scorer.yaml"
    assert said(tmp_path).startswith("/scorer.yaml: no such file; it says what")
    assert "cannot be read" in said(tmp_path / ("n" * 300))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"name": None}, "name: is required"),
        ({"name": "Light Level"}, "name='Light Level': a dimension's name is up to 40"),
        ({"name": "sharpness"}, "name='sharpness': the scorer has a dimension of that name already"),
        ({"says": "two\nlines"}, "says='two\\nlines': expected a few words on one line"),
        ({"says": ""}, "says='': expected 1 or more characters"),
        ({"wieghts": "a.pt"}, "wieghts: unknown key; did you mean 'weights'?"),
        ({"weights": "../network.pt"}, "weights='../network.pt': expected the name of a file in this folder"),
        ({"weights": "other.pt"}, "weights='other.pt': no such file in this folder; beside it: network.pt"),
        (
            {"weights": "model.pth"},
            "allowed: .pt, .ts (TorchScript), .safetensors; a file of this kind can run",
        ),
        (
            {"weights": "model.pt2"},
            "allowed: .pt, .ts (TorchScript), .safetensors; a file of this kind can run",
        ),
        ({"weights": "model.onnx"}, "weights='model.onnx': allowed: .pt, .ts (TorchScript), .safetensors"),
        ({"weights": "head.safetensors"}, "backbone: is required: .safetensors holds the head alone"),
        ({"backbone": "network.pt"}, "backbone: is for weights in .safetensors; TorchScript holds the whole"),
        ({"backbone": "head.safetensors"}, "backbone='head.safetensors': allowed: .pt, .ts (TorchScript)"),
        ({"backbone_sha256": "0" * 64}, "backbone_sha256: there is no backbone"),
        ({"sha256": "ABC"}, "sha256='ABC': expected 64 of 0-9 and a-f"),
        ({"input": "video"}, "input='video': allowed: clip, frames, pair"),
        ({"frames": 1}, "frames=1: should be greater than or equal to 2"),
        ({"frames": "8"}, "frames='8': expected a whole number; leave out the quotes"),
        ({"size_px": 8}, "size_px=8: expected the short edge, such as 224, or WIDTHxHEIGHT"),
        ({"size_px": "224 x 224"}, "size_px='224 x 224': expected the short edge"),
        ({"size_px": "224x2240"}, "size_px='224x2240': expected the short edge"),
        ({"size_px": None}, "size_px: is required"),
        ({"mean": [0.5]}, "mean=[0.5]: expected 3 or more"),
        ({"std": [1.0, 0.0, 1.0]}, "std.1=0.0: should be greater than or equal to 0.001"),
        ({"good": float("nan")}, "good=nan: should be a finite number"),
        ({"good": 0.5, "limit": 0.5}, "good and limit are both 0.5; one of them has to be higher"),
    ],
)
def test_cards_that_cannot_be_meant(tmp_path, changes, expected):
    folder = scorer_folder(tmp_path, Brightness())
    message = said(write_card(folder, **changes))
    assert message.startswith("/scorer.yaml: ")
    assert expected in message


def test_weights_have_the_sum_that_the_card_gives(tmp_path):
    folder = scorer_folder(tmp_path, Brightness())
    found = hashlib.sha256((folder / "network.pt").read_bytes()).hexdigest()
    assert check(write_card(folder, sha256=found)).name == "brightness"
    expected = "0" * 64
    message = said(write_card(folder, sha256=expected))
    assert message == f"/scorer.yaml: sha256={expected}: network.pt has {found}"


def test_a_pointer_is_told_from_weights(tmp_path):
    folder = write_card(tmp_path)
    (folder / "network.pt").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n")
    assert said(folder) == "/network.pt: a pointer of Git LFS, not the weights; run git lfs pull"


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="needs a file whose reading fails")
def test_a_file_that_cannot_be_read(tmp_path):
    folder = write_card(tmp_path)
    (folder / "network.pt").symlink_to("/proc/self/mem")
    assert said(folder) == "/network.pt: cannot be read: Input/output error"


class Runs:
    """Pickled, it makes a folder when it is loaded."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.place),)


@pytest.mark.parametrize("how", ["empty", "garbage", "cut", "state_dict", "pickle"])
def test_what_is_no_torchscript_is_refused_and_never_unpickled(tmp_path, how):
    folder = scorer_folder(tmp_path, Brightness())
    path, place = folder / "network.pt", tmp_path / "was-run"
    match how:
        case "empty":
            path.write_bytes(b"")
        case "garbage":
            path.write_bytes(bytes(range(256)) * 20)
        case "cut":
            path.write_bytes(path.read_bytes()[:-300])
        case "state_dict":
            torch.save({"weight": torch.ones(2), "code": Runs(place)}, path)
        case "pickle":
            path.write_bytes(pickle.dumps(Runs(place)))
    message = said(folder, loading=True)
    assert message.startswith(
        "/network.pt: is no TorchScript, which torch.jit.save writes (torch.save does not)"
    )
    assert not place.exists()


@pytest.mark.parametrize(
    ("network", "changes", "expected"),
    [
        (
            OneForAll(),
            {},
            "the network gave a tensor of torch.float32 (); expected 8 numbers, one for each frame",
        ),
        (
            Brightness(),
            {"input": "clip"},
            "the network gave a tensor of torch.float32 (8,); expected 1 number",
        ),
        (Text(), {}, "the network gave a str; expected 8 numbers"),
        (Clip(), {"input": "clip"}, "the network failed: builtins.ValueError: a clip has 6 frames"),
        (Brightness(), {"input": "pair"}, "the network failed: forward() expected at most 2 argument(s)"),
        (
            torch.nn.Linear(7, 1),
            {},
            "the network failed: RuntimeError: mat1 and mat2 shapes cannot be multiplied",
        ),
        (Lottery(), {}, "gives other numbers for the same frames; a scorer gives the same ones"),
    ],
)
def test_networks_that_do_not_give_what_the_card_says_are_found_before_any_take(
    tmp_path, network, changes, expected
):
    message = said(scorer_folder(tmp_path, network, **changes), loading=True)
    assert message.startswith("/network.pt: ")
    assert expected in message


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        ({}, "gives no numbers; the last layer of a head gives 1"),
        (
            {"fc.weight": (1, 2)},
            "'fc.weight' is no tensor of a head; allowed: 0.weight, 0.bias, 2.weight, ...",
        ),
        ({"0.weight": (1, 2)}, "layer 0 lacks its bias"),
        ({"0.bias": (1,)}, "layer 0 lacks its weight"),
        ({"0.weight": (3, 2), "0.bias": (3,)}, "gives 3 numbers; the last layer of a head gives 1"),
        ({"0.weight": (3, 2), "0.bias": (2,)}, "a bias (2,) does not follow a backbone"),
        (
            {"0.weight": (3, 2), "0.bias": (3,), "2.weight": (1, 4), "2.bias": (1,)},
            "layer 2: a weight (1, 4) with a bias (1,) does not follow a layer that gives 3 numbers",
        ),
        (
            {"0.weight": (1, 5), "0.bias": (1,)},
            "the network failed: mat1 and mat2 shapes cannot be multiplied",
        ),
        ({"0.weight": (1, 2), "0.bias": (1,), "nan": ()}, "'nan' is no tensor of a head"),
        (None, "is no safetensors file"),
    ],
)
def test_heads_that_do_not_fit(tmp_path, head, expected):
    safetensors = pytest.importorskip("safetensors.torch")
    folder = scorer_folder(tmp_path, Features(), weights="head.safetensors", backbone="network.pt")
    if head is None:
        (folder / "head.safetensors").write_bytes(b"\xff" * 40)
    else:
        tensors = {name: torch.ones(shape) for name, shape in head.items()}
        safetensors.save_file(tensors, folder / "head.safetensors")
    message = said(folder, loading=True)
    assert message.startswith("/head.safetensors: ")
    assert expected in message


@pytest.mark.parametrize("tensor", [torch.tensor([[1, 1]]), torch.tensor([[1.0, float("nan")]])])
def test_a_head_is_made_of_finite_numbers(tmp_path, tensor):
    safetensors = pytest.importorskip("safetensors.torch")
    folder = scorer_folder(tmp_path, Features(), weights="head.safetensors", backbone="network.pt")
    safetensors.save_file({"0.weight": tensor, "0.bias": torch.ones(1)}, folder / "head.safetensors")
    assert said(folder, loading=True).endswith("0.weight: expected finite floating-point numbers")


def test_a_head_without_its_package_says_what_to_install(tmp_path, monkeypatch):
    folder = scorer_folder(tmp_path, Features(), weights="head.safetensors", backbone="network.pt")
    (folder / "head.safetensors").write_bytes(b"weights")
    monkeypatch.setitem(sys.modules, "safetensors", None)
    assert said(folder) == (
        "/head.safetensors: needs a package that is not installed: pip install 'circletake[learned]'"
    )
