"""An approval across an air gap: carried out by file, answered elsewhere, carried back, judged."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import time
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from command_line import TASK, Project, made_beside, project
from conftest import EMAIL, NAME, Git, require
from lifeos.core.answers import answer_path
from lifeos.errors import NotAuthorised, UsageError
from lifeos.model import ItemKind
from lifeos.store.bundlefile import read_bundle
from lifeos.store.remote import Remote, Update
from lifeos.store.repo import Repo
from lifeos.tick.airgap import answers_in
from loop_scene import begin_scene
from test_verify_signed import key, signer

MAIN = "refs/heads/main"
LEDGER = "refs/heads/lifeos/ledger"


def made(folder: Path) -> Project:
    """The CEO is asked whether to land; the rules want a signature."""
    own = key(folder.parent / f"{folder.name}-keys")
    line = own.with_suffix(".pub").read_text(encoding="utf-8").strip()
    person = {"name": NAME, "email": EMAIL, "key": line}
    begun = begin_scene(folder, {"approvals.trust": "signature", "approvals.approvers": [person]})
    scene = Project(folder, int(time.time()) - 600, begun.nonces)
    signer(scene, own)
    scene.git("commit", "--quiet", "--amend", "--no-edit", "-S")
    scene.git("config", "--unset", "user.signingkey")
    scene.tick()
    return scene


def parted(folder: Path) -> Project:
    """The same, exported; beside it the clone of B and its key."""
    a = made(folder)
    beside = folder.parent / f"{folder.name}-beside"
    beside.mkdir()
    a.cli("export", str(beside / "state.bundle"))
    clone(a, beside / "state.bundle", beside / "b", folder.parent / f"{folder.name}-keys/key")
    return a


def clone(a: Project, state: Path, to: Path, own: Path) -> Project:
    """B, as docs/airgap.md has it: a clone of the file, with nothing else to reach."""
    Git(to.parent)("clone", "--quiet", "--branch", "main", str(state), str(to))
    b = Project(to, a.now, 500)
    b.git("fetch", "--quiet", "origin", "lifeos/ledger:lifeos/ledger")
    b.git("config", "user.name", NAME)
    b.git("config", "user.email", EMAIL)
    signer(b, own)
    return b


class Gap:
    """Machine A, which runs lifeos; machine B, where the CEO sits; and a stick between them."""

    def __init__(self, folder: Path, a: Project, own: Path) -> None:
        self.folder = folder
        self.a = a
        self.own = own
        self.state = folder / "state.bundle"
        self.answers = folder / "answers.bundle"
        self.b = Project(folder / "b", a.now, 500)

    def answered(self, *args: str) -> Path:
        """The CEO answers on B, and puts the answer on the stick."""
        self.b.cli(*(args or ("approve", TASK)))
        self.b.cli("export", "--answers", str(self.answers))
        return self.answers

    def refused(self, what: str, file: Path | None = None) -> None:
        """The command takes nothing over, and says this; no reference has moved."""
        before = self.a.refs()
        said = self.a.cli("import", str(file or self.answers), code=2)
        assert what in said.err, said.err
        assert "nothing was taken over" in said.err or "fix:" in said.err
        assert self.a.refs() == before

    def unfit(self, what: str, file: Path | None = None) -> None:
        """What the command reads of the file is refused so; not one object has come in."""
        store = self.a.folder / ".git/objects"
        before = sorted(store.rglob("*"))
        with Repo.open(self.a.folder) as repo, pytest.raises(UsageError) as refused:
            _read(repo, file or self.answers)
        assert what in refused.value.message
        assert refused.value.fix
        assert sorted(store.rglob("*")) == before


def _read(repo: Repo, file: Path) -> None:
    """As the command does it, before it puts anything anywhere."""
    bundle = read_bundle(file, repo.objects, MAIN)
    answers_in(repo, bundle, MAIN, repo.refs.read(MAIN) or "")


@pytest.fixture
def gap(tmp_path: Path) -> Gap:
    """Both machines; the question is on the stick."""
    require("ssh-keygen", shutil.which("ssh-keygen") is not None, "apt-get install openssh-client")
    scene = project(tmp_path, "airgap", parted)
    other = made_beside("airgap", "beside")
    shutil.copytree(other / "b", tmp_path / "b", symlinks=True)
    shutil.copy(other / "state.bundle", tmp_path)
    subprocess.run(["git", "status"], cwd=tmp_path / "b", check=True, capture_output=True)
    return Gap(tmp_path, scene, made_beside("airgap", "keys") / "key")


# --- the whole way ------------------------------------------------------------------------------


def test_from_the_question_to_the_landing(gap: Gap) -> None:
    """A exports; on B the CEO looks and signs; A imports, and the tick goes on as ever."""
    a, b = gap.a, gap.b
    item = a.item().id
    assert b.cli("verify", "--json").data["good"]
    assert item in b.cli("queue").out
    assert "docs/guide.md" in b.cli("queue", "show", item).out
    assert "+hello" in b.cli("show", TASK, "--artifact", "patch.diff").out
    said = b.cli("approve", item)
    assert "committed" in said.out
    exported = b.cli("export", "--answers", str(gap.answers), "--json").data
    assert exported["items"] == [item]
    assert list(exported["refs"]) == [MAIN]
    assert exported["sha256"] == hashlib.sha256(gap.answers.read_bytes()).hexdigest()
    assert gap.answers.stat().st_size < 5000
    dry = a.cli("import", "--dry-run", str(gap.answers)).out
    assert f"{item}: approve by {EMAIL}, signed" in dry
    assert a.item().id == item
    data = a.cli("import", str(gap.answers), "--json").data
    assert data["main"] == a.main == b.main
    assert not data["merged"]
    a.cli("tick")
    assert a.at_main("docs/guide.md") == "hello"
    verified = a.cli("verify", "--json").data
    assert (verified["findings"], verified["answers"]) == ([], 1)
    assert "already" in a.cli("import", str(gap.answers), code=2).err
    why = a.cli("why", "docs/guide.md:1", "--json").data["runs"][0]["answers"][0]
    assert (why["trust"], why["commit"]) == ("signature", b.main)


def test_where_main_has_moved_on(gap: Gap) -> None:
    """The answers are merged, as whoever imports: B's own commit is still what brought them."""
    answer = gap.answered()
    gap.a.commit({"notes.md": "meanwhile\n"}, "--no-gpg-sign")
    signer(gap.a, gap.own)
    data = gap.a.cli("import", str(answer), "--json").data
    assert data["merged"]
    assert gap.a.git("rev-parse", "main^2") == gap.b.main
    assert gap.a.git("diff", "--name-only", "main^1", "main") == answer_path(gap.a.item().id)
    gap.a.cli("tick")
    assert gap.a.at_main("docs/guide.md") == "hello"
    assert gap.a.at_main("notes.md") == "meanwhile"
    assert gap.a.cli("verify", "--json").data["findings"] == []


