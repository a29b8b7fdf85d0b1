"""Who signed a commit, with an SSH key that the caller names. Nothing of the repository is asked.

The commit's own bytes are taken apart here and given to ``ssh-keygen``: no git, so no configured
program, replace ref or graft has a say, and no key comes from anywhere but the caller (who takes
them from adopted governance, never from the commit that is judged). Format of the signature:
PROTOCOL.sshsig of OpenSSH.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from lifeos.core.approvals import Refused, Signature, Signed, Unsigned
from lifeos.errors import UsageError
from lifeos.process import run
from lifeos.store.repo import Repo

Signers = Sequence[tuple[str, str]]
"""E-mail address and public key (one line: type, base64, perhaps a comment) of each."""

_NAMESPACE = "git"
_BEGIN = b"-----BEGIN SSH SIGNATURE-----\n"
_END = b"-----END SSH SIGNATURE-----"
_FOREIGN = {
    b"-----BEGIN PGP ": "OpenPGP",
    b"-----BEGIN SIGNED MESSAGE": "X.509",
}
_HEADERS = (b"gpgsig", b"gpgsig-sha256")
_ONCE = (b"tree", b"author", b"committer", b"encoding", *_HEADERS)
# In a file of allowed signers a principal is a list of patterns: these characters mean something.
_PLAIN = re.compile(r"[^\s*?!,\"#\\]+", re.ASCII)
_SECONDS = 30.0


def verify(repo: Repo, commit: str, signers: Signers) -> Signature:
    """Whether one of the signers signed exactly this commit, as git does with ``gpg.format=ssh``.

    ``Refused`` says why a signature does not count. Whether the signer is the commit's author is
    for the caller to compare. Raises ``UsageError`` where ssh-keygen is missing or too old.
    """
    kind, data = repo.objects.read(commit)
    if kind != "commit" or repo.objects.hash("commit", data) != commit:
        return Refused("the object is not the commit that its name says")
    parts = _take_apart(data)
    if isinstance(parts, Unsigned | Refused):
        return parts
    payload, armor = parts
    blob = _read_armor(armor)
    if isinstance(blob, Refused):
        return blob
    key = _public_key(blob)
    if isinstance(key, Refused):
        return key
    principal = _owner(key, signers)
    if isinstance(principal, Refused):
        return principal
    if not _is_good(repo.ensure_private(), principal, key, armor, payload):
        return Refused("the signature does not fit the commit: one of the two was changed")
    return Signed(principal=principal, key=_line(key), fingerprint=fingerprint(key))


def fingerprint(key: bytes) -> str:
    """The short name of a public key, as ``ssh-keygen -l`` prints it."""
    digest = base64.b64encode(hashlib.sha256(key).digest()).decode("ascii")
    return f"SHA256:{digest.rstrip('=')}"


def _take_apart(data: bytes) -> tuple[bytes, bytes] | Unsigned | Refused:
    """A commit as what was signed and the signature. What git could read in two ways is refused."""
    head, divider, message = data.partition(b"\n\n")
    kept: list[bytes] = []
    signature: list[bytes] = []
    seen: set[bytes] = set()
    current = b""
    for line in head.split(b"\n"):
        if not line.startswith(b" "):
            current = line.partition(b" ")[0]
            if current in seen and current in _ONCE:
                return Refused(f"the commit has two headers {current.decode('ascii', 'replace')}")
            seen.add(current)
        if current in _HEADERS:
            signature.append(line[len(current) + 1 :] if line[:1] != b" " else line[1:])
        else:
            kept.append(line)
    if b"\0" in head or not divider:
        return Refused("the commit is malformed")
    if not signature:
        return Unsigned()
    if all(header in seen for header in _HEADERS):
        return Refused("the commit has two signatures")
    return b"\n".join(kept) + divider + message, b"\n".join(signature).rstrip(b"\n") + b"\n"


def _read_armor(armor: bytes) -> bytes | Refused:
    for begin, name in _FOREIGN.items():
        if armor.startswith(begin):
            return Refused(f"it is signed with {name}; lifeos knows SSH signatures only")
    inside = armor.removeprefix(_BEGIN).rstrip(b"\n").removesuffix(_END)
    if len(inside) + len(_BEGIN) + len(_END) != len(armor.rstrip(b"\n")) or b"-" in inside:
        return Refused("the signature is not one SSH signature")
    try:
        return base64.b64decode(inside.replace(b"\n", b""), validate=True)
    except binascii.Error:
        return Refused("the signature is damaged")


def _public_key(blob: bytes) -> bytes | Refused:
    """The key that a signature names, if it was made for git."""
    if not blob.startswith(b"SSHSIG\0\0\0\1"):
        return Refused("the signature has a format that lifeos does not know")
    key, rest = _string(blob[10:])
    if not key:
        return Refused("the signature is damaged")
    namespace, _ = _string(rest)
    if namespace != _NAMESPACE.encode():
        shown = namespace.decode("utf-8", "replace")[:40]
        return Refused(f"it was signed for the namespace {shown!r}, not for {_NAMESPACE!r}")
    kind, _ = _string(key)
    if b"-cert-" in kind:
        return Refused("it is signed with a certificate; lifeos knows plain keys only")
    return key


def _string(data: bytes) -> tuple[bytes, bytes]:
    """The first string of the SSH wire format, and what follows; short data gives short strings."""
    size = int.from_bytes(data[:4])
    return data[4 : 4 + size], data[4 + size :]


def _owner(key: bytes, signers: Signers) -> str | Refused:
    """Whose key it is. A key of several people says nothing about who signed."""
    owners = list(dict.fromkeys(email for email, line in signers if _blob(line) == key))
    if not owners:
        return Refused(f"it is signed with a key that no approver has: {fingerprint(key)}")
    if len(owners) > 1:
        return Refused(f"its key belongs to several approvers: {', '.join(owners)}")
    if not _PLAIN.fullmatch(owners[0]):
        return Refused(f"the approver's address {owners[0]!r} cannot name a signer")
    return owners[0]


def _blob(line: str) -> bytes:
    parts = line.split()
    try:
        return base64.b64decode(parts[1], validate=True)
    except (IndexError, ValueError):
        return b""  # equal to no key: a signature's key is never empty (see _public_key)


def _line(key: bytes) -> str:
    kind, _ = _string(key)
    return f"{kind.decode('ascii', 'replace')} {base64.b64encode(key).decode('ascii')}"


def _is_good(private: Path, principal: str, key: bytes, armor: bytes, payload: bytes) -> bool:
    program = shutil.which("ssh-keygen")
    if program is None:
        raise UsageError(
            "ssh-keygen is not installed: signatures cannot be checked",
            "install OpenSSH's client (apt-get install openssh-client), then try again",
        )
    question = ("-Y", "verify", "-n", _NAMESPACE, "-I", principal)
    with tempfile.TemporaryDirectory(prefix="signature-", dir=private) as folder:
        allowed, signature = Path(folder) / "allowed", Path(folder) / "signature"
        line = f'{principal} namespaces="{_NAMESPACE}" {_line(key)}\n'
        allowed.write_text(line, encoding="utf-8")
        signature.write_bytes(armor)
        ended = run(
            (program, *question, "-f", str(allowed), "-s", str(signature)),
            cwd=Path(folder),
            env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"},
            seconds=_SECONDS,
            output_limit=16_384,
            stdin=payload,
        )
    text = ended.err.decode("utf-8", "replace")
    if ended.timed_out or "usage:" in text or "unknown option" in text:
        raise UsageError(
            "ssh-keygen cannot check signatures here: it is too old, or does not answer",
            "install OpenSSH 8.2 or newer",
        )
    return ended.ok and ended.out.startswith(b'Good "git" signature')
