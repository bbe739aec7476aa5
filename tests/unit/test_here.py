"""What a machine is said to be able to run: by the row's weights against its memory."""

import os
import stat

import pytest

from farm.render.families import FAMILIES
from farm.render.here import Machine, peak_bytes, this_machine, verdict

GIB = 2**30


@pytest.mark.parametrize(
    ("family", "gpu_gib", "said"),
    [
        ("previz", None, "runs"),
        ("previz", 8, "runs"),
        ("svd", 8, "fits"),
        ("wan2.1-i2v", 80, "fits"),
        ("wan2.1-i2v", 48, "fits with offload"),
        ("wan2.1-i2v", 24, "needs 12 GiB more"),
        ("wan2.2-i2v-a14b", 48, "fits with offload"),  # one expert at a time
        ("wan2.2-i2v-a14b", 141, "fits"),
        ("wan2.2-ti2v-5b", 16, "fits with offload"),
        ("wan2.2-i2v-a14b", None, "no GPU; on the CPU it needs 96 GiB more"),
        ("svd", None, "no GPU: slow, on the CPU"),
    ],
)
def test_a_machine_is_held_against_a_familys_weights(family, gpu_gib, said):
    gpus = () if gpu_gib is None else (("small", 4 * GIB), ("large", gpu_gib * GIB))
    assert verdict(FAMILIES[family], Machine(gpus, 32 * GIB)) == said


@pytest.mark.parametrize(
    ("answer", "gpus"),
    [
        ("echo 'Some GPU, 24564'; echo 'Other, Inc., 81559'", (("Some GPU", 24564), ("Other, Inc.", 81559))),
        ("echo 'Some GPU, [N/A]'", ()),
        ("echo 'no devices were found'; exit 6", ()),
    ],
)
def test_gpus_are_asked_of_the_drivers_own_program(answer, gpus, tmp_path, monkeypatch):
    program = tmp_path / "nvidia-smi"
    program.write_text(f"#!/bin/sh\n{answer}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    machine = this_machine()
    assert machine.gpus == tuple((name, mib * 2**20) for name, mib in gpus)
    assert machine.ram_bytes > GIB / 4


def test_on_a_cpu_the_peak_of_the_process_is_known():
    assert 10 * 2**20 < peak_bytes("CPU") < 2**45