def test_sent_back_and_asked_again(gap: Gap) -> None:
    """The stick goes to and fro: only what is new is carried, and B follows."""
    a, b = gap.a, gap.b
    a.cli("import", str(gap.answered("revise", TASK, "-m", "say it louder")))
    a.cli("tick")
    first, known = a.item().id, b.main
    a.cli("export", "--since", known, str(gap.state))
    assert "requires" in b.git("bundle", "verify", str(gap.state))
    b.git("pull", "--quiet", "--ff-only", str(gap.state), "main")
    b.git("fetch", "--quiet", str(gap.state), "lifeos/ledger:lifeos/ledger")
    assert first in b.cli("queue").out
    assert b.cli("verify", "--json").data["good"]
    a.cli("import", str(gap.answered()))
    a.cli("tick")
    assert a.at_main("docs/guide.md") == "hello"


def test_a_pipe_is_not_replaced_by_a_file(gap: Gap) -> None:
    """Nor a device: what is no plain file belongs to others too."""
    pipe = gap.a.folder / "pipe"
    os.mkfifo(pipe)
    assert "is no plain file" in gap.a.cli("export", str(pipe), code=2).err
    assert pipe.is_fifo()


def test_nothing_to_carry(gap: Gap) -> None:
    """Neither side writes a file that says nothing."""
    assert "no answer" in gap.b.cli("export", "--answers", str(gap.answers), code=2).err
    said = gap.a.cli("export", "--since", "main", str(gap.answers), code=None)
    assert not gap.answers.exists() or said.code == 0
    assert (
        "--since goes without"
        in gap.b.cli("export", "--answers", "--since", "main", str(gap.answers), code=2).err
    )


