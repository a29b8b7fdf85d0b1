"""Whether touched files parse: found by line, hostile input survived, dialects left alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifeos.core.syntax import broken, syntax_problems
from lifeos.model import Change

BROKEN = [
    ("a.py", b"def f(:\n    pass\n", 1),
    ("a.py", b"x = 1\nif x\n", 2),
    ("a.pyi", b"x = 'no end\n", 1),
    ("a.py", b"x = 1\0\n", 0),
    ("a.json", b'{"a": 1,\n "b": }', 2),
    ("a.toml", b"a = 1\nb = \n", 2),
    ("a.yaml", b"a: [1, 2\nb: 3\n", 2),
    ("deep/A.YML", b"a: 1\n  b: 2\n", 2),
    ("a.json", b'{"a": "\xff"}', 1),
    ("a.py", b"x = 1\nreturn x\n", 2),
    ("a.py", b"def f():\n    break\n", 2),
    ("a.py", b"def f(a, a): pass\n", 1),
    ("a.ipynb", b'{"cells": [}', 1),
    ("a.jsonl", b'{"a": 1}\n{"a": }\n', 2),
    ("a.xml", b"<a>\n<b></a>\n", 2),
    ("a.svg", b"<svg", 1),
    ("setup.cfg", b"a = 1\n", 1),
    ("tox.ini", b"[tox]\n= 1\n", 2),
    ("a.js", b"let a\n<<<<<<< ours\nb\n=======\nc\n>>>>>>> theirs\n", 2),
    ("run.sh", b"<<<<<<< a\r\n=======\r\n>>>>>>> b\r\n", 1),
    ("a.py", b"<<<<<<< HEAD\nx = 1\n=======\nx = 2\n>>>>>>> b\n", 1),
]


@pytest.mark.parametrize(("path", "data", "line"), BROKEN, ids=range(len(BROKEN)))
def test_what_does_not_parse_is_named_with_its_line(path: str, data: bytes, line: int) -> None:
    """One problem, at its place."""
    (problem,) = syntax_problems(path, data)
    assert (problem.place.file, problem.place.line) == (path, line)


@pytest.mark.parametrize(
    ("path", "data"),
    [
        ("a.py", b"# -*- coding: latin-1 -*-\nx = '\xe9'\n"),
        ("a.py", b"\xef\xbb\xbfx = 1\n"),
        ("a.py", b""),
        ("a.json", b'\xef\xbb\xbf{"a": [1, NaN]}'),
        ("tsconfig.build.json", b"{ // a comment\n }"),
        (".vscode/settings.json", b"{ /* x */ }"),
        ("a.yaml", b"a: !Ref x\n---\nb: &c 1\nd: *c\n"),
        ("chart.yaml", b"a: {{ .Values.x }}\n"),
        ("notes.txt", b"def f(:"),
        ("a.md", b"<<<<<<< ours\nb\n=======\nc\n>>>>>>> theirs\n"),
        ("a.rst.inc", b"Title\n=======\ntext\n"),
        ("a.c", b">>>>>>> b\n=======\n<<<<<<< a\n"),
        ("a.xml", b"<?xml version='1.0' encoding='utf-16'?><a/>".decode().encode("utf-16")),
        ("a.xml", b"<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;"),
        ("a.xml", b"<?xml version='1.0' encoding='x-none'?><a/>"),
        ("a.jsonl", b'{"a": 1}\n\n[2]\n'),
        ("setup.cfg", b"[a]\nb = %(c)s\nb = 2\nflag\n"),
        ("desktop.ini", b"no section"),
        ("a.js", b"let = = ;"),
        ("Makefile", b"{"),
    ],
)
def test_what_parses_or_is_another_dialect_is_left_alone(path: str, data: bytes) -> None:
    """Comments in tsconfig, templates in YAML, unknown endings."""
    assert syntax_problems(path, data) == ()


HOSTILE = [
    ("a.py", b"(" * 100_000),
    ("a.py", b"-" * 500_000 + b"1"),
    ("a.py", b"x" + b".a" * 300_000),
    ("a.py", b"1" * 900_000),
    ("a.json", b"[" * 500_000),
    ("a.json", b"1" * 900_000),
    ("a.toml", b"a = " + b"[" * 100_000),
    ("a.yaml", b"[" * 199_000),
    ("a.xml", b"<a>" * 300_000),
    ("a.xml", b"<!DOCTYPE a [" + b"<!ENTITY a '&a;&a;'>" * 40_000),
    ("a.xml", b"<a " + b"x" * 900_000),
    ("setup.cfg", b"[a]\n" + b"x\n" * 400_000),
    ("setup.cfg", b"[a]\nx =" + b"\n y" * 300_000),
    ("a.jsonl", b"[\n" * 400_000),
    ("a.jsonl", b"[" * 900_000),
    ("a.js", b"<<<<<<< \n" * 90_000),
    ("a.js", b"<<<<<<< \n=======\n" * 50_000),
    ("a.yaml", b"- " * 99_000),
    ("a.yaml", b"? " * 99_000),
    ("a.yaml", b"a: {" * 40_000),
    ("a.yaml", b"&a " * 60_000),
    ("a.yaml", b"a" * 199_000),
    ("a.yaml", b"'" * 199_000),
    ("a.yaml", b"--- \n" * 39_000),
    ("a.yaml", b"a: &a [x]\nb: &b [*a,*a]\nc: [*b,*b]\n"),
]


@pytest.mark.parametrize(("path", "data"), HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_files_are_a_problem_at_most(path: str, data: bytes) -> None:
    """Nesting, endless expressions and numbers neither crash nor raise."""
    syntax_problems(path, data)


@given(
    st.binary(max_size=200), st.sampled_from(["py", "json", "toml", "yaml", "xml", "jsonl", "js"])
)
def test_any_bytes_are_judged(data: bytes, ending: str) -> None:
    """No input raises."""
    syntax_problems(f"a.{ending}", data)


def _change(old: str, new: str) -> Change:
    return Change(
        status="M", path="a.py", old_mode="100644", new_mode="100644", old_id=old, new_id=new
    )


def test_a_change_is_blamed_only_for_what_it_broke() -> None:
    """Good to bad is a problem; bad to bad was there before; what was not handed in is unknown."""
    contents = {"good": b"x = 1\n", "bad": b"x = \n", "worse": b"def\n"}
    assert broken([_change("good", "bad")], contents)
    assert broken([_change("none", "bad")], contents)
    assert broken([_change("bad", "worse")], contents) == ()
    assert broken([_change("bad", "good")], contents) == ()
    assert broken([_change("good", "none")], contents) == ()
