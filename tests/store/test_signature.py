"""Signatures of commits: only one by a named key, of exactly these bytes, made for git, counts."""

from __future__ import annotations

import base64
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import Git, require
from lifeos.core.approvals import Refused, Signed, Unsigned
from lifeos.errors import UsageError
from lifeos.store.repo import Repo
from lifeos.store.signature import verify

ANN, BOB = "ann@example.invalid", "bob@example.invalid"


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A key pair each for ann and bob."""
    require("ssh-keygen", shutil.which("ssh-keygen") is not None, "apt-get install openssh-client")
    folder = tmp_path_factory.mktemp("keys")
    found = {}
    for name in ("ann", "bob", "ca"):
        path = folder / name
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(path)]
        subprocess.run(command, check=True, capture_output=True, timeout=30)
        found[name] = path
    return found


@pytest.fixture
def signers(keys: dict[str, Path]) -> list[tuple[str, str]]:
    """Both as approvers, with their public keys."""
    return [(ANN, public(keys["ann"])), (BOB, public(keys["bob"]))]


@pytest.fixture
def store(repo: Path) -> Iterator[Repo]:
    """The repository as lifeos opens it."""
    with Repo.open(repo) as opened:
        yield opened


def public(key: Path) -> str:
    """The public key's line."""
    return key.with_suffix(".pub").read_text(encoding="utf-8").strip()


def sign(git: Git, key: Path, message: str = "Answer", program: str = "ssh-keygen") -> str:
    """A commit signed by real git."""
    git(
        *("-c", "gpg.format=ssh", "-c", f"gpg.ssh.program={program}"),
        *("-c", f"user.signingKey={key}"),
        *("commit", "--quiet", "--allow-empty", "-S", "-m", message),
    )
    return git("rev-parse", "HEAD")


def rewrite(git: Git, commit: str, old: str, new: str) -> str:
    """The commit object with some of its text replaced, whatever git thinks of it."""
    text = git("cat-file", "commit", commit) + "\n"
    assert old in text
    made = text.replace(old, new, 1)
    return git("hash-object", "-t", "commit", "-w", "--literally", "--stdin", stdin=made)


def armored(payload: bytes, key: Path, namespace: str = "git") -> str:
    """A signature of any bytes for any namespace."""
    command = ["ssh-keygen", "-q", "-Y", "sign", "-n", namespace, "-f", str(key)]
    done = subprocess.run(command, input=payload, check=True, capture_output=True, timeout=30)
    return done.stdout.decode()


def with_signature(git: Git, commit: str, armor: str, header: str = "gpgsig") -> str:
    """A commit object that carries this signature."""
    text = git("cat-file", "commit", commit) + "\n"
    head, message = text.split("\n\n", 1)
    inside = armor.strip().replace("\n", "\n ")
    made = f"{head}\n{header} {inside}\n\n{message}"
    return git("hash-object", "-t", "commit", "-w", "--literally", "--stdin", stdin=made)


def unsigned(git: Git) -> str:
    """A commit without a signature."""
    git("commit", "--quiet", "--allow-empty", "--message=Plain")
    return git("rev-parse", "HEAD")


def test_a_signed_commit(
    store: Repo, git: Git, keys: dict[str, Path], signers: list[tuple[str, str]]
) -> None:
    """By git itself; the name, the key and its short form are given."""
    found = verify(store, sign(git, keys["ann"]), signers)
    assert isinstance(found, Signed)
    assert found.principal == ANN
    assert found.key == " ".join(public(keys["ann"]).split()[:2])
    listed = subprocess.run(
        ["ssh-keygen", "-l", "-f", str(keys["ann"])], check=True, capture_output=True, timeout=30
    )
    assert found.fingerprint in listed.stdout.decode()