# --- what is refused ----------------------------------------------------------------------------


def forged(
    gap: Gap,
    refs: dict[str, str],
    needs: Sequence[str],
    *objects: str,
    head: str = "# v2 git bundle\n",
    options: Sequence[str] = ("--window=0", "--no-reuse-delta"),
) -> None:
    """Put a bundle on the stick that is made by hand: these references, and these objects of B."""
    done = subprocess.run(
        ["git", "pack-objects", "--stdout", "-q", *options],
        cwd=gap.b.folder,
        input="\n".join(objects).encode() + b"\n",
        capture_output=True,
        check=True,
    )
    lines = [f"-{oid} \n" for oid in needs] + [f"{oid} {name}\n" for name, oid in refs.items()]
    gap.answers.write_bytes(f"{head}{''.join(lines)}\n".encode() + done.stdout)


def new_objects(gap: Gap, tip: str) -> list[str]:
    """What B has up to a commit that A has not."""
    listing = gap.b.git("rev-list", "--objects", tip, "^origin/main")
    return [line.split()[0] for line in listing.splitlines()]


def commit_and_forge(gap: Gap, tip: str) -> None:
    """A bundle with all that is new up to this commit."""
    base = gap.b.git("rev-parse", "origin/main")
    forged(gap, {MAIN: tip}, [base], *new_objects(gap, tip))


def test_other_references(gap: Gap) -> None:
    """A file that would move another branch moves nothing."""
    gap.answered()
    b = gap.b
    base, ledger = b.git("rev-parse", "origin/main"), b.git("rev-parse", LEDGER)
    objects = new_objects(gap, "main")
    for name in ("refs/heads/evil", "refs/tags/v1", "refs/lifeos/seen", "refs/replace/x", LEDGER):
        oid = ledger if name == LEDGER else b.main
        forged(gap, {MAIN: b.main, name: oid}, [base], *objects)
        gap.unfit(f"it brings {name}")
    forged(gap, {"refs/heads/other": b.main}, [base], *objects)
    gap.refused("only refs/heads/main can be taken from it")
    forged(gap, {"HEAD": b.main}, [base], *objects)
    gap.unfit("a reference with an odd name")


def test_a_rewound_ledger(gap: Gap) -> None:
    """A ledger in the file is refused, an older one too: only answers are carried back."""
    gap.answered()
    b = gap.b
    old = b.git("rev-parse", f"{LEDGER}~3")
    forged(gap, {LEDGER: old}, [b.git("rev-parse", f"{LEDGER}~4")], old)
    gap.refused(f"it brings {LEDGER}")
    gap.unfit("it brings", gap.state)


Tamper = Callable[[Gap], str]


def beside(gap: Gap, files: dict[str, str | bytes | None], *options: str) -> str:
    """The right answer, and in the same commit something else. The commit."""
    return gap.b.commit({**gap.b.answer(), **files}, "-S", *options)


def before_it(gap: Gap) -> str:
    """A commit of its own before the one with the answer."""
    gap.b.commit({"src/evil.py": "x = 1\n"}, "-S")
    return gap.b.commit(dict(gap.b.answer()), "-S")


