"""URLs as they may be shown: without user names, passwords, signatures and tokens.

Invariant: what is shown of a URL is its scheme, host (or bucket) and path; where it cannot be told which part is a
password, more is dropped rather than less.
"""

import re

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_URL_IN_TEXT = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s'\"<>]+")
_CHAIN = re.compile(r"::(?=[A-Za-z][A-Za-z0-9+.-]*://)")
_AUTHORITY_END = re.compile(r"[/?#]")

_WEB = frozenset({"http", "https"})
# abfs://container@account.dfs.core.windows.net: what stands before the @ is a place, not a person.
_CONTAINER_SCHEMES = frozenset({"abfs", "abfss", "wasb", "wasbs"})


def redact(url: str) -> str:
    """The URL without user information, query and fragment; anything without a scheme comes back as it is.

    On other schemes than http, `?` and `#` may be part of a key: they are dropped with what follows only where that
    holds a `=`, as signatures and tokens do.
    """
    if not _URL.match(url):
        return url
    return "::".join(_redact_one(part) for part in _CHAIN.split(url))


def redact_all(text: str) -> str:
    """A text, such as another program's error message, with every URL in it redacted."""
    return _URL_IN_TEXT.sub(lambda found: redact(found.group()), text)


def _redact_one(url: str) -> str:
    scheme, mark, rest = url.partition("://")
    web = scheme.lower() in _WEB
    authority, tail = _split(rest)
    if "@" in authority:
        if scheme.lower() not in _CONTAINER_SCHEMES or ":" in authority:
            authority = authority.rpartition("@")[2]
    elif "@" in tail and _may_hold_password(authority, web):
        authority, tail = _split(rest.rpartition("@")[2])
    marked = re.search(r"[?#]", tail)
    if marked and (web or "=" in tail[marked.start() :]):
        tail = tail[: marked.start()]
    return f"{scheme}{mark}{authority}{tail}"


def _split(rest: str) -> tuple[str, str]:
    end = _AUTHORITY_END.search(rest)
    return (rest[: end.start()], rest[end.start() :]) if end else (rest, "")


def _may_hold_password(authority: str, web: bool) -> bool:
    # A raw "/", "?" or "#" inside a password ends the authority too early: "s3://KEY:se/cret@bucket".
    _, colon, port = authority.partition(":")
    return bool(colon) and not (web and port.isdecimal())
