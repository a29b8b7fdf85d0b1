"""Whatever is wrong in the configuration, the error ends with what to do about it."""

from __future__ import annotations

import pytest

from lifeos.governance import load_set
from lifeos.initial import render_init

CONFIG = ".lifeos/config.yaml"
PROVIDER = 'providers: {p: {url: "https://models.example/v1"}}\n'


def fixes(text: str) -> list[tuple[str, str]]:
    """Each problem of a configuration with this in it, and its fix."""
    files = dict(render_init("Ann", "ann@example.invalid", "main", ()))
    files[CONFIG] = f"version: 1\n{text}\n".encode()
    return [(problem.message, problem.fix) for problem in load_set(files).problems]


@pytest.mark.parametrize("url", ["ftp://x", "", "https://me:word@x/v1", "https://x/v1?a=b", "x"])
def test_an_address_that_is_none_is_shown_one(url: str) -> None:
    """Without saying it again: there may be a password in it."""
    ((message, fix),) = fixes(f'providers: {{p: {{url: "{url}"}}}}')
    assert message.startswith("`providers.p.url`: a provider's address is")
    assert fix.startswith("write it like `url: https://HOST/v1`")
    assert "word" not in message + fix


def test_a_provider_elsewhere_without_https_is_told_how() -> None:
    """Encrypted, or on this machine."""
    ((message, fix),) = fixes('providers: {p: {url: "http://models.example/v1"}}')
    assert "without https" in message
    assert fix.startswith("write `https://`, or reach it at http://127.0.0.1")


@pytest.mark.parametrize("key", ["input", "output", "cached"])
def test_a_negative_price_is_told_what_it_may_be(key: str) -> None:
    """Nothing costs less than nothing."""
    price = {"input": 1, "output": 1, key: -1}
    shown = ", ".join(f"{name}: {value}" for name, value in price.items())
    model = f"{{provider: p, id: x, price: {{{shown}}}}}"
    ((message, fix),) = fixes(f"{PROVIDER}models: {{m: {model}}}")
    assert message == f"`models.m.price.{key}` must be 0 or more, not -1"
    assert fix == "write 0, or a larger number"


@pytest.mark.parametrize(
    "wrong",
    [
        "id_prefix: lo",
        "providers: {P: {url: 'https://x/v1'}}",
        "providers: {p: {}}",
        "providers: {p: {url: 'https://x/v1', wire: smoke}}",
        "providers: {p: {url: 'https://x/v1', key_env: 'a b'}}",
        "providers: [p]",
        f"{PROVIDER}models: {{m: {{provider: p, id: ''}}}}",
        f"{PROVIDER}models: {{m: {{provider: p, id: x, family: 'A B'}}}}",
        f"{PROVIDER}models: {{m: {{provider: p, id: x, context: 0}}}}",
        f"{PROVIDER}models: {{m: {{provider: p, id: x, context: 99999999999}}}}",
        f"{PROVIDER}models: {{m: {{provider: p, id: x, price: 3}}}}",
        f"{PROVIDER}models: {{m: {{provider: q, id: x}}}}",
        "agents: {build: opencode}",
        "agents: {build: command}",
        "command: {run: ''}",
        "command: {run: x, answer: ../x}",
        "command: {run: x, tools: x}",
        "command: {run: x, environment: {'A B': c}}",
        "checks: [{name: a, run: b, kind: test}, {name: a, run: b, kind: test}]",
        "checks: [{name: a, run: b, kind: test, pinned: ['/x']}]",
    ],
)
def test_every_error_of_the_configuration_has_its_next_action(wrong: str) -> None:
    """Also where the fix is only where to look it up."""
    found = fixes(wrong)
    assert found
    for message, fix in found:
        assert fix, message