def as_a_merge(gap: Gap) -> str:
    """A merge whose other side brings code."""
    git = gap.b.git
    gap.b.commit(dict(gap.b.answer()), "-S")
    answer = git("rev-parse", "HEAD")
    git("checkout", "--quiet", "-b", "side", "origin/main")
    gap.b.commit({"src/evil.py": "x = 1\n"}, "-S")
    git("checkout", "--quiet", "main")
    git("merge", "--quiet", "--no-edit", "-S", "side")
    assert git("rev-parse", "HEAD^1") == answer
    return git("rev-parse", "HEAD")


def executable(gap: Gap) -> str:
    """The answer's file could be run."""
    path = answer_path(gap.b.item().id)
    gap.b.write(dict(gap.b.answer()))
    gap.b.git("add", path)
    gap.b.git("update-index", "--chmod=+x", path)
    gap.b.git("commit", "--quiet", "-S", "--message=x")
    return gap.b.git("rev-parse", "HEAD")


def linked(gap: Gap) -> str:
    """A symbolic link in its place."""
    path = gap.b.folder / answer_path(gap.b.item().id)
    path.symlink_to("/etc/passwd")
    gap.b.git("add", str(path))
    gap.b.git("commit", "--quiet", "-S", "--message=x")
    return gap.b.git("rev-parse", "HEAD")


def of_another_name(gap: Gap, name: str) -> str:
    """The answer under a name that is none."""
    (data,) = gap.b.answer().values()
    return gap.b.commit({f".lifeos/queue/{name}": data}, "-S")


def in_lifeos_name(gap: Gap) -> str:
    """As if lifeos had answered."""
    lifeos = "lifeos@localhost"
    return gap.b.commit(dict(gap.b.answer()), author=lifeos, committer=lifeos)


def without_the_question(gap: Gap) -> str:
    """The answer comes, and the pending file goes."""
    return beside(gap, {f".lifeos/queue/{gap.b.item().id}.md": None})


def taken_away(gap: Gap) -> str:
    """Nothing comes, something goes."""
    gap.b.git("rm", "--quiet", f".lifeos/queue/{gap.b.item().id}.md")
    gap.b.git("commit", "--quiet", "-S", "--message=x")
    return gap.b.git("rev-parse", "HEAD")


