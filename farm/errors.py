"""What can go wrong, and who answers for it.

FarmError
├── InputError        what a person wrote cannot be used (job, catalog, motions, options): exit 2
├── TakeError         one take could not be made; data, not a crash (carries blame and kind)
│   └── StillError    its still cannot be used: no seed, worker or node would mend that
├── Cancelled         a take was told to end; it left nothing behind
├── StoreError        the store did not do what it was asked (carries kind)
├── BrokenFarm        the farm itself failed; the same command resumes: exit 3
│   └── MemoryFull    a device has no room for a model
└── Interrupted       a person stopped it; the same command resumes: exit 130

Each message is one line: what is wrong, where, and what is allowed.
"""

from farm.values import Blame


class FarmError(Exception):
    """The root of all errors that this package raises on purpose."""


class InputError(FarmError):
    """What a person wrote cannot be used; nothing was rendered."""


class TakeError(FarmError):
    """One take could not be made.

    `kind` is a short stable word that may become a metric label (`still_truncated`, `render_nan`).
    """

    def __init__(self, message: str, *, kind: str, blame: Blame = Blame.TASK) -> None:
        super().__init__(message)
        self.kind = kind
        self.blame = blame

    def __reduce__(self) -> tuple[object, ...]:
        # Keyword-only arguments do not survive the default pickling of exceptions.
        return _rebuild, (type(self), str(self), self.kind, self.blame)


class StillError(TakeError):
    """A still that cannot be decoded or used; its kinds start with `still_`."""


class Cancelled(FarmError):
    """A take was told to end before it was done."""


class StoreError(FarmError):
    """The store refused, lost or never answered a request."""

    def __init__(self, message: str, *, kind: str) -> None:
        super().__init__(message)
        self.kind = kind

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild_store, (type(self), str(self), self.kind)


class BrokenFarm(FarmError):
    """The farm cannot go on; what is finished is safe and the same command resumes."""


class MemoryFull(BrokenFarm):
    """A model does not fit into what its device has left; the message says what would make it smaller."""


class Interrupted(FarmError):
    """A person stopped the run; the same command resumes."""


def _rebuild(cls: type[TakeError], message: str, kind: str, blame: Blame) -> TakeError:
    return cls(message, kind=kind, blame=blame)


def _rebuild_store(cls: type[StoreError], message: str, kind: str) -> StoreError:
    return cls(message, kind=kind)
