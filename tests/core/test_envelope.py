"""What an attempt may change: each rule of the envelope, and the ways around it."""

from __future__ import annotations

import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifeos.core.envelope import (
    Breach,
    BreachKind,
    Budget,
    failure_class,
    fold,
    item_kind,
    judge,
)
from lifeos.core.policy.envelope import Envelope
from lifeos.model import Change, FailureClass, ItemKind

FILE, EXEC, LINK, MODULE, ABSENT = "100644", "100755", "120000", "160000", "000000"
NULL = "0" * 40
PLENTY = Budget(diff_lines=10_000, diff_files=1_000)


def oid(text: str) -> str:
    """A blob id that stands for a content in these tests."""
    return (text.encode().hex() + NULL)[:40]


def changed(path: str, **more: Any) -> Change:
    """A modified file of one line."""
    values: dict[str, Any] = {
        "status": "M",
        "path": path,
        "old_mode": FILE,
        "new_mode": FILE,
        "old_id": oid("old"),
        "new_id": oid("new"),
        "added": 1,
        "removed": 1,
        "size": 10,
    }
    return Change(**values | more)


def added(path: str, **more: Any) -> Change:
    """A new file."""
    return changed(path, **{"status": "A", "old_mode": ABSENT, "old_id": NULL, "removed": 0} | more)


def deleted(path: str) -> Change:
    """A file that is gone."""
    return changed(path, status="D", new_mode=ABSENT, new_id=NULL, added=0, size=0)


def renamed(old: str, new: str) -> Change:
    """A file under another name."""
    return changed(new, status="R", old_path=old, new_id=oid("old"), added=0, removed=0)


def breaches(
    *changes: Change, rules: dict[str, Any] | None = None, **more: Any
) -> tuple[Breach, ...]:
    """The judgement under the default envelope with ``rules``."""
    values: dict[str, Any] = {
        "envelope": Envelope(version=1, **rules or {}),
        "budget": PLENTY,
        "contents": {oid("new"): b"harmless\n", oid("old"): b"before\n"},
    }
    return judge(changes, **values | more)


def kinds(*changes: Change, **more: Any) -> set[BreachKind]:
    """Only the kinds of the breaches."""
    return {breach.kind for breach in breaches(*changes, **more)}


@pytest.mark.parametrize(
    "change",
    [changed("src/a.py"), added("src/deep/b.py"), deleted("docs/c.md"), renamed("a.py", "b.py")],
    ids=lambda change: change.status,
)
def test_ordinary_work_is_allowed(change: Change) -> None:
    """The default envelope lets a task change, add, delete and rename files."""
    assert breaches(change) == ()


def test_nothing_changed_is_no_breach() -> None:
    """No changes, no breaches, no class, no question."""
    assert breaches() == ()
    assert failure_class(()) is None
    assert item_kind(()) is None


PROTECTED_NAMES = [
    ".github/workflows/ci.yml",
    ".GitHub/workflows/ci.yml",
    "BACKLOG.md",
    "backlog.MD",
    "BACKLOG.md.",
    "BACKLOG.md ",
    "\uff22ACKLOG.md",  # fullwidth B
    "BACK\u200bLOG.md",  # zero width space
    "BACKLOG\ufe0f.md",  # variation selector
    "AGENTS.md",
    "sub/dir/CODEOWNERS",
    "codeowners",
    "CODEOWNERS",
    ".gitattributes",
    "deep/.gitattributes",
    ".gitmodules",
    ".mcp.json",
    "opencode.json",
    ".opencode/agent/build.md",
    ".github",  # a file in the place of the folder
]


@pytest.mark.parametrize("path", PROTECTED_NAMES)
@pytest.mark.parametrize("make", [changed, added, deleted])
def test_protected_names_win_in_any_spelling(path: str, make: Any) -> None:
    """Protected wins over write, whatever the case, Unicode form or trailing dots."""
    assert BreachKind.PROTECTED in kinds(make(path), rules={"write": ("**",)}, scope=("**",))


