"""The forge in the configuration: what is read from a remote's address, and what is refused."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from lifeos.core.policy.config import Config
from lifeos.core.policy.council import Council
from lifeos.core.policy.envelope import Envelope
from lifeos.core.policy.fitting import conflicts
from lifeos.core.policy.forge import Forge, ForgeKind, repository_of
from lifeos.core.policy.loop import Loop


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("https://github.com/octo/hello.git", ("github.com", "octo/hello")),
        ("https://github.com/octo/hello", ("github.com", "octo/hello")),
        ("https://user:secret@GitHub.com/octo/hello/", ("github.com", "octo/hello")),
        ("https://git.example.org:8443/octo/he.l-lo", ("git.example.org:8443", "octo/he.l-lo")),
        ("git@github.com:octo/hello.git", ("github.com", "octo/hello")),
        ("github.com:octo/hello", ("github.com", "octo/hello")),
        ("ssh://git@ssh.github.com:443/octo/hello.git", ("ssh.github.com", "octo/hello")),
        ("/srv/git/hello.git", None),
        ("../hello", None),
        ("file:///srv/octo/hello.git", None),
        ("https://github.com/hello", None),
        ("https://github.com/a/b/c", None),
        ("https://github.com/octo/..", None),
        ("https://github.com/octo/hel lo", None),
        ("ext::sh -c x% octo/hello", None),
        ("", None),
    ],
)
def test_the_repository_of_a_remote(url: str, found: tuple[str, str] | None) -> None:
    """The forms that git writes are read; anything else names nothing."""
    assert repository_of(url) == found


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "gitlab"},
        {"host": "https://github.com"},
        {"host": "github.com/path"},
        {"host": "user@github.com"},
        {"host": "GitHub.com"},
        {"host": ""},
        {"repository": "hello"},
        {"repository": "octo/../x"},
        {"repository": "octo/hello?x"},
        {"token_env": ""},
        {"token_env": "ghp_some-token"},
        {"token": "x"},
    ],
)
def test_wrong_settings_are_refused(wrong: dict[str, str]) -> None:
    """A host is a host alone, and no token can stand in the file."""
    with pytest.raises(ValidationError):
        Forge.model_validate(wrong)


@pytest.mark.parametrize(("kind", "refused"), [(ForgeKind.GITHUB, 1), (ForgeKind.NONE, 0)])
def test_the_token_is_not_handed_through(kind: ForgeKind, refused: int) -> None:
    """A variable that holds the forge's token cannot be let into the sandbox."""
    forge = Forge.model_validate({"kind": kind, "token_env": "DOOR"})
    config = Config(version=1, forge=forge)
    envelope = Envelope(version=1, environment=("DOOR",))
    found = tuple(conflicts(Loop(version=1), Council(version=1), envelope, config))
    assert len(found) == refused
    assert all("DOOR holds the token of the forge" in each.message for each in found)
