"""The settings of settings.py, made true for one pipeline, or refused in one line.

Invariant: a setting is never dropped. What this machine, this diffusers or this checkpoint cannot do is an InputError
that names the model, the key and what is allowed or missing; whatever can be known before weights are read is.
"""

import inspect
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, NoReturn

import diffusers
import torch
from diffusers.models.attention_dispatch import attention_backend, dispatch_attention_fn
from diffusers.quantizers.pipe_quant_config import PipelineQuantizationConfig
from diffusers.utils.constants import DIFFUSERS_ATTN_BACKEND
from torch import nn

from farm.errors import InputError
from farm.render.away import READS_THE_STILL
from farm.render.loading import honest
from farm.render.settings import HOSTING, PIXELS
from farm.values import Model

_PACKAGES = {"torchao-int8": "torchao", "bnb-8bit": "bitsandbytes", "bnb-4bit": "bitsandbytes"}
_INSTALLS = {"torchao": "'circletake[quantization]'", "bitsandbytes": "bitsandbytes"}


@dataclass(frozen=True, slots=True)
class Hosting:
    """What a job says of how its model is held and run, with the defaults put in; see settings.py."""

    model: Model
    device: str
    vae_tiling: bool
    quantization: str
    compile: str
    attention: str
    offload: str
    encoders: str

    @classmethod
    def of(cls, model: Model, device: str) -> "Hosting":
        said = {name: values[0] for name, values in (PIXELS | HOSTING).items()}  # type: ignore[operator]
        said |= dict(model.options) | dict(model.hosting)
        names = ("quantization", "compile", "attention", "offload", "encoders")
        return cls(model, device, bool(said["vae_tiling"]), **{name: str(said[name]) for name in names})

    def check_machine(self, dtype: torch.dtype) -> None:
        """Raises InputError for what no checkpoint could do here. `dtype` is the denoiser's."""
        if self.offload != "none" and self.device == "cpu":
            self._refuse("offload", "there is no GPU to offload from; allowed here: none")
        package = _PACKAGES.get(self.quantization)
        if package == "bitsandbytes" and self.device == "cpu":
            self._refuse("quantization", "needs a GPU; allowed here: none, fp8-storage, torchao-int8")
        if package and find_spec(package) is None:
            self._refuse("quantization", f"{package} is not installed: pip install {_INSTALLS[package]}")
        if self.compile != "none":
            self._check_compilers()
        if self.attention != "auto":
            self._try_attention(dtype)

    def check_parts(self, pipeline: str, parts: Mapping[str, type]) -> None:
        """Raises InputError for what this checkpoint cannot do; `parts` are its classes by component."""
        vae, denoisers = parts.get("vae"), [kind for name, kind in parts.items() if _denoises(name)]
        if self.vae_tiling and not (vae and can_tile(vae)):
            self._refuse(
                "vae_tiling", f"{vae.__name__ if vae else 'no VAE'} cannot render in tiles; allowed: false"
            )
        for kind in denoisers:
            if self.compile != "none" and not getattr(kind, "_repeated_blocks", None):
                self._refuse("compile", f"{kind.__name__} names no repeated blocks; allowed: none")
        if self.encoders != "keep":
            if pipeline in READS_THE_STILL:
                self._refuse("encoders", f"{pipeline}'s text encoder reads each still anew; allowed: keep")
            if "prompt" not in inspect.signature(getattr(diffusers, pipeline).__call__).parameters:
                self._refuse("encoders", f"{pipeline} has no text encoder; allowed: keep")

    def quantization_config(self, parts: Mapping[str, type], dtype: torch.dtype) -> Any:
        """What from_pretrained is told; None where weights are loaded as they are."""
        if self.quantization not in _PACKAGES:
            return None
        mapping = {name: self._quantized(dtype) for name in parts if _denoises(name)}
        return PipelineQuantizationConfig(quant_mapping=mapping)

    def apply(self, pipe: Any, away: Iterable[str]) -> None:
        """Makes the settings true of a loaded pipeline, whose encoders `away` are stand-ins. Raises InputError."""
        denoisers = list(denoisers_of(pipe))
        if self.attention != "auto" and not any(_dispatches(one) for one in denoisers):
            kind = type(denoisers[0]).__name__
            self._refuse("attention", f"{kind} does not let its attention be chosen; allowed: auto")
        if self.vae_tiling:
            pipe.vae.enable_tiling()
        with honest(self.model, f"quantization={self.quantization}"):
            if self.quantization == "fp8-storage":
                for denoiser in denoisers:
                    denoiser.enable_layerwise_casting(
                        storage_dtype=torch.float8_e4m3fn, compute_dtype=denoiser.dtype
                    )
        with honest(self.model, f"offload={self.offload}"):
            self._place(pipe, list(away))
        with honest(self.model, f"compile={self.compile}"):
            if self.compile == "regional":
                for denoiser in denoisers:
                    denoiser.compile_repeated_blocks()

    def attending(self) -> AbstractContextManager[Any]:
        """Within it, attention is computed as asked for. It is set around each take, since diffusers keeps one choice
        for the whole process, which may hold other models."""
        return nullcontext() if self.attention == "auto" else attention_backend(self.attention)

    def attention_used(self, pipe: Any) -> str:
        if any(_dispatches(one) for one in denoisers_of(pipe)):
            return DIFFUSERS_ATTN_BACKEND if self.attention == "auto" else self.attention
        return "torch"

    def _place(self, pipe: Any, away: list[str]) -> None:
        if self.offload == "none":
            pipe.to(self.device)
            return
        if self.offload == "model":
            pipe.enable_model_cpu_offload(device=self.device)
            return
        whole = [*away, *unhookable(pipe)]
        if self.offload == "sequential":
            # Read again whenever hooks are put on: what is named here is put on the device as it is.
            pipe._exclude_from_cpu_offload = [*pipe._exclude_from_cpu_offload, *whole]
            pipe.enable_sequential_cpu_offload(device=self.device)
        else:
            # By leaves: a VAE is entered by encode and decode, where the hooks of whole blocks would not see it.
            pipe.enable_group_offload(
                torch.device(self.device), offload_type="leaf_level", use_stream=True, exclude_modules=whole
            )

    def _quantized(self, dtype: torch.dtype) -> Any:
        if self.quantization == "bnb-8bit":
            return diffusers.BitsAndBytesConfig(load_in_8bit=True)
        if self.quantization == "bnb-4bit":
            return diffusers.BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_compute_dtype=dtype)
        from torchao.quantization import Int8WeightOnlyConfig  # type: ignore[import-not-found,import-untyped,unused-ignore]

        return diffusers.TorchAoConfig(Int8WeightOnlyConfig())

    def _check_compilers(self) -> None:
        """torch writes C++ for a CPU, and for a GPU Triton, which builds a launcher in C."""
        if self.device == "cpu":
            compiler = os.environ.get("CXX", "g++")  # as torch looks for it
            if shutil.which(compiler) is None:
                self._refuse("compile", f"there is no C++ compiler ({compiler}) here; allowed: none")
            return
        if find_spec("triton") is None:
            self._refuse("compile", "the package triton is not installed; allowed: none")
        compiler = os.environ.get("CC", "")
        if not any(shutil.which(one) for one in (compiler, "gcc", "clang", "cc") if one):
            self._refuse("compile", "there is no C compiler here, which Triton needs; allowed: none")

    def _try_attention(self, dtype: torch.dtype) -> None:
        """The surest way to know whether it works here is to do a little of it."""
        if self.device == "cpu" and not self.attention.startswith(("native", "_native")):
            self._refuse("attention", "needs a GPU; allowed here: auto, native, _native_math, _native_flash")
        query = torch.zeros(
            1, 128, 2, 128, dtype=dtype, device=self.device
        )  # (batch, tokens, heads, channels)
        with honest(self.model, f"attention={self.attention}"), attention_backend(self.attention):
            dispatch_attention_fn(query, query, query)

    def _refuse(self, key: str, why: str) -> NoReturn:
        raise InputError(f"{self.model.name}: {key}={getattr(self, key)}: {why}")


