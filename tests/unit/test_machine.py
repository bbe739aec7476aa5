"""What a machine says of itself: memory within a container's limit, the driver's version, GPUs where there are any."""

import psutil
import pytest
import torch

from farm.render.machine import driver, gpus, memory_bytes

OPEN = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  550.54.15  Release Build  (dvs-builder@U16-I3)\n"
CLOSED = (
    "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.104.05  Sat Aug 19 01:15:15 UTC 2023\nGCC version:\n"
)


def test_a_containers_limit_counts_where_it_is_lower(tmp_path):
    total = psutil.virtual_memory().total
    assert 0 < memory_bytes(tmp_path) <= total
    (tmp_path / "memory.current").write_text("3000000\n")
    (tmp_path / "memory.stat").write_text("anon 2000000\ninactive_file 1000000\n")
    (tmp_path / "memory.max").write_text("max\n")
    assert 4_000_000 < memory_bytes(tmp_path) <= total
    (tmp_path / "memory.max").write_text("7000000\n")
    assert memory_bytes(tmp_path) == 5_000_000, "a file that was read is no memory that is gone"
    (tmp_path / "memory.max").write_text("2000000\n")
    assert memory_bytes(tmp_path) == 0


@pytest.mark.parametrize(("told", "version"), [(OPEN, "550.54.15"), (CLOSED, "535.104.05"), ("other", None)])
def test_the_drivers_version_is_read_from_both_kinds_of_kernel_module(told, version, tmp_path):
    file = tmp_path / "version"
    file.write_text(told)
    assert driver(file) == version
    assert driver(tmp_path / "none") is None


def test_gpus_are_those_that_torch_may_use():
    found = gpus()
    assert len(found) == (torch.cuda.device_count() if torch.cuda.is_available() else 0)
    assert all(0 < gpu.free_bytes <= gpu.total_bytes for gpu in found)
