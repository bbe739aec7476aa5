"""What a machine has: its GPUs, their memory and driver, and the memory a process may still take.

Invariant: everything is asked afresh when it is asked for; nothing is guessed where the machine does not say.
"""

import re
from dataclasses import dataclass
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # it has no stubs of its own
import torch

_DRIVER = Path("/proc/driver/nvidia/version")
_CGROUP = Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True)
class Gpu:
    name: str
    total_bytes: int
    free_bytes: int  # for all processes: other ones may take it at any time


def gpus() -> tuple[Gpu, ...]:
    """The GPUs that this process may use, in torch's order. Asking begins to use each: some hundred MB a device."""
    if not torch.cuda.is_available():
        return ()
    # What torch keeps for the next take of a model is free for another model.
    torch.cuda.empty_cache()
    found = []
    for number in range(torch.cuda.device_count()):
        free, total = torch.cuda.mem_get_info(number)
        found.append(Gpu(torch.cuda.get_device_name(number), total, free))
    return tuple(found)


def memory_bytes(cgroup: Path = _CGROUP) -> int:
    """Bytes of CPU memory that a process can still have: what the system says, or less where a container's limit is
    lower. `cgroup` is where the limits of control groups (v2) stand."""
    available = int(psutil.virtual_memory().available)
    try:
        limit = (cgroup / "memory.max").read_text().strip()
        used = int((cgroup / "memory.current").read_text())
        stat = dict(line.split() for line in (cgroup / "memory.stat").read_text().splitlines())
    except OSError:
        return available
    # Files that were read are counted as used, and go as soon as the memory is wanted.
    used -= int(stat.get("inactive_file", 0))
    return available if limit == "max" else max(0, min(available, int(limit) - used))


def total_bytes() -> int:
    """Bytes of CPU memory that the machine has."""
    return int(psutil.virtual_memory().total)


def driver(version: Path = _DRIVER) -> str | None:
    """The version of NVIDIA's kernel module, None where there is none."""
    try:
        told = version.read_text()
    except OSError:
        return None
    found = re.search(r"Kernel Module(?:\s+for\s+\S+)?\s+(\d[\d.]*)", told)
    return found[1] if found else None