def can_tile(vae: Any) -> bool:
    """Whether a VAE, or its class, has code for tiles: enable_tiling alone also succeeds where nothing follows."""
    return hasattr(vae, "tiled_decode")


def denoisers_of(pipe: Any) -> Iterator[Any]:
    for name, component in pipe.components.items():
        if _denoises(name) and component is not None:
            yield component


def _denoises(component: str) -> bool:
    return component.startswith(("transformer", "unet"))


def _dispatches(denoiser: Any) -> bool:
    processors = (getattr(module, "processor", None) for module in denoiser.modules())
    return any(hasattr(processor, "_attention_backend") for processor in processors)


def unhookable(pipe: Any) -> list[str]:
    """Image encoders that torch enters behind the hooks of their leaves, and that are left whole on the GPU therefore.

    SigLIP's head is a MultiheadAttention, which takes the weights of its last layer without calling it. (LTX-2's Gemma
    has one too, for images that it is never shown.)
    """
    return [
        name
        for name, part in pipe.components.items()
        if name.startswith("image_encoder")
        and part is not None
        and any(isinstance(module, nn.MultiheadAttention) for module in part.modules())
    ]


def held_bytes(modules: Iterable[nn.Module], device: str) -> int:
    """Bytes of the modules' weights on a kind of device; what several share counts once."""
    held = {}
    for module in modules:
        for tensor in (*module.parameters(), *module.buffers()):
            for part in _plain(tensor):
                if part.device.type == torch.device(device).type:
                    storage = part.untyped_storage()
                    held[storage.data_ptr(), storage.nbytes()] = storage.nbytes()
    return sum(held.values())


def _plain(tensor: Any) -> list[torch.Tensor]:
    """The tensors that a quantized one is made of; others are themselves."""
    if not hasattr(tensor, "__tensor_flatten__"):
        return [tensor]
    names, _ = tensor.__tensor_flatten__()
    return [part for name in names for part in _plain(getattr(tensor, name))]
