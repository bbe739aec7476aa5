"""What is shown of a URL holds no secret, and is still of use."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farm.redact import redact, redact_all


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("stills/a.jpg", "stills/a.jpg"),
        ("/abs/user@host/a?b=c#d", "/abs/user@host/a?b=c#d"),
        ("s3://bucket/a/b.jpg", "s3://bucket/a/b.jpg"),
        ("s3://bucket/odd#1 (a@b).jpg", "s3://bucket/odd#1 (a@b).jpg"),
        ("s3://bucket/stills/?.jpg", "s3://bucket/stills/?.jpg"),
        ("s3://KEY:SECRET@bucket/a", "s3://bucket/a"),
        ("s3://KEY:SE/CR/ET@bucket/a", "s3://bucket/a"),
        ("s3://KEY:SE?CR#ET@bucket/a", "s3://bucket/a"),
        ("s3://KEY:12/34@bucket/a", "s3://bucket/a"),
        ("s3://bucket/a?X-Amz-Signature=SECRET", "s3://bucket/a"),
        ("https://host/a?sig=SECRET#frag", "https://host/a"),
        ("https://host/a?SECRET", "https://host/a"),
        ("https://host?SECRET@x", "https://host"),
        ("https://user@host:8080/a", "https://host:8080/a"),
        ("https://host:8080/@user/a", "https://host:8080/@user/a"),
        ("https://user:p@ss@host/a", "https://host/a"),
        ("HTTPS://user:p#ss@host/a", "HTTPS://host/a"),
        (
            "abfs://container@account.dfs.core.windows.net/a",
            "abfs://container@account.dfs.core.windows.net/a",
        ),
        ("abfs://account:SECRET@host/a", "abfs://host/a"),
        ("zip://a.jpg::https://user:SECRET@host/a.zip?x=y", "zip://a.jpg::https://host/a.zip"),
        ("ftp://anonymous@host", "ftp://host"),
        ("file:///home/me/a.jpg", "file:///home/me/a.jpg"),
    ],
)
def test_urls_as_they_are_shown(url, shown):
    assert redact(url) == shown


def test_urls_inside_of_messages():
    text = "GET 'https://u:p@h/a?sig=S' failed (s3://K:S@b/c), see /tmp/log"
    assert redact_all(text) == "GET 'https://h/a' failed (s3://b/c), see /tmp/log"


WORD = st.text(st.sampled_from("abzAZ019+/@:?#%.-_~="), min_size=1, max_size=12)


@given(
    scheme=st.sampled_from(["s3", "https", "ftp", "memory", "abfs"]),
    user=st.text(st.sampled_from("abz019"), min_size=1, max_size=5),
    # A raw "@" beside a raw "/", "?" or "#" in one password cannot be told from a host and a path.
    secret=WORD.filter(lambda word: "@" not in word or not set(word) & set("/?#")).map(
        lambda word: f"<{word}>"
    ),
    path=st.text(st.sampled_from("abz019/.-_"), max_size=12),
)
def test_no_password_or_signature_survives(scheme, user, secret, path):
    for url in (f"{scheme}://{user}:{secret}@host/{path}", f"{scheme}://host/{path}?sig={secret}"):
        shown = redact(url)
        assert "<" not in shown
        assert ">" not in shown
        assert shown.startswith(f"{scheme}://host/{path}")
        assert redact(shown) == shown