def test_other_kinds_of_keys(store: Repo, git: Git, tmp_path: Path) -> None:
    """RSA and ECDSA too."""
    for kind in ("rsa", "ecdsa"):
        key = tmp_path / kind
        command = ["ssh-keygen", "-q", "-t", kind, "-N", "", "-f", str(key)]
        subprocess.run(command, check=True, capture_output=True, timeout=60)
        assert isinstance(verify(store, sign(git, key), [(ANN, public(key))]), Signed)


def test_a_merge_and_a_message_of_any_shape(
    store: Repo, git: Git, keys: dict[str, Path], signers: list[tuple[str, str]]
) -> None:
    """Two parents, blank lines, text that looks like headers, and no newline at the end."""
    side = git("commit-tree", "-m", "Side", "-p", "HEAD", "HEAD^{tree}")
    message = "Merge\n\ngpgsig x\n\n-----BEGIN SSH SIGNATURE-----\nno\n"
    flags = ("-c", "gpg.format=ssh", "-c", f"user.signingKey={keys['bob']}")
    commit = git(
        *(*flags, "commit-tree", "-S", "-F", "-", "-p", "HEAD", "-p", side, "HEAD^{tree}"),
        stdin=message,
    )
    found = verify(store, commit, signers)
    assert isinstance(found, Signed)
    assert found.principal == BOB


def test_an_unsigned_commit(store: Repo, git: Git, signers: list[tuple[str, str]]) -> None:
    """Is not refused; it is only not signed."""
    assert verify(store, unsigned(git), signers) == Unsigned()


def refusal(store: Repo, commit: str, signers: list[tuple[str, str]]) -> str:
    """Why a signature does not count."""
    found = verify(store, commit, signers)
    assert isinstance(found, Refused), found
    return found.reason


def test_an_unknown_key(
    store: Repo, git: Git, keys: dict[str, Path], signers: list[tuple[str, str]]
) -> None:
    """Also where nobody has a key, and where the lines are no keys."""
    commit = sign(git, keys["ann"])
    assert "no approver has" in refusal(store, commit, signers[1:])
    assert "no approver has" in refusal(store, commit, [])
    assert "no approver has" in refusal(store, commit, [(ANN, ""), (ANN, "ssh-ed25519 !!")])


def test_a_key_of_two_people_says_nothing(
    store: Repo, git: Git, keys: dict[str, Path], signers: list[tuple[str, str]]
) -> None:
    """Else bob could list ann's key as his own, or the other way."""
    commit = sign(git, keys["ann"])
    assert "several approvers" in refusal(store, commit, [*signers, (BOB, signers[0][1])])
    again = (ANN, f"{signers[0][1]} another comment")  # as in two versions of the approvals
    assert isinstance(verify(store, commit, [*signers, again]), Signed)


def test_an_address_that_is_a_pattern_names_nobody(
    store: Repo, git: Git, keys: dict[str, Path]
) -> None:
    """`*` would be every principal to ssh-keygen."""
    commit = sign(git, keys["ann"])
    for email in ("*@example.invalid", "a@b,c@d", 'a" namespaces="file'):
        assert "cannot name" in refusal(store, commit, [(email, public(keys["ann"]))])


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Answer", "Other"),
        ("author Test Person <person@", "author Test Person <ceo@"),
        ("committer Test Person", "committer Other"),
        ("+0000\ncommitter", "+0100\ncommitter"),
    ],
)
def test_an_altered_commit(
    store: Repo,
    git: Git,
    keys: dict[str, Path],
    signers: list[tuple[str, str]],
    old: str,
    new: str,
) -> None:
    """The signature is of every byte but its own."""
    commit = rewrite(git, sign(git, keys["ann"]), old, new)
    assert "changed" in refusal(store, commit, signers)


def test_a_signature_of_another_commit(
    store: Repo, git: Git, keys: dict[str, Path], signers: list[tuple[str, str]]
) -> None:
    """Taken from a good one and put on a forged one."""
    good = git("cat-file", "commit", sign(git, keys["ann"]))
    armor = good[good.index("-----BEGIN") : good.index("-----END")] + "-----END SSH SIGNATURE-----"
    commit = with_signature(git, unsigned(git), armor.replace("\n ", "\n"))
    assert "changed" in refusal(store, commit, signers)


