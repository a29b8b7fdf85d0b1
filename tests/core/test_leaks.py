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
    "backwards": VALUE[::-1],
    "base32": base64.b32encode(VALUE.encode()).decode(),
    "base64 over lines": "\n".join(
        base64.b64encode(VALUE.encode()).decode()[at : at + 8] for at in range(0, 28, 8)
    ),
    "base64 in parts of a literal": f"'{base64.b64encode(VALUE.encode()).decode()[:13]}'\n'"
    f"{base64.b64encode(VALUE.encode()).decode()[13:]}'",
    "a dump in hex": " ".join(f"{byte:02x}" for byte in VALUE.encode()),
    "escapes": "".join(f"\\x{byte:02X}" for byte in VALUE.encode()),
    "Unicode escapes": "".join(f"\\u{byte:04x}" for byte in VALUE.encode()),
    "a list of hex numbers": ", ".join(f"0x{byte:02x}" for byte in VALUE.encode()),
    "a list of numbers": repr(list(VALUE.encode())),
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
    "GitLab token, of a runner": "glrt-" + "x1y2z3" * 4,
    "Slack token, of an app": "xapp-1-" + "A0123-456-" + "a1b2" * 6,
    "Google client secret": "GOCSPX-" + "a1B2" * 7,
    "Stripe webhook secret": "whsec_" + "a1B2" * 8,
    "model provider key, groq": "gsk_" + "a1B2" * 13,
    "model provider key, xai": "xai-" + "a1B2" * 20,
    "Hugging Face token": "hf_" + "aBcDeFgHiJ" * 3 + "aBcD",
    "RubyGems key": "rubygems_" + "a1b2" * 12,
    "NuGet key": "oy2" + "a2b3" * 10 + "a2b",
    "Docker token": "dckr_pat_" + "a1B" * 9,
    "Artifactory key": "AKCp" + "a1B" * 23,
    "Atlassian token": "ATATT3" + "a1B2" * 46,
    "DigitalOcean token": "dop_v1_" + "a1b2" * 16,
    "Databricks token": "dapi" + "a1b2" * 8,
    "Grafana token": "glsa_" + "a1B2" * 9,
    "Vault token": "hvs." + "a1B2" * 23,
    "Linear key": "lin_api_" + "a1B2" * 10,
    "Postman key": "PMAK-" + "a1b2" * 6 + "-" + "a1b2" * 8 + "a1",
    "SendGrid key": "SG." + "a1B2c3" * 3 + "a1B2." + "a1B2" * 10 + "a1B",
    "Shopify token": "shpat_" + "a1b2" * 8,
    "Square token": "sq0csp-" + "a1B2" * 10 + "a1B",
    "Tailscale key": "tskey-" + "auth-kaB1c2D3-" + "a1B2" * 6,
    "Twilio key": "SK" + "a1b2" * 8,
    "Mailchimp key": "a1b2" * 8 + "-us12",
    "Telegram token": "123456789" + ":AA" + "a1B" * 11,
    "Discord token": "M" + "Ta1b2" * 5 + ".a1B2c3." + "a1B" * 9,
    "chat webhook": "https://discord.com/api/webhooks/" + "1" * 18 + "/" + "a1B2" * 17,
    "OpenAI key": "sk_" + "a1B2" * 5 + "T3Blbk" + "FJ" + "a1B2" * 5,
    "Azure key": "AccountKey=" + "a1B2" * 21 + "a1==",
    "Azure client secret": "abc8Q~" + "a1B2" * 8,
    "Terraform token": "a1B2c3D4e5F6g7" + ".atlasv1." + "a1B2" * 16,
    "age key": "AGE-SECRET-" + "KEY-1" + "QPZRY9X8GF" * 5 + "QPZRY9X8",
    "PuTTY key": "PuTTY-User-Key-" + "File-2: ssh-rsa",
    "password in text, address": "postgres://app:" + "tR7kq92LxWw1" + "@db.internal/app",
    "password in text, header": "Authorization: " + "Bearer tR7kq92LxWw1uU8v",
    "password in text, curl": "curl -H 'Authorization: " + "token tR7kq92LxWw1uU8v'",
    "password in text, npmrc": "//registry.invalid/:_auth" + "Token=tR7kq92LxWw1uU8v",
    "password in text, netrc": "machine h login me " + "password tR7kq92LxWw1",
    "password in text, ini": "aws_secret_access_key = " + "tR7kq92LxWw1uU8v/Q+aB3",
    "password in text, plain yaml": "  db_password: " + "tR7kq92LxWw1uU8v",
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
        "postgres://user:password@localhost/db",
        "https://github.invalid/owner/repo@v1.2.3",
        "token: str = self._next_token(stream2)",
        "tokens_in: int",
        "  secret: ${{ secrets.NPM_TOKEN }}",
        "Authorization: Bearer <token>",
        "Authorization: Basic realm",
        "key-value-store-of-0123456789abcdef",
        "SKIP_0123456789abcdef0123456789abcdef",
        "task-" + "a1B2" * 12,
        "digest: sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    ],
)
def test_ordinary_code_is_no_secret(text: str) -> None:
    """Placeholders, reads of the environment, digests, documentation."""
    assert leaks.scan(text) == ()


