"""The four parts of a CI round by the real command line, each in a clone of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from command_line import Project
from lifeos.core.canonical import sha256
from lifeos.core.ciformat import ClaimFile
from lifeos.core.records import Finished
from lifeos.store.repo import Repo
from lifeos.tick.begin import attached, opened
from lifeos.tick.bundle import WorkFile
from lifeos.tick.ci_attempt import attempt
from lifeos.tick.ci_check import check
from lifeos.tick.ci_claim import Claiming
from lifeos.tick.ci_collect import Collecting, read_given
from lifeos.tick.ci_work import unpack
from lifeos.tick.context import World

LEDGER = "refs/heads/lifeos/ledger"


@dataclass
class Works:
    """A project whose attempts and checks are carried out in clones. ``folder`` is for them."""

    project: Project
    folder: Path
    environ: dict[str, str] = field(default_factory=dict)  # of the attempts alone
    count: int = 0

    def place(self, name: str) -> Path:
        """A folder that is not there yet."""
        self.count += 1
        return self.folder / f"{self.count:03}-{name}"

    def clone(self) -> Path:
        """A fresh clone by plain git, with the ledger as a branch."""
        return clone_of(self.project, self.place("clone"))

    def claim(self, *args: str, code: int = 0, **env: str) -> list[Path]:
        """The claim files of a batch, in the order of its matrix."""
        out = self.place("claims")
        said = self.project.cli(
            "ci", "claim", "--out", str(out), *args, at=None, code=code, email="", **env
        )
        jobs = json.loads(said.out)["include"]
        assert sorted(job["claim"] for job in jobs) == sorted(
            path.name for path in (out.iterdir() if out.exists() else ())
        )
        return [out / job["claim"] for job in jobs]

    def attempt(self, claim: Path, at: Path | None = None) -> Path:
        """The bundle of a claim, made in a clone."""
        out = self.place("bundle")
        where = at or self.clone()
        args = ("ci", "attempt", str(claim), "--out", str(out))
        self.project.cli(*args, at=where, code=0, email="", **self.environ)
        return out

    def check(self, bundle: Path, code: int = 0) -> Path:
        """The report about a bundle, made in another clone."""
        out = self.place("checked")
        args = ("ci", "check", str(bundle), "--out", str(out))
        self.project.cli(*args, at=self.clone(), code=code)
        return out

    def collect(self, *folders: Path, code: int = 0, **env: str) -> Any:
        """Hand everything in. What the command said, as data."""
        args = ("ci", "collect", *map(str, folders), "--json")
        return self.project.cli(*args, at=None, code=code, email="", **env).data

    def round(self, *args: str, code: int = 0) -> list[str]:
        """One round of all four parts. The stages that were claimed."""
        claims = self.claim(*args)
        if claims:
            bundles = [self.attempt(claim) for claim in claims]
            reports = [self.check(bundle) for bundle in bundles]
            self.collect(*bundles, *reports, code=code)
        return [json.loads(claim.read_bytes())["stage"] for claim in claims]

    def finished(self) -> list[Finished]:
        """Every attempt that was recorded."""
        return [r for r in self.project.records() if isinstance(r, Finished)]

    def last(self) -> Finished:
        """The attempt that was recorded last."""
        return self.finished()[-1]


def clone_of(project: Project, to: Path) -> Path:
    """A clone by plain git, with the ledger as a branch."""
    run = ("git", "clone", "--quiet", "--no-local", str(project.folder), str(to))
    subprocess.run(run, check=True, capture_output=True)
    fetch = ("git", "fetch", "--quiet", "origin", f"{LEDGER}:{LEDGER}")
    subprocess.run(fetch, cwd=to, check=True, capture_output=True)
    return to


def world_of(project: Project) -> World:
    """Time and chance as the scene has them; what is said is kept there."""
    environ = {**os.environ, **project.environ}
    return World(
        clock=project.clock, nonce=project.nonce, environ=environ, progress=project.said.append
    )


def claimed(project: Project, most: int = 16) -> tuple[ClaimFile, ...]:
    """A batch, claimed in this process."""
    world = world_of(project)
    with Repo.open(project.folder) as repo:
        return Claiming(opened(repo, world), most).batch().claims


def carried_out(project: Project, at: Path, claim: ClaimFile, out: Path) -> Path:
    """The bundle of a claim, made in a clone by this process."""
    with Repo.open(at) as repo:
        attempt(repo, world_of(project), claim, out)
    return out


def reported(project: Project, at: Path, bundle: Path, out: Path) -> Path:
    """The report about a bundle, made in a clone by this process."""
    with Repo.open(at) as repo:
        check(repo, world_of(project), bundle, out)
    return out


def collected(project: Project, *folders: Path) -> tuple[int, list[str]]:
    """Collect in this process: how many were recorded, and why others were refused."""
    with Repo.open(project.folder) as repo:
        ctx = attached(repo, world_of(project))
        assert ctx is not None
        collecting = Collecting(ctx, read_given(folders))
        _, refused = collecting.collected()
        return collecting.recorded, [each.why for each in refused]


def until(project: Project, folder: Path, stage: str) -> ClaimFile:
    """Rounds in this process, all in one clone, until this stage is claimed."""
    for number in range(12):
        (claim,) = claimed(project)
        if claim.stage == stage:
            return claim
        bundle = carried_out(project, project.folder, claim, folder / f"bundle-{number}")
        report = reported(project, project.folder, bundle, folder / f"report-{number}")
        assert collected(project, bundle, report) == (1, [])
    raise AssertionError(f"{stage} was never claimed")


@dataclass
class Handed:
    """A claimed and carried out attempt, before it is collected; to be tampered with.

    ``side`` is the clone that it was carried out and checked in.
    """

    project: Project
    side: Path
    bundle: Path
    report: Path
    claim: ClaimFile

    @classmethod
    def made(cls, project: Project, folder: Path, stage: str) -> Handed:
        """An honest attempt at a stage, with its report."""
        claim = until(project, folder, stage)
        side = clone_of(project, folder / "side")
        bundle = carried_out(project, side, claim, folder / "handed/bundle")
        report = reported(project, side, bundle, folder / "handed/report")
        return cls(project, side, bundle, report, claim)

    def copy(self, folder: Path) -> Handed:
        """The same in another folder."""
        for name in ("side", "handed"):
            shutil.copytree(self.side.parent / name, folder / name, symlinks=True)
        scene = self.project.copy(folder / "repo")
        project = Project(scene.folder, scene.now, scene.nonces, dict(scene.environ))
        handed = folder / "handed"
        return Handed(project, folder / "side", handed / "bundle", handed / "report", self.claim)

    @property
    def index(self) -> Any:
        """The bundle's index."""
        return json.loads((self.bundle / "bundle.json").read_bytes())

    def edit(self, change: Callable[[Any], None]) -> None:
        """Change the index, and have the report speak of the changed bundle."""
        value = self.index
        change(value)
        data = json.dumps(value).encode()
        (self.bundle / "bundle.json").write_bytes(data)
        self.edit_report(lambda report: report.update(bundle=sha256(data)))

    def edit_report(self, change: Callable[[Any], None]) -> None:
        """Change the report."""
        path = self.report / "checked.json"
        value = json.loads(path.read_bytes())
        change(value)
        path.write_text(json.dumps(value), encoding="utf-8")

    def set(self, **fields: object) -> None:
        """Change fields of the index."""
        self.edit(lambda value: value.update(fields))

    def facts(self, **facts: object) -> None:
        """Change some of the facts."""
        self.edit(lambda value: value["facts"].update(facts))

    def artifact(self, name: str, data: bytes) -> None:
        """Put an artifact in, properly named by its digest."""
        (self.bundle / name).write_bytes(data)
        self.edit(lambda value: value["files"].update({name: sha256(data)}))

    def change(self, files: Mapping[str, bytes], mode: str = "100644") -> None:
        """Let the work be these files instead, with the right digests and tree, checked anew."""
        self.work([(path, mode, data) for path, data in sorted(files.items())])
        with Repo.open(self.side) as repo:  # nothing of it is in the trusted clone
            work = [WorkFile.model_validate(each) for each in self.index["work"]]
            blobs = {sha256(data): data for data in files.values()}
            tree = unpack(repo.objects, repo.objects.commit(self.claim.base).tree, work, blobs)
        self.facts(tree=tree)
        shutil.rmtree(self.report)
        reported(self.project, self.side, self.bundle, self.report)

    def work(self, files: Sequence[tuple[str, str, bytes]]) -> None:
        """Let these be the changed files (path, mode, content), whatever tree the facts name."""
        shutil.rmtree(self.bundle / "work", ignore_errors=True)
        (self.bundle / "work").mkdir()
        for _, _, data in files:
            (self.bundle / "work" / sha256(data)).write_bytes(data)
        entries = [{"path": p, "mode": mode, "digest": sha256(data)} for p, mode, data in files]
        self.set(work=entries)

    def taken(self) -> Finished:
        """Hand both in: it counts, and this is the record of it."""
        assert collected(self.project, self.bundle, self.report) == (1, [])
        return next(
            record
            for record in reversed(self.project.records())
            if isinstance(record, Finished) and record.nonce == self.claim.nonce
        )

    def refused(self, why: str) -> None:
        """Hand both in: it is refused for this reason, and nothing is recorded or moved."""
        before = self.project.refs()
        recorded, reasons = collected(self.project, self.bundle, self.report)
        assert recorded == 0
        assert any(why in reason for reason in reasons), reasons
        assert self.project.refs() == before
        assert self.project.run().claim is not None


__all__ = [
    "LEDGER",
    "Handed",
    "Works",
    "carried_out",
    "claimed",
    "clone_of",
    "collected",
    "reported",
    "until",
]