def very_long(gap: Gap) -> str:
    """A file that no record could hold."""
    return gap.b.commit({answer_path(gap.b.item().id): "# x\n" * 2000}, "-S")


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (lambda gap: beside(gap, {"README.md": "# Evil\n"}), "changes more than the queue"),
        (lambda gap: beside(gap, {"policies/loop.yaml": "x"}), "changes more than the queue"),
        (lambda gap: beside(gap, {".lifeos/STOP": ""}), "changes more than the queue"),
        (lambda gap: beside(gap, {".lifeos/queue/x.md": ""}), "does not bring one answer"),
        (before_it, "does not bring one answer"),
        (as_a_merge, "is a merge"),
        (executable, "no small file"),
        (linked, "no small file"),
        (lambda gap: of_another_name(gap, "Q-1.approval.yaml"), "which is no answer"),
        (lambda gap: of_another_name(gap, "q-ABCDEFGH.approval.yaml"), "which is no answer"),
        (lambda gap: of_another_name(gap, "x/Q-abcdefgh.approval.yaml"), "which is no answer"),
        (in_lifeos_name, "in lifeos's name"),
        (without_the_question, "does not bring one answer"),
        (taken_away, "does not bring one answer"),
        (very_long, "no small file"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_more_than_an_answer(gap: Gap, make: Tamper, what: str) -> None:
    """Commits that do anything but put one answer's file into the queue."""
    commit_and_forge(gap, make(gap))
    gap.unfit(what)


def test_objects_that_no_answer_needs(gap: Gap) -> None:
    """Nothing comes in that nobody would see."""
    gap.answered()
    blob = gap.b.git("hash-object", "-w", "--stdin", stdin="smuggled\n")
    base = gap.b.git("rev-parse", "origin/main")
    forged(gap, {MAIN: gap.b.main}, [base], *new_objects(gap, "main"), blob)
    gap.refused("1 objects that are part of no answer")


def test_objects_that_are_missing(gap: Gap) -> None:
    """A commit whose tree or file is not there is none."""
    gap.answered()
    base, objects = gap.b.git("rev-parse", "origin/main"), new_objects(gap, "main")
    for left_out in objects[1:]:
        rest = [oid for oid in objects if oid != left_out]
        forged(gap, {MAIN: gap.b.main}, [base], *rest)
        gap.unfit("this bundle is refused")


def test_of_another_repository(gap: Gap, tmp_path: Path) -> None:
    """Another root, another ledger, the same names: it stands on nothing that is known here."""
    other = tmp_path / "other"
    made(other)
    b = gap.b
    b.git("fetch", "--quiet", str(other), "main")
    b.git("checkout", "--quiet", "-B", "main", "FETCH_HEAD")
    tip = b.commit(dict(gap.a.answer()), "-S")
    base = b.git("rev-parse", "main^")
    listing = b.git("rev-list", "--objects", tip, f"^{base}").splitlines()
    forged(gap, {MAIN: tip}, [base], *(line.split()[0] for line in listing))
    gap.unfit("which is no commit of main here")


def test_on_a_main_of_its_own(gap: Gap) -> None:
    """The answer stands on a commit that A never had: nobody knows what was looked at."""
    b = gap.b
    b.commit({"README.md": "# Other\n"}, "-S")
    base = b.main
    tip = b.commit(dict(b.answer()), "-S")
    listing = b.git("rev-list", "--objects", tip, f"^{base}").splitlines()
    forged(gap, {MAIN: tip}, [base], *(line.split()[0] for line in listing))
    gap.refused("which is no commit of main here")


@pytest.mark.parametrize("step", [7, pytest.param(1, marks=pytest.mark.long)])
def test_a_damaged_file(gap: Gap, step: int) -> None:
    """Cut off or altered anywhere: it is refused, or (in a comment of git's) means the same."""
    whole = gap.answered().read_bytes()
    for place in range(0, len(whole), step):
        gap.answers.write_bytes(whole[:place])
        gap.unfit("this bundle is refused")
        altered = bytearray(whole)
        altered[place] ^= 0x20
        gap.answers.write_bytes(bytes(altered))
        gap.unfit("this bundle is refused")
    gap.answers.write_bytes(whole + b"x")
    gap.refused("this bundle is refused")
    gap.answers.write_bytes(whole)
    gap.a.cli("import", str(gap.answers))


def pack_of(*entries: bytes, count: int | None = None) -> bytes:
    """A pack with these entries, as they are."""
    body = b"PACK\x00\x00\x00\x02" + (count or len(entries)).to_bytes(4, "big") + b"".join(entries)
    return body + hashlib.sha1(body, usedforsecurity=False).digest()


def header(kind: int, size: int) -> bytes:
    """The head of a pack's entry."""
    first, size = (kind << 4) | (size & 15), size >> 4
    out = []
    while size:
        out.append(first | 128)
        first, size = size & 127, size >> 7
    return bytes([*out, first])


@pytest.mark.parametrize(
    ("pack", "what"),
    [
        (pack_of(header(3, 1 << 40) + zlib.compress(b"x")), "too large"),
        (pack_of(header(3, 5) + zlib.compress(b"\0" * (64 << 20))), "not as long as it says"),
        (
            pack_of(header(3, 4 << 20) + zlib.compress(b"\0" * (4 << 20))),
            "there is no answer in it",
        ),
        (pack_of(header(6, 5) + b"\x05" + zlib.compress(b"abcde")), "not whole"),
        (pack_of(header(7, 5) + b"\x11" * 20 + zlib.compress(b"abcde")), "not whole"),
        (pack_of(header(5, 1) + zlib.compress(b"x")), "of no kind"),
        (pack_of(b"\xff" * 40), "damaged"),
        (pack_of(count=999_999), "999,999 objects"),
        (pack_of(header(3, 1) + zlib.compress(b"x"), count=3), "cut off"),
        (b"PACK", "damaged, or cut off"),
    ],
    ids=[
        "size",
        "bomb",
        "honest bomb",
        "ofs",
        "ref",
        "kind",
        "varint",
        "count",
        "few",
        "none",
    ],
)
def test_a_hostile_pack(gap: Gap, pack: bytes, what: str) -> None:
    """What would fill the memory, or lead astray whoever unpacks it."""
    base = gap.b.git("rev-parse", "origin/main")
    gap.answers.write_bytes(f"# v2 git bundle\n-{base} \n{'1' * 40} {MAIN}\n\n".encode() + pack)
    gap.unfit(what)


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"\n\n",
        b"# v1 git bundle\n\n",
        b"# v3 git bundle\n@filter=blob:none\n\n",
        b"# v3 git bundle\n@object-format=sha256\n\n",
        b"# v2 git bundle\n" + b"1" * 40 + b" refs/heads/../x\n\n",
        b"# v2 git bundle\n"
        + b"1" * 40
        + b" refs/heads/main\n"
        + b"2" * 40
        + b" refs/heads/main\n\n",
        b"# v2 git bundle\n" + b"-x\n" * 3 + b"\n",
        b"# v2 git bundle\n" + (b"-" + b"1" * 40 + b" \n") * 300 + b"\n",
        b"# v2 git bundle\n" + b"a" * 100_000 + b"\n\n",
        b"\x00" * 100_000,
    ],
    ids=range(11),
)
def test_a_hostile_beginning(gap: Gap, head: bytes) -> None:
    """What is no bundle, or asks for more than git's own do."""
    gap.answers.write_bytes(head + pack_of())
    gap.unfit("this bundle is refused")


