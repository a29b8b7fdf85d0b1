"""What `lifeos ci` hands from one part to the next: the claim, and the matrix. Pure.

A claim file is written by the trusted side and read on a machine that nobody trusts; it grants
nothing by itself. Its nonce is what a result must carry to count.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Literal

from pydantic import Field, ValidationError

from lifeos.errors import UsageError
from lifeos.model import Frozen, Stage

MOST_JOBS = 256
"""Attempts of one batch: as many jobs as a matrix may have."""
MAX_CLAIM = 64 * 1024
"""Bytes of a claim file."""

_ID = r"^[0-9a-f]{40}([0-9a-f]{24})?$"


class ClaimFile(Frozen):
    """One claimed attempt, format 1.

    ``ledger`` is the tip at which the claim stands open, ``base`` the commit that the attempt works
    on, ``expires`` when the lease ends (seconds UTC), ``onto`` the commit of main that a landing is
    to be checked on ("" but at the stage ``close``).
    """

    format: Literal[1] = 1
    run: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9-]{0,80}$")
    stage: Stage
    n: int = Field(ge=1)
    nonce: str = Field(min_length=16, max_length=128)
    base: str = Field(pattern=_ID)
    ledger: str = Field(pattern=_ID)
    expires: int
    onto: str = Field("", pattern=rf"{_ID}|^$")

    @property
    def name(self) -> str:
        """The name of its file."""
        return f"{self.run}.{self.n}.json"


class Job(Frozen):
    """One job of the matrix. It names the claim's file; the nonce is in that file alone."""

    run: str
    stage: Stage
    n: int
    claim: str


class Matrix(Frozen):
    """The batch, as a matrix of jobs: ``strategy.matrix`` of a workflow takes it as it is."""

    include: tuple[Job, ...] = ()


def matrix_of(claims: Iterable[ClaimFile]) -> Matrix:
    """The matrix of some claims."""
    return Matrix(
        include=tuple(
            Job(run=claim.run, stage=claim.stage, n=claim.n, claim=claim.name) for claim in claims
        )
    )


def line_of(matrix: Matrix) -> str:
    """The matrix in one line of plain ASCII: nothing in it can end the line."""
    return json.dumps(matrix.model_dump(mode="json"), separators=(",", ":"), ensure_ascii=True)


def line_of_claims(claims: Iterable[ClaimFile]) -> str:
    """The claim files by their names, in one line of plain ASCII."""
    files = {claim.name: claim.model_dump(mode="json") for claim in claims}
    return json.dumps(files, separators=(",", ":"), ensure_ascii=True)


def read_claim(data: bytes) -> ClaimFile:
    """The claim in a file. Raises ``UsageError`` by name."""
    try:
        return ClaimFile.model_validate_json(data)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        if where == "format":
            raise UsageError(
                "the claim is not of format 1: it was written by another version of lifeos",
                "install one version of lifeos for all parts of the workflow",
            ) from None
        raise UsageError(
            f"this is not a claim: {where or 'the file'}: {first['msg']}",
            "give a file that lifeos ci claim wrote",
        ) from None