def test_a_signature_for_another_purpose(
    store: Repo, git: Git, keys: dict[str, Path], signers: list[tuple[str, str]]
) -> None:
    """The same bytes, signed as a file or an e-mail."""
    plain = unsigned(git)
    payload = (git("cat-file", "commit", plain) + "\n").encode()
    assert isinstance(
        verify(store, with_signature(git, plain, armored(payload, keys["ann"])), signers), Signed
    )
    commit = with_signature(git, plain, armored(payload, keys["ann"], "file"))
    assert "namespace 'file'" in refusal(store, commit, signers)


def test_a_renamed_namespace_does_not_verify(
    store: Repo, git: Git, keys: dict[str, Path], signers: list[tuple[str, str]]
) -> None:
    """The namespace in the envelope is rewritten from "xyz" to "git": the crypto says no."""
    plain = unsigned(git)
    payload = (git("cat-file", "commit", plain) + "\n").encode()
    lines = armored(payload, keys["ann"], "xyz").strip().split("\n")
    blob = base64.b64decode("".join(lines[1:-1])).replace(b"\0\0\0\3xyz", b"\0\0\0\3git", 1)
    armor = "\n".join([lines[0], base64.b64encode(blob).decode(), lines[-1]])
    assert "changed" in refusal(store, with_signature(git, plain, armor), signers)


@pytest.mark.parametrize(
    ("armor", "reason"),
    [
        ("-----BEGIN PGP SIGNATURE-----\n\nx\n-----END PGP SIGNATURE-----", "OpenPGP"),
        ("-----BEGIN SIGNED MESSAGE-----\nx\n-----END SIGNED MESSAGE-----", "X.509"),
        ("-----BEGIN SSH SIGNATURE-----\n!!\n-----END SSH SIGNATURE-----", "damaged"),
        ("-----BEGIN SSH SIGNATURE-----\nAAAA\n-----END SSH SIGNATURE-----", "format"),
        ("-----BEGIN SSH SIGNATURE-----\nU1NIU0lHAAAAAQ==\n-----END SSH SIGNATURE-----", "damaged"),
        ("-----BEGIN SSH SIGNATURE-----\nAAAA", "not one SSH signature"),
        ("U1NIU0lH", "not one SSH signature"),
        (
            "-----BEGIN SSH SIGNATURE-----\nAAAA\n-----END SSH SIGNATURE-----\n"
            "-----BEGIN SSH SIGNATURE-----\nAAAA\n-----END SSH SIGNATURE-----",
            "not one SSH signature",
        ),
    ],
)
def test_what_is_no_ssh_signature(
    store: Repo, git: Git, signers: list[tuple[str, str]], armor: str, reason: str
) -> None:
    """Refused by its name, before any program sees it."""
    assert reason in refusal(store, with_signature(git, unsigned(git), armor), signers)


def test_a_commit_that_can_be_read_in_two_ways(
    store: Repo, git: Git, keys: dict[str, Path], signers: list[tuple[str, str]]
) -> None:
    """Two authors, or two signatures: which of them was meant?"""
    good = sign(git, keys["ann"])
    author = next(line for line in git("cat-file", "commit", good).split("\n") if "author" in line)
    twice = rewrite(git, good, author, f"author CEO <ceo@example.invalid> 1 +0000\n{author}")
    assert "two headers author" in refusal(store, twice, signers)
    armor = "-----BEGIN SSH SIGNATURE-----\nAAAA\n-----END SSH SIGNATURE-----"
    assert "two headers gpgsig" in refusal(store, with_signature(git, good, armor), signers)
    other = with_signature(git, good, armor, "gpgsig-sha256")
    assert "two signatures" in refusal(store, other, signers)