@pytest.mark.parametrize(
    "piece",
    ["eyJ-", "eyJa.", "eyJaaaaaaaaaaaa.eyJ", "a", "AKIA", "xoxb-", "sk-", "password", "password='",
     "-----BEGIN ", "-----BEGIN RSA PRIVATE KEY-----", "A_TOKEN", "SECRET_", "ghp_a", "+", "'\"",
     VALUE[:-1], "%63", "://a:", "://", "authorization: bearer ", "token: a1", "token=", "Ma.",
     ":_auth=", "login a password ", "a1B2", "0a", "patA", "Q~", "1:AA", "-us", ".atlasv1.", "SG.",
     "ghp_", "glpat-", "eyJaaaaaaaaaaa", "hooks.slack.com/services/T", "c a n a r y ", "0x63, "],
)  # fmt: skip
def test_the_worst_text_takes_time_in_proportion(piece: str) -> None:
    """A megabyte of near misses ends (with a quadratic pattern it would take hours)."""
    leaks.redact(piece * (1_000_000 // len(piece)), KNOWN)


ENVIRON = {
    "GITHUB_TOKEN": "value-one",
    "MY_MODEL": "value-two\n",
    "OPENROUTER_KEY": "value-three",
    "CI_TOKEN": "value-four",
    "DATABASE_URL": "postgres://app:value-five@host/db",
    "PLAIN_URL": "https://host/path",
    "BAD_URL": "http://[::1",
    "LANG": "C.UTF-8",
    "KEYBOARD": "us",
}


def test_the_keys_of_providers_are_secrets_whatever_they_are_called() -> None:
    """A name says it, or the configuration does; the envelope can only release what is no key."""
    names = dict(leaks.values_of(ENVIRON, keys={"MY_MODEL"}, handed_through={"CI_TOKEN"}))
    assert names == {
        "DATABASE_URL": "value-five",
        "GITHUB_TOKEN": "value-one",
        "MY_MODEL": "value-two",
        "OPENROUTER_KEY": "value-three",
    }
    handed = dict(leaks.values_of(ENVIRON, keys={"MY_MODEL"}, handed_through={"MY_MODEL"}))
    assert handed["MY_MODEL"] == "value-two"
    assert "CI_TOKEN" in handed


@given(st.text(max_size=200), st.text(min_size=8, max_size=40))
def test_redaction_is_final(text: str, value: str) -> None:
    """Whatever the value, it is not in the redacted text; what was clean is unchanged."""
    clean = leaks.redact(f"{text}{value}{text}", (("K", value),))
    assert value not in clean or value in "[redacted: value of K]"
    if not leaks.scan(text):
        assert leaks.redact(text) == text
