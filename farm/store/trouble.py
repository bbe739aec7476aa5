"""What goes wrong with a store: its kind, and what a person does about it.

Invariant: every OSError of a place has exactly one kind. Only kinds that pass by themselves (errors.PASSING) are worth
another try; what is not known is `other`, which nobody waits for.
"""

import errno

from farm.redact import redact_all


class Trouble(OSError):
    """An OSError whose kind is known better than its number tells; `do` is what a person does about it."""

    def __init__(self, kind: str, message: str, do: str = "") -> None:
        super().__init__(message)
        self.kind = kind
        self.do = do


_KIND_OF_ERRNO = {
    errno.ENOSPC: "disk_full",
    errno.EDQUOT: "disk_full",
    errno.EROFS: "read_only",
    errno.EACCES: "denied",
    errno.EPERM: "denied",
    errno.ETIMEDOUT: "timeout",
    errno.EBUSY: "unavailable",
    errno.EAGAIN: "unavailable",
    # Of network file systems and FUSE mounts, whose server is away.
    errno.EHOSTDOWN: "unreachable",
    errno.EHOSTUNREACH: "unreachable",
    errno.ENETDOWN: "unreachable",
    errno.ENETUNREACH: "unreachable",
    errno.ENOTCONN: "unreachable",
    errno.ESTALE: "unreachable",
}

_DO = {
    "unreachable": "check the network and the store's address (for S3: AWS_ENDPOINT_URL)",
    "throttled": "the store asks for fewer requests at a time: fewer workers, or more patience",
    "timeout": "the store is slow or the network is: look at both",
    "unavailable": "the store has trouble of its own: look at its status",
    "denied": "let these credentials (or this user) read, write, list and delete here",
    "expired": "renew the credentials where the farm runs, then give the same command again",
    "missing_bucket": "make the bucket, or mend `output`",
    "disk_full": "make room there, then give the same command again",
    "read_only": "mount it so that it can be written, or choose another `output`",
}

# S3's codes, and those of HTTP that stand in for them where an answer has no body (HEAD) or came from a gateway.
_KIND_OF_CODE = {
    "SlowDown": "throttled",
    "Throttling": "throttled",
    "ThrottlingException": "throttled",
    "RequestLimitExceeded": "throttled",
    "TooManyRequests": "throttled",
    "429": "throttled",
    "RequestTimeout": "timeout",
    "504": "timeout",
    "InternalError": "unavailable",
    "ServiceUnavailable": "unavailable",
    "OperationAborted": "unavailable",
    "UnknownError": "unavailable",  # Ceph, where several write one object at the same instant
    "ConditionalRequestConflict": "unavailable",  # another writer, at the same instant
    "500": "unavailable",
    "502": "unavailable",
    "503": "unavailable",
    "AccessDenied": "denied",
    "AccountProblem": "denied",
    "AllAccessDisabled": "denied",
    "InvalidAccessKeyId": "denied",
    "InvalidSecurity": "denied",
    "InvalidToken": "denied",
    "NotSignedUp": "denied",
    "RequestTimeTooSkewed": "denied",
    "SignatureDoesNotMatch": "denied",
    "401": "denied",
    "403": "denied",
    "ExpiredToken": "expired",
    "RequestExpired": "expired",
    "TokenRefreshRequired": "expired",
    "NoSuchBucket": "missing_bucket",
    "InsufficientStorage": "disk_full",
    "QuotaExceeded": "disk_full",
    "XMinioStorageFull": "disk_full",
    "507": "disk_full",
    "NoSuchKey": "missing",
    "404": "missing",
}

_DO_OF_CODE = {
    "InvalidAccessKeyId": "the store does not know this access key (revoked, or of another store): "
    "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    "SignatureDoesNotMatch": "the secret key does not fit the access key: set AWS_SECRET_ACCESS_KEY",
    "InvalidToken": "the session token does not fit the keys: set AWS_SESSION_TOKEN",
    "RequestTimeTooSkewed": "this machine's clock is wrong: set it",
    "XMinioStorageFull": "make room in the store, then give the same command again",
    "QuotaExceeded": "raise the quota or make room, then give the same command again",
}

NO_CREDENTIALS = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile, where the farm runs"


def of_code(code: str, message: str = "") -> Trouble:
    """What S3's error code amounts to."""
    return Trouble(_KIND_OF_CODE.get(code, "other"), message or code, _DO_OF_CODE.get(code, ""))


def kind_of(e: OSError) -> str:
    if isinstance(e, Trouble):
        return e.kind
    if isinstance(e, FileNotFoundError):
        return "missing"
    if e.errno in _KIND_OF_ERRNO:
        return _KIND_OF_ERRNO[e.errno]
    # Raised by libraries with a message only.
    if isinstance(e, PermissionError):
        return "denied"
    if isinstance(e, TimeoutError):
        return "timeout"
    return "unreachable" if isinstance(e, ConnectionError) else "other"


def told(e: OSError) -> str:
    """The error in one line without secrets: what happened, how often it was tried, what to do."""
    what = " ".join((e.strerror or str(e) or type(e).__name__).split())
    tried = "".join(f" ({note})" for note in getattr(e, "__notes__", ()))
    do = (e.do if isinstance(e, Trouble) else "") or _DO.get(kind_of(e), "")
    return redact_all(what) + tried + (f"; {do}" if do else "")
