"""How long a store is borne with: what is tried again, in which pauses, and what is not."""

import errno
import pickle
import random
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from outcomes import Clock

from farm.errors import PASSING, StoreError
from farm.store.patience import Patience
from farm.store.trouble import Trouble, kind_of, told


def failing(*errors: OSError) -> Callable[[], str]:
    """A call that raises each in turn, then answers."""
    left = list(errors)

    def call() -> str:
        if left:
            raise left.pop(0)
        return "answer"

    return call


def away() -> OSError:
    return Trouble("unreachable", "no route")


@settings(deadline=None)
@given(st.integers(0, 2**32), st.floats(0, 120))
def test_nobody_sleeps_past_the_limit_and_pauses_are_bounded(seed: int, limit_s: float) -> None:
    drawn: list[float] = []
    slept: list[float] = []
    source = random.Random(seed)

    class Noted(Clock):
        def sleep(self, seconds: float) -> None:
            slept.append(seconds)
            super().sleep(seconds)

    def chance() -> float:
        drawn.append(source.random())
        return drawn[-1]

    clock = Noted()
    with pytest.raises(OSError, match="no route"):
        Patience(limit_s, clock, chance).bear(failing(*(away() for _ in range(5000))))
    assert clock.at_s <= limit_s
    bounds = [min(10.0, 0.2 * 2**tries) for tries in range(1, len(drawn) + 1)]
    pauses = [draw * bound for draw, bound in zip(drawn, bounds, strict=True)]
    assert slept == pauses[:-1], "the last was too long for what was left"
    assert clock.at_s + pauses[-1] > limit_s


def test_the_first_try_needs_no_patience() -> None:
    assert Patience(0, Clock()).bear(failing()) == "answer"


def test_what_does_not_pass_is_raised_at_once() -> None:
    clock = Clock()
    for error in (
        OSError(errno.ENOSPC, "full"),
        Trouble("denied", "no"),
        FileNotFoundError("x"),
        OSError("?"),
    ):
        with pytest.raises(OSError) as caught:
            Patience(60, clock).bear(failing(error))
        assert caught.value is error and not hasattr(error, "__notes__")
    assert clock.at_s == 0
    clock.at_s = 5.0
    with pytest.raises(OSError, match="full"):
        Patience(60, clock, lambda: 0.5).bear(failing(away(), OSError(errno.ENOSPC, "full")))
    assert clock.at_s == 5.2, "it was waited for once, for what passes"


def test_two_copies_do_not_draw_alike() -> None:
    copy = pickle.loads(pickle.dumps(Patience(7)))
    assert copy.limit_s == 7
    assert [copy.chance() for _ in range(3)] != [Patience().chance() for _ in range(3)]


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (OSError(errno.ENOSPC, ""), "disk_full"),
        (OSError(errno.EDQUOT, ""), "disk_full"),
        (OSError(errno.EROFS, ""), "read_only"),
        (PermissionError(errno.EACCES, ""), "denied"),
        (PermissionError("a library's, without a number"), "denied"),
        (OSError(errno.ESTALE, ""), "unreachable"),
        (ConnectionRefusedError(errno.ECONNREFUSED, ""), "unreachable"),
        (ConnectionResetError("a library's, without a number"), "unreachable"),
        (TimeoutError(), "timeout"),
        (OSError(errno.EIO, ""), "other"),
        (NotADirectoryError(errno.ENOTDIR, ""), "other"),
    ],
)
def test_kinds(error: OSError, kind: str) -> None:
    assert kind_of(error) == kind
    assert StoreError("x", kind=kind).passing is (kind in PASSING)
    assert pickle.loads(pickle.dumps(StoreError("x", kind=kind))).passing is (kind in PASSING)


def test_the_line_says_what_to_do_and_hides_secrets() -> None:
    error = Trouble("unreachable", "Could not connect\nto http://me:hunter2@host/x?token=abc")
    error.add_note("tried 3 times in 5 s")
    assert told(error) == (
        "Could not connect to http://host/x (tried 3 times in 5 s); "
        "check the network and the store's address (for S3: AWS_ENDPOINT_URL)"
    )