@pytest.mark.parametrize(
    "path", ["policies/loop.yaml", "Policies/loop.yaml", ".lifeos/config.yaml", ".LIFEOS/STOP",
             ".lifeos/queue/x.approval.yaml", "policies", "p\u00adolicies/x", "\uff50olicies/x",
             "policies\uff0floop.yaml"],
)  # fmt: skip
def test_governance_is_protected_even_if_the_policy_forgets_it(path: str) -> None:
    """An envelope without `protect` does not open the rules themselves."""
    found = breaches(changed(path), rules={"protect": ()})
    assert BreachKind.GOVERNANCE in {breach.kind for breach in found}
    assert failure_class(found) is FailureClass.GOVERNANCE_VIOLATION


@pytest.mark.parametrize("path", ["policy/x", "src/policies.py", "docs/backlog.md", "mypolicies/x"])
def test_names_that_only_resemble_protected_ones_are_free(path: str) -> None:
    """The guard is about names that are taken for the protected one, not about lookalike words."""
    assert breaches(changed(path)) == ()


@pytest.mark.parametrize(("old", "new"), [("BACKLOG.md", "x.md"), ("x.md", "BACKLOG.md")])
def test_both_sides_of_a_rename_are_judged(old: str, new: str) -> None:
    """Moving a protected file away, and moving a file onto it."""
    found = breaches(renamed(old, new))
    assert [breach.path for breach in found] == ["BACKLOG.md"]


def test_scope_narrows_and_never_widens() -> None:
    """Allowed is policy and scope, both."""
    both: dict[str, Any] = {"rules": {"write": ("src/**",)}, "scope": ("src/api/**", "docs/**")}
    assert breaches(changed("src/api/x.py"), **both) == ()
    assert kinds(changed("src/other.py"), **both) == {BreachKind.OUTSIDE}
    assert kinds(changed("docs/x.md"), **both) == {BreachKind.OUTSIDE}
    assert kinds(renamed("src/api/x.py", "src/y.py"), **both) == {BreachKind.OUTSIDE}
    assert kinds(deleted("src/y.py"), **both) == {BreachKind.OUTSIDE}


def test_star_does_not_cross_folders() -> None:
    """A scope of `docs/*` is not all below docs."""
    assert breaches(changed("docs/x.md"), scope=("docs/*",)) == ()
    assert kinds(changed("docs/deep/x.md"), scope=("docs/*",)) == {BreachKind.OUTSIDE}


def test_new_names_only_where_new_files_are_allowed() -> None:
    """A rename brings a new name too."""
    rules = {"new_files": ("src/**",)}
    assert kinds(added("top.py"), rules=rules) == {BreachKind.NEW_FILE}
    assert kinds(renamed("a.py", "b.py"), rules=rules) == {BreachKind.NEW_FILE}
    assert breaches(changed("top.py"), added("src/x.py"), rules=rules) == ()


@pytest.mark.parametrize(
    ("change", "kind", "setting"),
    [
        (added("x", new_mode=LINK), BreachKind.SYMLINK, "symlinks"),
        (changed("x", status="T", new_mode=LINK), BreachKind.SYMLINK, "symlinks"),
        (changed("x", new_mode=EXEC), BreachKind.MODE, "modes"),
        (changed("x", old_mode=EXEC), BreachKind.MODE, "modes"),
        (changed("x", added=None, removed=None), BreachKind.BINARY, "binaries"),
    ],
)
def test_kinds_of_files_are_refused_unless_allowed(
    change: Change, kind: BreachKind, setting: str
) -> None:
    """Each switch alone makes the difference."""
    assert kinds(change) == {kind}
    assert kinds(change, rules={setting: True}) == set()


@pytest.mark.parametrize(
    "change",
    [
        added("x", new_mode=MODULE),
        changed("x", old_mode=MODULE, new_mode=MODULE),
        changed("x", status="D", old_mode=MODULE, new_mode=ABSENT, new_id=NULL),
    ],
)
def test_submodules_are_never_changed(change: Change) -> None:
    """No setting allows it: what is in one cannot be judged here."""
    assert kinds(change) == {BreachKind.SUBMODULE}


def test_an_unusual_mode_is_refused() -> None:
    """Modes that git never writes by itself."""
    assert kinds(added("x", new_mode="100666")) == {BreachKind.SPECIAL}


def test_size_is_limited_and_excuses_from_reading() -> None:
    """A file over the limit is one breach; its content was rightly not handed in."""
    big = changed("x", size=1_000_001, new_id=oid("big"))
    assert kinds(big) == {BreachKind.SIZE}
    assert kinds(big, rules={"max_file_bytes": 2_000_000}) == {BreachKind.UNREAD}


