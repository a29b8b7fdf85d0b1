"""The remembered backlog: a hit is what the parser would say, and nothing else is ever a hit."""

from __future__ import annotations

import json
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifeos.core.backlog.entry import Backlog
from lifeos.core.backlog.parse import parse
from lifeos.store.repo import Repo
from lifeos.tick import backlog_cache
from lifeos.tick.backlog_cache import parsed

BLOB, OTHER = "1" * 40, "2" * 40
FULL = b"""# Backlog

## P0

- [ ] **LO-aaaaaa** Retry the webhook #api #http
  - depends: LO-bbbbbb
  - scope: `src/**`, `tests/**`
  - risk: high
  - owner: Ada
  - context: a deploy
  - dod: it holds

  Receivers restart.

  Acceptance:
  - [ ] three attempts: `pytest -q`
  - [x] logged

  ```sh recipe
  make all
  ```

- [x] **LO-bbbbbb** Done before \xc3\xa4\xf0\x9f\x99\x82

## Priority 3

- [/] Begun
- [!] **LO-cccccc** Depends on nothing that is here
  - depends: LO-zzzzzz
- [-] **LO-aaaaaa** A second of that id
- [?] no mark
- [ ]
"""
FILES = {
    "everything": FULL,
    "nothing": b"",
    "prose": b"# A title\n\nNo task at all.\n",
    "one": b"- [ ] One\n",
    "crlf": FULL.replace(b"\n", b"\r\n"),
    "conflict": b"- [ ] One\n<<<<<<< ours\n- [ ] Two\n=======\n- [ ] Three\n>>>>>>> theirs\n",
    "bytes": b"- [ ] One\n- [ ] \xff\xfe\n- [ ] \0nul\n",
    "wide": "- [ ] One\n".encode("utf-16"),
}


@pytest.fixture
def store(repo: Path) -> Repo:
    opened = Repo.open(repo)
    opened.ensure_private()
    return opened


def cache_of(store: Repo) -> Path:
    return store.private_dir / "cache" / "backlog"


def again(store: Repo, data: bytes, oid: str = BLOB, prefix: str = "LO") -> Backlog:
    return parsed(store, oid, data, "BACKLOG.md", prefix)


@pytest.mark.parametrize("name", sorted(FILES))
def test_a_hit_is_what_the_parser_said(store: Repo, name: str) -> None:
    """Every field, problem, warning and heading comes back, as the same types."""
    fresh = parse(FILES[name])
    assert again(store, FILES[name]) == fresh
    # The content is not looked at when the blob is known: this can only come from the file.
    hit = again(store, b"- [ ] never read")
    assert (hit, repr(hit)) == (fresh, repr(fresh))


@given(st.lists(st.sampled_from(FULL.split(b"\n")), max_size=30))
def test_any_lines_come_back_the_same(lines: list[bytes]) -> None:
    """Whatever a file says, the way through JSON and back loses nothing."""
    fresh = parse(b"\n".join(lines))
    value = json.loads(json.dumps(backlog_cache._packed(fresh)))
    back = backlog_cache._unpacked(value)
    assert (back, repr(back)) == (fresh, repr(fresh))


def test_another_blob_prefix_or_name_is_no_hit(store: Repo) -> None:
    """What was remembered is for exactly this blob, read in exactly this way."""
    again(store, FULL)
    other = b"- [ ] **LO-dddddd** Another\n"
    assert again(store, other, oid=OTHER) == parse(other)
    again(store, FULL)
    assert again(store, FULL, prefix="XX") == parse(FULL, id_prefix="XX") != parse(FULL)
    again(store, FULL)
    assert parsed(store, BLOB, FULL, "other.md", "LO") == parse(FULL, "other.md")


def test_what_another_parser_remembered_is_no_hit(
    store: Repo, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An upgrade, or a change of the parser's own files, makes everything be read anew."""
    again(store, b"- [ ] as the old one read it\n")
    monkeypatch.setattr(backlog_cache, "parser", lambda: ("another",))
    assert again(store, FULL) == parse(FULL)


def test_a_damaged_file_is_no_hit(store: Repo) -> None:
    """Cut off anywhere, or one byte changed anywhere: the backlog is read, and the file mended."""
    fresh = again(store, FULL)
    whole = cache_of(store).read_bytes()
    for place in range(0, len(whole), 37):
        changed = whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :]
        for damaged in (whole[:place], changed):
            cache_of(store).write_bytes(damaged)
            assert again(store, FULL) == fresh
            assert cache_of(store).read_bytes() == whole


@pytest.mark.parametrize(
    "body",
    [b"[]", b"{}", b"null", b'{"tasks":{}}', b'{"count":1,"tasks":{},"problems":[]}', b"\xff"],
)
def test_a_foreign_body_with_a_right_checksum_is_no_hit(store: Repo, body: bytes) -> None:
    """Data of another shape is refused, not guessed at."""
    again(store, FULL)
    key = cache_of(store).read_bytes().partition(b"\n")[0]
    cache_of(store).write_bytes(b"%s\n%d\n%s" % (key, zlib.crc32(body), body))
    assert again(store, FULL) == parse(FULL)


def test_a_column_that_lacks_a_task_is_no_hit(store: Repo) -> None:
    """A task with a field left empty would be worse than no cache."""
    again(store, FULL)
    key, _, body = cache_of(store).read_bytes().split(b"\n", 2)
    value = json.loads(body)
    value["tasks"]["title"].pop()
    body = json.dumps(value).encode()
    cache_of(store).write_bytes(b"%s\n%d\n%s" % (key, zlib.crc32(body), body))
    assert again(store, FULL) == parse(FULL)


def test_without_a_place_to_write_the_backlog_is_read(store: Repo) -> None:
    """A cache that cannot be written is slow, not wrong."""
    cache_of(store).parent.write_text("a file where the folder should be")
    assert again(store, FULL) == parse(FULL)