def test_a_file_that_is_none(gap: Gap) -> None:
    """No file, a folder, and one that is far too large."""
    gap.refused("cannot be read", gap.folder / "nowhere")
    gap.refused("cannot be read", gap.folder)
    large = gap.folder / "large"
    with large.open("wb") as file:
        file.truncate(1 << 30)
    gap.refused("answers are small", large)


def rewritten(gap: Gap, change: Callable[[str], str]) -> str:
    """The commit of the right answer with something else in it, which no signature covers."""
    gap.b.commit(dict(gap.b.answer()), "--no-gpg-sign")
    raw = gap.b.git("cat-file", "commit", "HEAD") + "\n"
    return gap.b.git("hash-object", "-t", "commit", "-w", "--stdin", stdin=change(raw))


DISGUISED = "li\x1b(Bfeos@localhost"
"""What git reads as lifeos's own address where the commit says that it is in ISO-2022-JP."""


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (
            lambda raw: raw.replace(EMAIL, DISGUISED).replace(
                "\n\n", "\nencoding ISO-2022-JP\n\n", 1
            ),
            "is not in UTF-8",
        ),
        (lambda raw: raw.replace("\n\n", "\nencoding UTF-8\n\n", 1), "is not in UTF-8"),
        (lambda raw: raw.replace(EMAIL, DISGUISED), "not a commit that a person makes"),
        (lambda raw: f"{raw}\nLifeos-Ledger: {'1' * 40}\n", "has a line `Lifeos-"),
        (lambda raw: f"{raw}\nlifeos-run : R-1\n", "has a line `Lifeos-"),
    ],
    ids=["disguised", "encoding", "control character", "ledger", "run"],
)
def test_a_commit_that_could_be_read_as_lifeos_s_own(
    gap: Gap, change: Callable[[str], str], what: str
) -> None:
    """Neither by a name that git reads otherwise, nor by what its message says."""
    commit_and_forge(gap, rewritten(gap, change))
    gap.unfit(what)


# --- answers that do not count ------------------------------------------------------------------


def test_an_unsigned_answer(gap: Gap) -> None:
    """It has the right name, the right file and the right place."""
    commit_and_forge(gap, gap.b.commit(dict(gap.b.answer()), "--no-gpg-sign"))
    gap.refused("nothing was taken over: the answer to")


def test_an_answer_signed_by_another_key(gap: Gap, tmp_path: Path) -> None:
    """A good signature, and not an approver's."""
    signer(gap.b, key(tmp_path / "mallory"))
    commit_and_forge(gap, gap.b.commit(dict(gap.b.answer()), "-S"))
    gap.refused("nothing was taken over: the answer to")


