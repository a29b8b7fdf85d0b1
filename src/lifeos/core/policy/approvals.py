"""`policies/approvals.yaml`: who may answer, and how lifeos knows that it was them."""

from __future__ import annotations

import re
from typing import Annotated, Self

from pydantic import Field, StringConstraints, field_validator, model_validator

from lifeos.core.policy.words import ExpiryThen, Line, Positive, Unfit, Version, refuse_repeated
from lifeos.model import Frozen, Trust

_EMAIL = re.compile(r"[^\s@<>,;\"]+@[^\s@<>,;\"]+")
_LOGIN = r"^[A-Za-z0-9](?:[A-Za-z0-9._-]{0,98}[A-Za-z0-9_])?$"
_KEY = re.compile(
    r"(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(256|384|521)"
    r"|sk-ssh-ed25519@openssh\.com|sk-ecdsa-sha2-nistp256@openssh\.com)"
    r" [A-Za-z0-9+/]{20,}={0,3}( .*)?"
)


class Approver(Frozen):
    """One person who may answer queue items and change governance."""

    name: Line = Field(description="The person's name.")
    email: Line = Field(description="The e-mail address of the person's commits.")
    key: Line | None = Field(
        None, description="The person's SSH public key, as one line; needed for `signature`."
    )
    forge_id: Annotated[int, Field(ge=1)] | None = Field(
        None, description="The number of the person's account on the forge; needed for `merge`."
    )
    login: Annotated[str, StringConstraints(pattern=_LOGIN)] | None = Field(
        None, description="The account's name there, for CODEOWNERS and messages; never a proof."
    )

    @field_validator("email")
    @classmethod
    def _address(cls, email: str) -> str:
        if not _EMAIL.fullmatch(email):
            raise Unfit(
                f"{email!r} is not an e-mail address such as ada@example.org",
                "write the address that their commits have: git config user.email",
            )
        return email

    @field_validator("key")
    @classmethod
    def _public(cls, key: str | None) -> str | None:
        if key is not None and not _KEY.fullmatch(key):
            raise ValueError(
                "is not an SSH public key line such as `ssh-ed25519 AAAA... comment` "
                "(the content of a .pub file)"
            )
        return key

    @property
    def key_material(self) -> str:
        """The key without its comment, for comparing; empty without a key."""
        return " ".join(self.key.split(" ")[:2]) if self.key else ""


class Expiry(Frozen):
    """When a question has waited too long. It never approves by itself."""

    hours: Positive = Field(168, description="Hours after which an item has expired.")
    then: ExpiryThen = Field(
        ExpiryThen.HOLD, description="Then: `hold` (reminds, goes on waiting) or `reject`."
    )


class Approvals(Frozen):
    """policies/approvals.yaml: who decides. Always read as it is now, never pinned by a run."""

    version: Version = Field(description="Format of this file.")
    trust: Trust = Field(
        Trust.COMMIT, description="How lifeos knows who answered: commit, signature or merge."
    )
    approvers: tuple[Approver, ...] = Field((), description="The people who may answer.")
    expiry: Expiry = Field(Expiry(), description="When a question has waited too long.")

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        """Two entries for one identity would make it unclear who answered."""
        people = self.approvers
        refuse_repeated(tuple(person.email.casefold() for person in people), "approvers: e-mails")
        keys = tuple(person.key_material for person in people if person.key)
        refuse_repeated(keys, "approvers: keys")
        accounts = tuple(str(person.forge_id) for person in people if person.forge_id)
        refuse_repeated(accounts, "approvers: forge_ids")
        return self

    @model_validator(mode="after")
    def _identifiable(self) -> Self:
        """Whoever cannot be recognised under the chosen trust could never approve."""
        if self.trust is Trust.SIGNATURE:
            without = [person.name for person in self.approvers if person.key is None]
            if without:
                raise Unfit(
                    f"trust `signature` needs a `key` for {', '.join(without)}",
                    "add `key:` with the line of their .pub file to each of them",
                )
        if self.trust is Trust.MERGE:
            without = [person.name for person in self.approvers if person.forge_id is None]
            if without:
                raise Unfit(
                    f"trust `merge` needs a `forge_id` for {', '.join(without)}",
                    "add `forge_id:` with the number of their account to each of them (on GitHub "
                    "the `id` at api.github.com/users/LOGIN)",
                )
        return self
