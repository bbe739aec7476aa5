"""What kind of thing an object is, in the words of the web. Invariant: it follows from the key alone."""

from pathlib import PurePosixPath

# Browsers show the dailies from the bucket only when told what they get.
_CONTENT_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".json": "application/json",
    ".mp4": "video/mp4",
    ".parquet": "application/vnd.apache.parquet",
    ".webp": "image/webp",
}


def headers(key: str) -> dict[str, str]:
    """What S3 is told with an object."""
    known = _CONTENT_TYPES.get(PurePosixPath(key).suffix)
    return {"ContentType": known} if known else {}
