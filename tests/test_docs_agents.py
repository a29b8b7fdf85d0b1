"""docs/agents.md, docs/agents-command.md and the templates: what they show can be adopted."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lifeos import strict_yaml
from lifeos.agents.command import PROVIDED
from lifeos.core.policy.config import CommandAgent
from lifeos.governance import load_set
from lifeos.initial import render_init, template

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs" / "agents.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```yaml\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
ALL = "agents: {design: opencode, plan: opencode, build: opencode, review: opencode}\n"
HOSTED = (
    'providers: {openrouter: {url: "https://openrouter.ai/api/v1", key_env: OPENROUTER_API_KEY}}\n'
)
COMMANDS = (ROOT / "docs" / "agents-command.md").read_text(encoding="utf-8")
OTHERS = re.findall(r"^```yaml\n(.*?)^```", COMMANDS, re.MULTILINE | re.DOTALL)
VARIABLE = re.compile(r"\$(?:(\w+)|\{(\w+)[^}]*\})")
CONFIG = [block for block in BLOCKS if "models:" in block or "command:" in block]


def problems(**files: str) -> list[str]:
    """What is wrong with a new repository whose files have these texts (config, council ...)."""
    found = dict(render_init("Ann", "ann@example.invalid", "main", ()))
    paths = {path.rpartition("/")[2].removesuffix(".yaml"): path for path in found}
    found |= {paths[name]: f"version: 1\n{text}".encode() for name, text in files.items()}
    return [str(problem) for problem in load_set(found).problems]


def completed(block: str) -> str:
    """A block with what it leaves to the others: agents, a provider, a model."""
    text = block if re.search("^agents:", block, re.MULTILINE) else ALL + block
    if not re.search("^providers:", text, re.MULTILINE):
        text += HOSTED
    if not re.search("^models:", text, re.MULTILINE):
        text += "models: {main: {provider: openrouter, id: x, price: {input: 1, output: 1}}}\n"
    return text


def test_there_are_three_kinds_of_provider() -> None:
    """A hosted one, Anthropic's protocol, and a server of one's own without a key."""
    shown = [block for block in CONFIG if "providers:" in block]
    assert any("wire: messages" in block for block in shown)
    assert any("http://127.0.0.1" in block and "key_env" not in block for block in shown)
    assert len(shown) >= 4


@pytest.mark.parametrize("block", CONFIG)
def test_every_configuration_of_the_page_can_be_adopted(block: str) -> None:
    """Copied into a new repository, it has no problem."""
    assert problems(config=completed(block)) == []


def test_both_other_programs_are_shown() -> None:
    """Each with a block of settings of its own."""
    assert len(OTHERS) == COMMANDS.count("```yaml") == 2
    assert all("command:" in block for block in OTHERS)


@pytest.mark.parametrize("block", OTHERS)
def test_every_other_program_of_the_page_can_be_adopted(block: str) -> None:
    """Copied into a new repository, it has no problem."""
    assert problems(config=completed(block)) == []


@pytest.mark.parametrize("block", OTHERS)
def test_a_command_line_of_the_page_names_only_what_is_provided(block: str) -> None:
    """A variable that nobody sets would be empty inside, and the program would fail there."""
    value = strict_yaml.read(block.encode(), "agents-command.md").value
    assert isinstance(value, dict)
    settings = CommandAgent.model_validate(value["command"])
    words = " ".join([settings.run, *settings.environment.values()])
    named = {plain or braced for plain, braced in VARIABLE.findall(words)}
    assert {"LIFEOS_MODEL"} < named
    assert named <= {*PROVIDED, "HOME"}


def test_the_tables_of_the_page_are_those_of_the_adapter() -> None:
    """Every variable and every setting, and no other."""
    inside, _, settings = COMMANDS.partition("| setting | what it does |")
    assert tuple(re.findall(r"^\| `(LIFEOS_\w+)`", inside, re.MULTILINE)) == PROVIDED
    rows = re.findall(r"^\| (`.*?) \|", settings, re.MULTILINE)
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    assert named == set(CommandAgent.model_fields)


def test_the_council_of_the_page_can_be_adopted() -> None:
    """With the two models that the page shows above it."""
    (council,) = [block for block in BLOCKS if block.startswith("# policies/council.yaml")]
    (two,) = [block for block in CONFIG if "second/model" in block]
    assert problems(config=completed(two), council=council) == []


def test_a_waiver_of_a_missing_seat_is_what_the_page_says() -> None:
    """The route and the class are words that loop.yaml knows."""
    (loop,) = [block for block in BLOCKS if block.startswith("# policies/loop.yaml")]
    route = re.search(r"validation_error: (\{.*\})", loop)
    assert route is not None
    usual = template("policies/loop.yaml")
    text, count = re.subn(
        r"validation_error: \{.*\}", lambda _: f"validation_error: {route[1]}", usual
    )
    assert count == 1
    text, count = re.subn(
        r"classes: \[test_failure, test_flake\]", re.findall(r"classes: .*", loop)[0], text
    )
    assert count == 1
    assert problems(loop=text.replace("version: 1\n", "", 1)) == []


def test_the_three_lines_of_the_template_work_uncommented() -> None:
    """As they stand in the file that `init` writes, without the `#`."""
    text = template(".lifeos/config.yaml")
    found = re.search(r"^#   agents: \{.*?\}\}\}\n", text, re.MULTILINE | re.DOTALL)
    assert found is not None
    lines = found[0].replace("#   ", "")
    assert strict_yaml.read(lines.encode(), "template").problems == ()
    assert problems(config=lines) == []
