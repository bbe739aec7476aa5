"""The benches of rendering: their models have the published sizes, and all of their code that needs no GPU runs."""

import json
import sys

import bench_gpu
import pytest
import torch
from real_size import REAL_SIZE, billions
from renders import numbers

from farm.render.families import FAMILIES


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("name", REAL_SIZE)
def test_sizes_are_the_published_ones(name):
    denoiser, vae = billions(name)
    assert denoiser == pytest.approx(FAMILIES[name].denoiser_billions, rel=0.02) and 0.3 < vae < 1
    row, model = FAMILIES[name], REAL_SIZE[name]
    assert model.size in row.sizes and model.frames == row.frames and model.steps == row.steps


def test_the_bench_of_real_sizes_runs_with_small_numbers_on_a_cpu(monkeypatch, capsys, tmp_path):
    asked = "bench_gpu.py --device cpu --tiny --stills 1 --motions 2 --takes 1 --json --folder"
    monkeypatch.setattr(sys, "argv", [*asked.split(), str(tmp_path)])
    bench_gpu.main()
    told = json.loads(capsys.readouterr().out)
    assert [one["model"] for one in told] == list(REAL_SIZE)
    for one in told:
        names = [row["name"] for row in one["rows"]]
        assert names[0] == "plain loop over the pipeline" and len(names) == 5 and one["takes"] == 2
        assert all(row["wall_s"] > 0 for row in one["rows"]) and 0 < one["rows"][-1]["busy"] <= 1
    assert not list(tmp_path.iterdir()), "weights of real size are not left lying about"


def test_without_a_gpu_it_says_so(monkeypatch):
    if torch.cuda.is_available():
        pytest.skip("this machine has one")
    monkeypatch.setattr(sys, "argv", ["bench_gpu.py"])
    with pytest.raises(SystemExit, match="torch sees no CUDA device here"):
        bench_gpu.main()


def test_what_nvidia_smi_cannot_tell_is_left_out():
    assert numbers("98\n[N/A]\n100\n") == [98.0, 100.0]