def test_a_certificate_is_refused_by_name(
    store: Repo, git: Git, keys: dict[str, Path], signers: list[tuple[str, str]], tmp_path: Path
) -> None:
    """It expires and is revoked elsewhere: who would look there?"""
    key = tmp_path / "ann"
    shutil.copy(keys["ann"], key)
    shutil.copy(keys["ann"].with_suffix(".pub"), key.with_suffix(".pub"))
    command = ["ssh-keygen", "-q", "-s", str(keys["ca"]), "-I", "x", "-n", ANN]
    subprocess.run([*command, str(key.with_suffix(".pub"))], check=True, timeout=30)
    plain = unsigned(git)
    payload = (git("cat-file", "commit", plain) + "\n").encode()
    certificate = tmp_path / "ann-cert.pub"
    assert certificate.exists()
    lines = armored(payload, key).strip().split("\n")
    blob = base64.b64decode("".join(lines[1:-1]))
    wire = base64.b64decode(certificate.read_text(encoding="utf-8").split()[1])
    old = base64.b64decode(public(key).split()[1])
    forged = blob.replace(len(old).to_bytes(4) + old, len(wire).to_bytes(4) + wire, 1)
    armor = "\n".join([lines[0], base64.b64encode(forged).decode(), lines[-1]])
    assert "certificate" in refusal(store, with_signature(git, plain, armor), signers)


def test_the_repositorys_configuration_has_no_say(
    repo: Path, git: Git, keys: dict[str, Path], signers: list[tuple[str, str]]
) -> None:
    """A signing program that says "good" to all, and signers of its own, are never asked."""
    commit = rewrite(git, sign(git, keys["bob"]), "Answer", "Forged")
    canary = repo.parent / "canary"
    program = repo.parent / "liar"
    program.write_text(f"#!/bin/sh\ntouch {canary}\necho 'Good \"git\" signature'\n", "utf-8")
    program.chmod(0o755)
    for key in ("gpg.ssh.program", "gpg.program"):
        git("config", key, str(program))
    git("config", "gpg.ssh.allowedSignersFile", str(repo.parent / "allowed"))
    (repo.parent / "allowed").write_text(f"* {public(keys['bob'])}\n", encoding="utf-8")
    with Repo.open(repo) as store:
        assert "changed" in refusal(store, commit, signers)
        assert "no approver has" in refusal(store, sign(git, keys["bob"], "x"), signers[:1])
    assert not canary.exists()


def test_replace_refs_have_no_say(
    repo: Path, git: Git, keys: dict[str, Path], signers: list[tuple[str, str]]
) -> None:
    """An unsigned commit, replaced by a signed one, is unsigned."""
    plain = unsigned(git)
    git("replace", plain, sign(git, keys["ann"]))
    assert git("log", "-1", "--format=%s", plain) == "Answer"  # git is fooled
    with Repo.open(repo) as store:
        assert verify(store, plain, signers) == Unsigned()


def test_without_ssh_keygen_the_error_says_what_to_install(
    store: Repo,
    git: Git,
    keys: dict[str, Path],
    signers: list[tuple[str, str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Not "unsigned", and not "refused": nothing is known. And an old one is named too."""
    commit = sign(git, keys["ann"])
    bin_folder = tmp_path / "bin"
    bin_folder.mkdir()
    found = shutil.which("git")
    assert found is not None
    (bin_folder / "git").symlink_to(found)
    monkeypatch.setenv("PATH", str(bin_folder))
    with pytest.raises(UsageError, match="not installed"):
        verify(store, commit, signers)
    old = bin_folder / "ssh-keygen"
    old.write_text("#!/bin/sh\necho 'unknown option -- Y' >&2\nexit 1\n", encoding="utf-8")
    old.chmod(0o755)
    with pytest.raises(UsageError, match="too old"):
        verify(store, commit, signers)


def test_nothing_is_left_behind(
    store: Repo, git: Git, keys: dict[str, Path], signers: list[tuple[str, str]]
) -> None:
    """The files made for ssh-keygen go."""
    verify(store, sign(git, keys["ann"]), signers)
    assert not list(store.private_dir.glob("signature-*"))