def test_content_that_was_not_read_is_a_breach() -> None:
    """Fail closed: a blob that is missing could hold anything."""
    assert kinds(changed("x", new_id=oid("unknown"))) == {BreachKind.UNREAD}
    assert kinds(renamed("a", "b"), contents={}) == set()  # the base's content under a new name


@pytest.mark.parametrize(
    ("target", "bad"),
    [
        ("../README.md", False),
        ("other.md", False),
        ("sub/../x", False),
        ("/etc/passwd", True),
        ("../../etc", True),
        ("../.git/config", True),
        ("sub/../../../x", True),
    ],
)
def test_an_allowed_link_stays_in_the_tree(target: str, bad: bool) -> None:
    """`symlinks: true` is no way out."""
    change = added("docs/link", new_mode=LINK)
    found = kinds(change, rules={"symlinks": True}, contents={oid("new"): target.encode()})
    assert found == ({BreachKind.SYMLINK} if bad else set())


@pytest.mark.parametrize(
    "path",
    ["../x", "a/../b", "/etc/passwd", "a//b", "a\\b", ".git/hooks/x", "sub/.GIT/config", ".git",
     "git~1/x", ".git ./x", ".git::$INDEX_ALLOCATION/x", ".g\u200cit/x", "a\nb", "a\x00b",
     "a\u202eb", "a\udcff"],
)  # fmt: skip
def test_hostile_names_are_refused(path: str) -> None:
    """Traversal, disguises of .git, control and bidi characters."""
    assert BreachKind.NAME in kinds(added(path))


@pytest.mark.parametrize(
    ("new", "there"),
    [
        ("readme.md", "README.md"),
        ("src/API.py", "src/api.py"),
        ("Src/new.py", "src/old.py"),
        ("cafe\u0301.md", "caf\u00e9.md"),
        ("stra\u00dfe.md", "STRASSE.md"),
    ],
)
def test_names_that_collide_are_refused(new: str, there: str) -> None:
    """Two names that one file system holds as one, in files and in folders above them."""
    assert kinds(added(new), tree_paths=(new, there)) == {BreachKind.COLLISION}
    assert kinds(added(new), tree_paths=(new,)) == set()


def test_two_new_names_collide_with_each_other() -> None:
    """Even when nobody hands in the tree."""
    found = breaches(added("a.md"), added("A.md"))
    assert [breach.path for breach in found] == ["A.md", "a.md"]


def test_what_the_import_refused_is_a_breach() -> None:
    """A nested repository and a pipe."""
    found = kinds(nested_git=("vendor/x",), special=("pipe",))
    assert found == {BreachKind.NESTED_GIT, BreachKind.SPECIAL}


def test_pinned_files_may_not_be_changed() -> None:
    """In any spelling, also as new files: an added conftest.py can turn a failure into exit 0."""
    pinned = ("**/conftest.py", "pyproject.toml")
    for change in (added("tests/conftest.py"), changed("PyProject.toml"), deleted("conftest.py")):
        assert BreachKind.PINNED in kinds(change, pinned=pinned)


def test_prepare_inputs_ask_their_own_question() -> None:
    """Alone they are an `environment` item; with anything else, a breach. Never nothing."""
    inputs = ("requirements.txt",)
    found = breaches(changed("requirements.txt"), prepare_inputs=inputs)
    assert item_kind(found) is ItemKind.ENVIRONMENT
    assert failure_class(found) is FailureClass.ENVELOPE_VIOLATION
    more = breaches(changed("requirements.txt"), changed("BACKLOG.md"), prepare_inputs=inputs)
    assert item_kind(more) is ItemKind.BREACH


def test_a_pinned_input_is_a_breach_not_a_question_of_environment() -> None:
    """The stricter rule names the path."""
    found = kinds(changed("a.toml"), pinned=("a.toml",), prepare_inputs=("a.toml",))
    assert found == {BreachKind.PINNED}


