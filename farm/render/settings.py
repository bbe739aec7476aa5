"""What a job may say of any diffusers model, beside its place and its family's own arguments.

Invariant: PIXELS may change what is rendered and are part of a take's identity; HOSTING decides where and how a
model is held, changes no bit, and is not.
"""

from collections.abc import Mapping

from farm.values import Scalar

# name -> what it may be; the first is the default.
PIXELS: Mapping[str, tuple[Scalar, ...]] = {
    "dtype": ("auto", "float32", "bfloat16", "float16"),
    "vae_tiling": (False, True),
    "quantization": ("none", "fp8-storage", "torchao-int8", "bnb-8bit", "bnb-4bit"),
    "compile": ("none", "regional"),
    # The names are those of diffusers; what is missing for one is said when the model is loaded. Those that end in
    # _hub are not offered: they run code that is downloaded.
    "attention": (
        "auto",
        "native",
        "_native_math",
        "_native_flash",
        "_native_efficient",
        "_native_cudnn",
        "flash",
        "_flash_3",
        "sage",
        "xformers",
    ),
}
HOSTING: Mapping[str, tuple[Scalar, ...]] = {
    "device": ("auto", "cpu", "cuda"),
    "offload": ("none", "model", "group", "sequential"),
    "encoders": ("keep", "cpu", "drop"),
}
SETTINGS: Mapping[str, tuple[Scalar, ...]] = {**PIXELS, **HOSTING}
