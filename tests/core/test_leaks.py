"""Secrets in text: every known spelling and shape is found, ordinary code is not, and in line."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifeos.core import leaks

VALUE = "canary+Va/lue=09 zZ&%"
KNOWN = (("CANARY", VALUE),)

SPELLINGS = {
    "plain": VALUE,
    "base64": base64.b64encode(VALUE.encode()).decode(),
    "base64 inside another": base64.b64encode(f"x{VALUE}yz".encode()).decode(),
    "base64 inside, shifted": base64.b64encode(f"xy{VALUE}y".encode()).decode(),
    "base64 for urls": base64.urlsafe_b64encode(VALUE.encode()).decode(),
    "hex": VALUE.encode().hex(),
    "HEX": VALUE.encode().hex().upper(),
    "url": quote(VALUE, safe=""),
    "url in lower case": quote(VALUE, safe="").lower(),
    "every byte in url": "".join(f"%{byte:02X}" for byte in VALUE.encode()),
    "json": json.dumps({"a": VALUE + '"'})[:-2],
    "split": f'x = "{VALUE[:9]}" + \\\n    "{VALUE[9:]}"',
    "list of letters": repr(list(VALUE)),
}


@pytest.mark.parametrize("name", SPELLINGS)
def test_a_known_value_is_found_in_any_spelling(name: str) -> None:
    """And after redaction neither it nor its parts of use are left."""
    text = f"before\n{SPELLINGS[name]}\nafter"
    found = leaks.scan(text, KNOWN)
    assert found
    assert found[0].rule == "value of CANARY"
    assert found[0].line == 2
    assert found[0].known
    clean = leaks.redact(text, KNOWN)
    assert leaks.scan(clean, KNOWN) == ()
    assert clean.startswith("before\n")
    assert clean.endswith("after")


def test_utf16_hides_nothing() -> None:
    """NULs between the letters are dropped before the search."""
    for encoding in ("utf-16-le", "utf-16-be"):
        assert leaks.scan(leaks.as_text(VALUE.encode(encoding)), KNOWN)


def test_a_short_value_is_not_sought() -> None:
    """A password of three letters would be found in every file."""
    assert leaks.scan("abc abc", (("SHORT", "abc"),)) == ()


def test_case_matters_for_the_plain_value() -> None:
    """Another word that differs in case is not the secret."""
    assert leaks.scan("SOMEVALUE", (("K", "somevalue"),)) == ()


SHAPES = {
    "AWS access key": "AKIA" + "IOSFODNN7ABCDEFG",
    "GitHub token": "ghp_" + "a1B2" * 9,
    "GitHub token, fine": "github_pat_" + "11ABCDE0Y0" * 4,
    "GitLab token": "glpat-" + "x1y2z3" * 4,
    "Slack token": "xoxb-" + "123456789012-abcdef",
    "Slack webhook": "https://hooks.slack.com/services/" + "T12345678/B12345678/" + "a1b2c3d4" * 3,
    "Google API key": "AIza" + "Sy" + "a1B2_" * 6 + "abc",
    "Stripe key": "sk_live_" + "a1B2c3D4" * 3,
    "model provider key": "sk-ant-" + "api03-" + "a1B2" * 8,
    "model provider key, older": "sk-" + "a1B2" * 12,
    "npm token": "npm_" + "a1B2" * 9,
    "JSON web token": "eyJhbGciOiJIUzI1NiJ9." + "eyJzdWIiOiIxMjM0NTY3ODkwIn0." + "dozjgNryP4J3jVmN",
    "password in text": 'db_password = "' + 'tR7#kq92Lx"',
    "password in text, env": "DATABASE_PASSWORD=" + "tR7kq92LxWw1",
    "password in text, yaml": "  api_key: '" + "9f8e7d6c5b4a39281706'",
}


@pytest.mark.parametrize("name", SHAPES)
def test_the_shape_of_a_secret_is_found_in_a_patch_too(name: str) -> None:
    """The rule is named, and redaction takes it out of a line and of a patch's added line."""
    for text in (SHAPES[name], "+" + SHAPES[name]):
        assert [leak.rule for leak in leaks.scan(text)] == [name.split(",", maxsplit=1)[0]]
        assert leaks.scan(leaks.redact(text)) == ()
        assert "[redacted: " in leaks.redact(text)


def test_a_private_key_is_redacted_to_its_end() -> None:
    """Not just its first line."""
    key = "-----BEGIN RSA PRIVATE " + "KEY-----\nMIIE\nabc\n-----END RSA PRIVATE " + "KEY-----"
    assert leaks.redact(f"a\n{key}\nb") == "a\n[redacted: private key]\nb"


@pytest.mark.parametrize(
    "text",
    [
        'password = "changeme123"',
        'password = os.environ["PASSWORD"]',
        'token = "${GITHUB_TOKEN1}"',
        "password: str = Field(min_length=8)",
        'password_hint = "your-password-1"',
        'secret = "aaaaaaaaaaaaaaaa1"',
        "API_KEY=<your key here>",
        "AWS documents AKIA" + "IOSFODNN7EXAMPLE",
        "sha256 = '9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08'",
        "tokenize('some text with 3 words')",
        'token_url = "https://login.invalid/oauth2/token"',
        "-----BEGIN PUBLIC KEY-----",
    ],
)
def test_ordinary_code_is_no_secret(text: str) -> None:
    """Placeholders, reads of the environment, digests, documentation."""
    assert leaks.scan(text) == ()


@pytest.mark.parametrize(
    "piece",
    ["eyJ-", "eyJa.", "eyJaaaaaaaaaaaa.eyJ", "a", "AKIA", "xoxb-", "sk-", "password", "password='",
     "-----BEGIN ", "-----BEGIN RSA PRIVATE KEY-----", "A_TOKEN", "SECRET_", "ghp_a", "+", "'\"",
     VALUE[:-1], "%63"],
)  # fmt: skip
def test_the_worst_text_takes_time_in_proportion(piece: str) -> None:
    """A megabyte of near misses ends (with a quadratic pattern it would take hours)."""
    leaks.redact(piece * (1_000_000 // len(piece)), KNOWN)


@given(st.text(max_size=200), st.text(min_size=8, max_size=40))
def test_redaction_is_final(text: str, value: str) -> None:
    """Whatever the value, it is not in the redacted text; what was clean is unchanged."""
    clean = leaks.redact(f"{text}{value}{text}", (("K", value),))
    assert value not in clean or value in "[redacted: value of K]"
    if not leaks.scan(text):
        assert leaks.redact(text) == text
