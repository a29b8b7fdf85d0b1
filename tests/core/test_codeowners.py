"""The block of CODEOWNERS that follows from the approvers."""

from __future__ import annotations

import pytest

from lifeos.core.codeowners import OWNED, block_of, drift, unknown, with_block
from lifeos.core.policy import Approver

PLACE = ".github/CODEOWNERS"
ANN = Approver(name="Ann", email="ann@example.invalid")
WITH_LOGIN = ANN.model_copy(update={"login": "ann"})
BOB = Approver(name="Bob", email="bob@example.invalid", login="bob")


def test_a_login_names_an_approver_and_an_address_where_there_is_none() -> None:
    """Nothing differs but the login; every owned path has a line."""
    assert "/policies/ ann@example.invalid\n" in block_of([ANN], PLACE)
    block = block_of([WITH_LOGIN, BOB], PLACE)
    assert all(f"{path} @ann @bob\n" in block for path in OWNED)
    assert "ann@example.invalid" not in block


def test_the_rest_of_the_file_stays() -> None:
    """What people wrote is before the block, however often it is written."""
    own = "*.py @carol\n"
    once = with_block(own, [BOB], PLACE)
    assert once.startswith(own)
    assert with_block(once, [BOB], PLACE) == once
    assert with_block(once, [], PLACE) == own


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda text: text, ""),
        (lambda text: text.replace("@bob", "@mallory"), "does not name the approvers"),
        (lambda text: text + "*.py @mallory\n", "lines below the block"),
        (lambda text: text + text, "2 blocks"),
        (lambda text: text.rpartition("# <<<")[0], "no end"),
        (lambda _text: "*.py @carol\n", ""),
    ],
)
def test_what_differs_from_the_approvers_is_said(change: object, said: str) -> None:
    """The block must say who the rules say; and be what decides."""
    assert callable(change)
    found = drift(change(with_block("", [BOB], PLACE)), [BOB], PLACE)
    assert said in found if said else found == ""


@pytest.mark.parametrize(
    ("address", "nobody"),
    [
        ("ann@example.invalid", True),
        ("ann@mail.example.org", True),
        ("ann@EXAMPLE.com", True),
        ("ann@shop.test", True),
        ("ann@localhost", True),
        ("ann@myexample.org", False),
        ("ann@example.org.uk", False),
        ("ann@invalid.dev", False),
    ],
)
def test_an_address_that_stands_for_no_one_is_said(address: str, nobody: bool) -> None:
    """Where lifeos has a block, and there is no login; nothing differs but the address."""
    who = ANN.model_copy(update={"email": address})
    there = with_block("", [who], PLACE)
    assert bool(unknown(there, [who])) is nobody
    assert unknown("*.py @carol\n", [who]) == unknown(None, [who]) == ""
    named = who.model_copy(update={"login": "ann"})
    assert unknown(with_block("", [named], PLACE), [named]) == ""