def test_the_budget_counts_lines_and_files() -> None:
    """At the limit is within it; above is budget_exceeded, unless something worse is there."""
    two = (changed("a", added=3, removed=2), changed("b", added=5, removed=0))
    assert breaches(*two, budget=Budget(diff_lines=10, diff_files=2)) == ()
    for small in (Budget(9, 2), Budget(10, 1)):
        found = breaches(*two, budget=small)
        assert failure_class(found) is FailureClass.BUDGET_EXCEEDED
        assert item_kind(found) is ItemKind.BUDGET
    worse = breaches(*two, changed("BACKLOG.md"), budget=Budget(1, 1))
    assert failure_class(worse) is FailureClass.ENVELOPE_VIOLATION


SECRET = "q7Wd+Zp/0x9vLmT4=rK2"  # noqa: S105 - made up for these tests


def test_a_known_secret_is_found_and_never_shown() -> None:
    """Line and name of the variable, but not the value: not in excerpt, path or message."""
    text = f"first\nkey = {SECRET}  # oops\n"
    found = breaches(
        changed("a.py"),
        added(f"dump-{SECRET.replace('/', '')}.txt"),
        contents={oid("new"): text.encode()},
        secret_values=(("API_KEY", SECRET), ("OTHER", SECRET.replace("/", ""))),
    )
    assert {breach.kind for breach in found} == {BreachKind.SECRET}
    in_text = next(breach for breach in found if breach.path == "a.py")
    assert (in_text.line, in_text.message) == (2, "value of API_KEY")
    assert in_text.excerpt.startswith("key = [redacted")
    assert not any(value in repr(found) for value in (SECRET, SECRET.replace("/", "")))


def test_secrets_are_sought_only_where_the_policy_says_so() -> None:
    """`secrets: false` turns it off; the default finds it."""
    contents = {oid("new"): f"{SECRET}\n".encode()}
    values = (("KEY", SECRET),)
    assert kinds(changed("a"), contents=contents, secret_values=values) == {BreachKind.SECRET}
    off = {"secrets": False}
    assert kinds(changed("a"), contents=contents, secret_values=values, rules=off) == set()


def test_a_pattern_of_the_base_is_not_this_changes_leak() -> None:
    """A fixture that was there stays; a new one, and a known value in any case, is a breach."""
    token = "ghp_" + "aB3" * 12
    text = f"x = '{token}'\n".encode()
    base_too = {oid("new"): b"y\n" + text, oid("old"): text}
    assert kinds(changed("a"), contents=base_too) == set()
    assert kinds(changed("a"), contents={**base_too, oid("old"): b""}) == {BreachKind.SECRET}
    known = (("TOKEN", token),)
    assert kinds(changed("a"), contents=base_too, secret_values=known) == {BreachKind.SECRET}


def test_test_data_may_look_like_a_secret_where_the_policy_expects_it() -> None:
    """There, and only there; a secret of this machine is one wherever it stands."""
    token = "ghp_" + "aB3" * 12
    contents = {oid("new"): f"x = '{token}'\n".encode()}
    fake = {"fake_secrets": ["tests/data/**"]}
    assert kinds(changed("tests/data/a"), contents=contents, rules=fake) == set()
    assert kinds(changed("src/a"), contents=contents, rules=fake) == {BreachKind.SECRET}
    known = (("TOKEN", token),)
    found = kinds(changed("tests/data/a"), contents=contents, rules=fake, secret_values=known)
    assert found == {BreachKind.SECRET}


def test_every_kind_makes_an_attempt_fail() -> None:
    """No breach is without a class and a question: a new kind cannot slip through."""
    for kind in BreachKind:
        assert failure_class([Breach(kind, "x", "y")]) is not None
        assert item_kind([Breach(kind, "x", "y")]) is not None


@given(st.text(alphabet=st.characters(exclude_characters="/"), min_size=1, max_size=20))
def test_folding_is_stable_and_blind_to_case_and_form(name: str) -> None:
    """Folding twice is folding once, and forms of one name fold to one."""
    assert fold(fold(name)) == fold(name)
    assert fold(unicodedata.normalize("NFD", name)) == fold(unicodedata.normalize("NFC", name))


@given(
    st.text(min_size=1, max_size=30),
    st.sampled_from([FILE, EXEC, LINK, MODULE, "100600"]),
    st.none() | st.integers(0, 100),
)
def test_no_change_makes_the_judge_stumble(path: str, mode: str, lines: int | None) -> None:
    """Any path and mode gives a judgement, sorted and the same each time."""
    change = added(path, new_mode=mode, added=lines)
    assert breaches(change) == breaches(change)
