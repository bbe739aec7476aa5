"""Models by the name of a repository on the Hugging Face hub, or on what HF_ENDPOINT names, through its own cache.

Invariant: what the client library raises leaves this module as InputError, in one line. Where the cache holds what
is asked for, no network is needed; with HF_HUB_OFFLINE none is tried.
"""

import re
from pathlib import Path

from farm.catalog.naming import printable
from farm.errors import InputError
from farm.redact import redact_all
from farm.render.listing import INDEX, Folder, patterns, read_json

# Other precisions of the same weights: model.fp16.safetensors, model-00001-of-00002.fp16.safetensors.
_VARIANTS = ["*.*.safetensors", "*.index.*.json"]
_GLANCE = [INDEX, "*/config.json"]
_COMMIT = re.compile(r"[0-9a-f]{40}")


def follows_publisher(revision: str) -> bool:
    """Whether a revision names a branch or tag, which the publisher may move."""
    return _COMMIT.fullmatch(revision) is None


def snapshot(repo: str, revision: str, *, said: str) -> Path:
    """The folder of a repository's pipeline, whole: from the cache, else from the network.

    Raises InputError, starting with `said`.
    """
    glance = _fetched(repo, revision, [INDEX], said, online=True)
    index = read_json(Folder(glance, said), INDEX)
    return _fetched(repo, revision, patterns(index), said, online=True)


def look(repo: str, revision: str, *, said: str) -> Path:
    """A folder with a repository's model_index.json and configs; more may be in it. Raises InputError."""
    return _fetched(repo, revision, _GLANCE, said, online=True)


def cached(repo: str, revision: str) -> Path | None:
    """The folder in the cache, whether it is whole or not; None where there is none."""
    try:
        return _fetched(repo, revision, [INDEX], "", online=False)
    except InputError:
        return None


def _fetched(repo: str, revision: str, allowed: list[str], said: str, online: bool) -> Path:
    import huggingface_hub
    from huggingface_hub import constants, errors
    from huggingface_hub.errors import HTTPError  # type: ignore[attr-defined]  # its HTTP library's, no OSError
    from huggingface_hub.utils.tqdm import disable_progress_bars

    if constants.HF_HUB_DISABLE_PROGRESS_BARS is None:
        disable_progress_bars()  # nobody looks at a worker's; who sets the variable to 0 sees them
    try:
        folder = huggingface_hub.snapshot_download(
            repo,
            revision=revision,
            allow_patterns=allowed,
            ignore_patterns=_VARIANTS,
            local_files_only=not online,
        )
    except (OSError, ValueError, errors.RevisionResolutionError, HTTPError) as e:
        raise InputError(f"{said}: {_told(e, repo, revision, online)}") from e
    if not (Path(folder) / INDEX).is_file():
        raise InputError(f"{said}: no {INDEX} in {repo} at {revision}; expected a diffusers model")
    return Path(folder)


def _told(error: Exception, repo: str, revision: str, online: bool) -> str:
    from huggingface_hub import constants, errors

    if isinstance(error, errors.GatedRepoError):
        return f"{repo} is gated: accept its licence on its page, and set HF_TOKEN to a token of that account"
    if isinstance(error, errors.RepositoryNotFoundError):
        return f"{repo}: no such repository, or a private one; check its spelling, or set HF_TOKEN"
    if isinstance(error, errors.RevisionNotFoundError):
        return f"{repo} has no revision {revision!r}; expected a branch, a tag or a commit"
    if isinstance(error, errors.HFValidationError):
        return f"{repo!r} is no name of a repository; expected OWNER/NAME"
    if isinstance(error, errors.LocalEntryNotFoundError):
        part = "not all of " if isinstance(error, errors.IncompleteSnapshotError) else ""
        if not online or constants.HF_HUB_OFFLINE:
            offline = ", and HF_HUB_OFFLINE is set" if constants.HF_HUB_OFFLINE else ""
            held = "is in the local cache" if part else "is not in the local cache"
            return f"{part}{repo} at {revision} {held}{offline}; download it first"
        held = "only a part of it is in the local cache" if part else "it is not in the local cache"
        return f"{repo}: {constants.ENDPOINT} cannot be reached, and {held}"
    status = getattr(getattr(error, "response", None), "status_code", None)
    if isinstance(status, int):
        return f"{repo}: {constants.ENDPOINT} answered with status {status}"
    why = printable(redact_all(" ".join(str(error).split())))[:200]
    return f"{repo} cannot be fetched: {why or type(error).__name__}"
