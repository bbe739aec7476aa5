"""From a place of weights to a pipeline in memory, and what to say when there is no way.

Invariant: weights are safetensors and no code from a checkpoint runs. What a person can mend is an InputError; too
little memory, and whatever else befalls a GPU, is not.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import diffusers
import torch

from farm.errors import InputError, MemoryFull
from farm.render.family import Family
from farm.render.machine import gpus, memory_bytes
from farm.render.sources import fetched
from farm.values import Model

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}

_UNUSABLE = (
    OSError,
    ValueError,
    ImportError,
    NotImplementedError,
    KeyError,
    TypeError,
    AttributeError,
    RuntimeError,
)
# RuntimeErrors that tell of the machine and not of the weights; the allocator of CPU memory has no class of its own.
_FAULTS = re.compile(r"CUDA error|CUDA driver|cuBLAS|CUBLAS|cuDNN|CUDNN|NCCL")
_NO_MEMORY = re.compile(r"out of memory|can't allocate memory|Cannot allocate memory", re.IGNORECASE)
_COMMIT = re.compile(r"/snapshots/([0-9a-f]{40})(?:/|$)")
_GIB = 2**30


@dataclass(frozen=True, slots=True)
class Source:
    """A checkpoint on this machine's disk: `folder` is where diffusers put it, or what a job named."""

    folder: str
    pipeline: Any
    dtypes: Mapping[str, torch.dtype]  # by component, and "default"

    def pipe(self, quantization: Any) -> Any:
        named = {} if quantization is None else {"quantization_config": quantization}
        return self.pipeline.from_pretrained(
            self.folder, local_files_only=True, use_safetensors=True, dtype=dict(self.dtypes), **named
        )

    def component(self, name: str, kind: Any) -> Any:
        """One component of transformers once more, as the pipeline loads it."""
        dtype = self.dtypes.get(name, self.dtypes["default"])
        return kind.from_pretrained(
            str(Path(self.folder) / name), local_files_only=True, use_safetensors=True, dtype=dtype
        )

    def classes(self) -> dict[str, type]:
        """The classes of diffusers that the components will have, before any weight is read."""
        named = self.pipeline.load_config(self.folder, local_files_only=True)
        pairs = {name: value for name, value in named.items() if isinstance(value, list | tuple)}
        found = {
            name: getattr(diffusers, str(value[1]), None) for name, value in pairs.items() if len(value) == 2
        }
        return {name: kind for name, kind in found.items() if isinstance(kind, type)}

    @property
    def commit(self) -> str | None:
        """The commit of a hub's snapshot, where the folder is one."""
        found = _COMMIT.search(self.folder)
        return found[1] if found else None


def dtypes(model: Model, family: Family, device: str) -> dict[str, torch.dtype]:
    """float32 on a CPU, whose bfloat16 is slow; else bfloat16, with the components that need more precision."""
    asked = str(dict(model.options).get("dtype", "auto"))
    if asked != "auto":
        return {"default": DTYPES[asked]}
    if device == "cpu":
        return {"default": torch.float32}
    return {"default": torch.bfloat16} | {name: DTYPES[dtype] for name, dtype in family.dtypes}


def source(model: Model, family: Family, kinds: Mapping[str, torch.dtype]) -> Source:
    """The checkpoint of a model, fetched first where its place is a URL or a repository. Raises InputError."""
    return Source(str(fetched(model)), getattr(diffusers, str(family.pipeline)), kinds)


@contextmanager
def honest(model: Model, what: str) -> Iterator[None]:
    """Within it, errors get their name: InputError for weights and settings that cannot be used, with `what` of them;
    MemoryFull where memory is too small. A broken GPU's errors go through as they are."""
    try:
        yield
    except torch.OutOfMemoryError as e:
        raise MemoryFull(_too_large(model)) from e
    except MemoryError as e:
        raise MemoryFull(_too_large_for_cpu(model)) from e
    except torch.AcceleratorError:
        raise
    except _UNUSABLE as e:
        told = " ".join(str(e).split())[:300]
        if isinstance(e, OSError | RuntimeError) and _NO_MEMORY.search(told):
            raise MemoryFull(_too_large_for_cpu(model)) from e
        if isinstance(e, RuntimeError) and _FAULTS.search(told):
            raise
        raise InputError(f"{model.name}: {what}: {told}") from e


def _too_large(model: Model) -> str:
    has = ", ".join(f"{gpu.name} with {gpu.total_bytes / _GIB:.1f} GiB" for gpu in gpus()) or "no GPU"
    return f"{model.name}: does not fit into the GPU ({has}); {_helps(model)}"


def _too_large_for_cpu(model: Model) -> str:
    return f"{model.name}: does not fit into the CPU's memory ({memory_bytes() / _GIB:.1f} GiB are left)"


def _helps(model: Model) -> str:
    """The settings that need less of the GPU's memory and were not made."""
    said = dict(model.options) | dict(model.hosting)
    open_ = [
        advice
        for name, default, advice in (
            ("offload", "none", "offload: model, group or sequential"),
            ("encoders", "keep", "encoders: cpu or drop"),
            ("quantization", "none", "quantization: fp8-storage (changes pixels)"),
        )
        if said.get(name, default) == default
    ]
    return f"what needs less: {'; '.join(open_)}" if open_ else "give a larger one"
