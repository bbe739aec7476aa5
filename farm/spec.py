"""Job: what a person writes, checked before anything is read, rendered or written.

Invariant: a Job that exists is consistent in itself; what only the world can tell (stills, motions, models) is
checked by the rooms that own it.
"""

import re
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field, PlainSerializer, field_validator, model_validator

from farm.catalog.motions import MotionsSpec
from farm.documents import Document, parse_yaml, read_yaml, validate
from farm.errors import InputError
from farm.values import Scalar

MAX_TAKES = 64  # a shot's takes are one 64-bit mask in the ledger
_SIZE = re.compile(r"native|480p|720p|[1-9][0-9]{1,3}x[1-9][0-9]{1,3}")


def _rate(value: object) -> Fraction:
    if isinstance(value, bool) or not isinstance(value, int | float | str | Fraction):
        raise ValueError('expected frames per second, such as 24, 23.976 or "24000/1001"')
    try:
        # A decimal such as 23.976 means the broadcast rate 24000/1001, the nearest fraction that small.
        rate = Fraction(value).limit_denominator(1001)
    except (ValueError, ZeroDivisionError, OverflowError):
        raise ValueError('expected frames per second, such as 24, 23.976 or "24000/1001"') from None
    if not 1 <= rate <= 120:
        raise ValueError("expected 1 to 120 frames per second")
    return rate


def _auto(value: object) -> object:
    if value != "auto" and not isinstance(value, bool):
        raise ValueError("expected auto, true or false")
    return value


Rate = Annotated[Fraction, BeforeValidator(_rate), PlainSerializer(str)]
Auto = Annotated[bool | Literal["auto"], BeforeValidator(_auto)]


class ModelSpec(Document):
    """One model by name, or by path or repo with what its family may be told (checked by the family)."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Scalar]

    name: str = Field(min_length=1, max_length=200)
    path: str | None = Field(None, min_length=1)
    repo: str | None = Field(None, min_length=1)
    revision: str | None = Field(None, min_length=1)
    family: str | None = Field(None, min_length=1)
    dtype: str | None = None

    @model_validator(mode="after")
    def _one_place(self) -> "ModelSpec":
        if self.path is not None and self.repo is not None:
            raise ValueError("give path or repo, not both")
        return self

    def options(self) -> dict[str, Scalar]:
        own = {"dtype": self.dtype} if self.dtype is not None else {}
        return own | (self.__pydantic_extra__ or {})


class TakesSpec(Document):
    min: int = Field(2, ge=1, le=MAX_TAKES)
    max: int = Field(4, ge=1, le=MAX_TAKES)
    seed: int = Field(0, ge=0, le=2**31)
    policy: Literal["ladder", "worth"] = "worth"

    @model_validator(mode="after")
    def _ordered(self) -> "TakesSpec":
        if self.min > self.max:
            raise ValueError(f"min={self.min} is more than max={self.max}; allowed: min <= max")
        return self


class RenderSpec(Document):
    seconds: float | None = Field(None, gt=0, le=60)
    frames: int | None = Field(None, ge=2, le=1800)
    size: str = "native"
    fit: Literal["crop", "pad"] = "crop"
    steps: int | None = Field(None, ge=1, le=1000)
    guidance: float | None = Field(None, ge=0, le=100)
    fps: Rate | None = None

    @field_validator("size")
    @classmethod
    def _known_size(cls, size: str) -> str:
        if not _SIZE.fullmatch(size):
            raise ValueError("expected native, 480p, 720p or WIDTHxHEIGHT such as 1280x720")
        return size

    @model_validator(mode="after")
    def _one_length(self) -> "RenderSpec":
        if self.seconds is not None and self.frames is not None:
            raise ValueError("give seconds or frames, not both")
        return self


class ScoreSpec(Document):
    accept: float = Field(0.7, ge=0, le=1)
    faces: Auto = "auto"
    learned: list[Annotated[str, Field(min_length=1)]] = Field(default_factory=list)


class TrimSpec(Document):
    seconds: float = Field(2.0, gt=0, le=60)


class WorkersSpec(Document):
    max: int = Field(8, ge=1, le=10_000)
    gpus: float | None = Field(None, ge=0, le=16)
    cpus: float = Field(1, gt=0, le=256)


class BudgetSpec(Document):
    usd: float | None = Field(None, gt=0)
    hours: float | None = Field(None, gt=0)


class Job(Document):
    """What is to be rendered, judged and stored, and what it may cost."""

    name: str = Field("", max_length=200)
    stills: str = Field(min_length=1)
    motions: MotionsSpec
    models: list[str | ModelSpec] = Field(min_length=1)
    takes: TakesSpec = TakesSpec()
    render: RenderSpec = RenderSpec()
    score: ScoreSpec = ScoreSpec()
    trim: TrimSpec = TrimSpec()
    output: str = Field(min_length=1)
    workers: WorkersSpec = WorkersSpec()
    budget: BudgetSpec = BudgetSpec()
    prices: dict[str, Annotated[float, Field(ge=0)]] = Field(default_factory=dict)

    @field_validator("models", mode="before")
    @classmethod
    def _one_model(cls, value: object) -> object:
        return [value] if isinstance(value, str) else value

    def model_specs(self) -> tuple[ModelSpec, ...]:
        return tuple(ModelSpec(name=model) if isinstance(model, str) else model for model in self.models)


def read_job(path: Path, overrides: Sequence[str] = ()) -> Job:
    """The job of a YAML file with `--set` overrides such as "takes.max=6" applied.

    Raises InputError with one line: file, place, what is wrong, what is allowed.
    """
    document = read_yaml(path)
    if not isinstance(document, dict):
        raise InputError(f"{path}: expected a job: a mapping with stills, motions, models and output")
    for override in overrides:
        _apply(document, override)
    job = validate(Job, document, where=str(path))
    return job if job.name else job.model_copy(update={"name": path.stem})


def model_of(name: str, overrides: Sequence[str] = ()) -> ModelSpec:
    """One model by name, with "path=DIR" and the like applied; as it would stand in a job. Raises InputError."""
    document: dict[Any, Any] = {"name": name}
    for override in overrides:
        _apply(document, override)
    return validate(ModelSpec, document, where=f"models check {name}")


def _apply(document: dict[Any, Any], override: str) -> None:
    place, equals, text = override.partition("=")
    keys = place.strip().split(".")
    if not equals or not all(keys):
        raise InputError(f"--set {override}: expected KEY=VALUE, such as takes.max=6")
    here = document
    for key in keys[:-1]:
        inner = here.setdefault(key, {})
        if not isinstance(inner, dict):
            raise InputError(f"--set {override}: {key} holds a single value, it has no {keys[-1]}")
        here = inner
    here[keys[-1]] = parse_yaml(text, where=f"--set {override}")