def test_an_unsigned_answer_to_what_nobody_asks(gap: Gap) -> None:
    """It would do nothing; its commit would be on main, in the approver's name, all the same."""
    path = answer_path("Q-zzzzzzzz")
    said = "--message=[skip ci] Closes #1"
    commit_and_forge(gap, gap.b.commit({path: "hostile: text\n"}, "--no-gpg-sign", said))
    gap.refused("the answer to Q-zzzzzzzz does not count: the commit that brought its content")


def test_an_unsigned_answer_below_a_good_one(gap: Gap) -> None:
    """The last word on the question is the approver's; every commit has to be."""
    b = gap.b
    b.commit({answer_path(b.item().id): "hostile: text\n"}, "--no-gpg-sign")
    commit_and_forge(gap, b.commit(dict(b.answer()), "-S"))
    gap.refused("does not count: the commit that brought its content is not signed")


def test_an_answer_about_something_else(gap: Gap) -> None:
    """The subject is that of another question."""
    item = gap.b.item().model_copy(update={"subject": "cd" * 32})
    commit_and_forge(gap, gap.b.commit(dict(gap.b.answer(item=item)), "-S"))
    gap.refused("nothing was taken over: the answer to")


def test_an_answer_that_came_too_late(gap: Gap) -> None:
    """It was answered on A meanwhile, and nobody asks any more: it does nothing."""
    answer = gap.answered()
    signer(gap.a, gap.own)
    gap.a.cli("reject", TASK, "-m", "no")
    gap.refused("says something else")
    gap.a.cli("tick")
    said = gap.a.cli("import", str(answer))
    assert "not open any more" in said.out
    gap.a.cli("tick")
    assert not gap.a.on_main("docs/guide.md")
    assert gap.a.cli("verify", "--json").data["findings"] == []


def test_where_names_are_believed(tmp_path: Path) -> None:
    """With trust `commit` anybody could write the approver's name into a file."""
    scene = begin_scene(tmp_path / "a")
    a = Project(scene.folder, scene.now, scene.nonces)
    a.tick()
    said = a.cli("import", str(tmp_path / "x"), code=4)
    assert "count with trust `signature` alone" in said.err
    assert "note: with trust `commit`" in a.cli("export", str(tmp_path / "state.bundle")).out


# --- where there is a remote --------------------------------------------------------------------


def test_a_machine_whose_rules_name_a_remote(gap: Gap, tmp_path: Path) -> None:
    """On B `origin` is the file: it is read, and nothing is ever pushed to it."""
    a = gap.a
    hub = tmp_path / "hub.git"
    Git(tmp_path)("init", "--quiet", "--bare", "--initial-branch=main", str(hub))
    signer(a, gap.own)
    a.git("remote", "add", "origin", str(hub))
    a.commit(a.edit(".lifeos/config.yaml", '"remote": "none"', '"remote": "origin"'), "-S")
    a.cli("tick")
    a.git("push", "--quiet", "origin", "main", "lifeos/ledger")
    a.cli("tick")
    a.cli("export", str(gap.state))
    shutil.rmtree(gap.b.folder)
    b = gap.b = clone(a, gap.state, gap.b.folder, gap.own)
    item = next(one.id for one in a.snapshot().items.values() if one.kind is ItemKind.GOVERNANCE)
    said = b.cli("approve", item)
    assert "lifeos export --answers FILE" in said.out
    with Repo.open(b.folder) as repo:
        remote = Remote.open(repo, "origin", "main")
        with pytest.raises(NotAuthorised, match="is a file, which takes nothing"):
            remote.push(Update(MAIN, b.main, None))
    b.cli("export", "--answers", str(gap.answers))
    assert a.cli("import", str(gap.answers), "--json").data["not_pushed"] == ""
    assert a.git("ls-remote", str(hub), MAIN).split()[0] == b.main
    a.cli("tick")
    assert item not in a.cli("queue").out
