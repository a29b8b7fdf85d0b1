"""Telling people what a tick came to: level-triggered, each thing once, by the adopted rules.

The ledger says what there is to tell; a small file in `.git/lifeos` says how far each channel was
told. It is written after each notice that arrived, so a tick that dies in between repeats that one
at most. While a tick is at work, a mark makes sure that the next one looks: dying after the last
record must not leave a repository that thinks itself idle.

Where others record too (a remote), a clone tells what its own ticks recorded, so that not every
clone tells everything; what was left untold by a tick that died, or by a channel that failed, stays
due. A CI machine without the file tells what its own tick recorded, and sends no digest by itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from lifeos.core import notices
from lifeos.core.answers import QUEUE
from lifeos.core.digest import DigestData, digest, digest_notice
from lifeos.core.leaks import values_of
from lifeos.core.notices import DAY, Note, Notice, Numbered, Source, Told
from lifeos.core.policy.config import MainWrites
from lifeos.core.policy.forge import ForgeKind
from lifeos.core.policy.notify import Occasion
from lifeos.core.records import Closed
from lifeos.core.state import Item
from lifeos.errors import LifeosError
from lifeos.idle import TELLING, wake_by
from lifeos.notify import read_note, send, write_note
from lifeos.store.lock import Lock
from lifeos.store.story import newest
from lifeos.tick.context import Context
from lifeos.tick.ended import named

RETRY = 900
"""Seconds after which a channel that failed is tried again."""
MOST = 20_000
"""Transitions that are looked back over; more than any day or any failing channel needs."""


def begin(ctx: Context) -> int:
    """Call before a tick: what is recorded after this number may have to be told.

    Where the tick before this one died before telling, that is where that one began.
    """
    mark = ctx.repo.ensure_private() / TELLING
    now = ctx.ledger.snapshot.seq
    if not ctx.rules.config.notify.channels:
        return now
    try:
        with mark.open("x", encoding="ascii") as file:
            file.write(str(now))
    except FileExistsError:
        return _began(mark, now)
    return now


def _began(mark: Path, now: int) -> int:
    text = mark.read_text(encoding="ascii", errors="replace") if mark.is_file() else ""
    return min(int(text), now) if text.isdecimal() else 0  # cut off while it was written


@dataclass(frozen=True)
class Outcome:
    """Why something could not be sent, and when a tick must look again (seconds UTC)."""

    problems: tuple[str, ...] = ()
    wake: int | None = None


def tell(ctx: Context, begun: int) -> Outcome:
    """Call after a tick, with what ``begin`` gave: tell what is new.

    Raises nothing: the ledger is what counts.
    """
    private = ctx.repo.ensure_private()
    mark = private / TELLING
    channels = ctx.rules.config.notify.channels
    if not channels:
        mark.unlink(missing_ok=True)
        return Outcome()
    try:
        with Lock(private / "notices.lock"):
            telling = _Telling(ctx, begun)
            problems = tuple(filter(None, map(telling.tell, channels)))
            mark.unlink(missing_ok=True)
            wake = min(telling.wakes, default=None)
            if wake is not None:
                wake_by(str(ctx.repo.common_dir), wake)
    except (LifeosError, OSError) as error:  # the mark stays: the next tick tells it
        return Outcome((f"nobody could be told: {error}; next: lifeos tick",))
    return Outcome(problems, wake)


class _Telling:
    """What is told after one tick. Holds what the channels have in common."""

    def __init__(self, ctx: Context, begun: int) -> None:
        self.ctx = ctx
        self.begun = begun
        self.notify = ctx.rules.config.notify
        self.now = int(ctx.world.clock())
        self.private = ctx.repo.ensure_private()
        note = read_note(self.private)
        self.keeps = note is not None or not ctx.world.in_ci
        self.old, self.written = note or Note(), note
        self.new: dict[str, Told] = {}
        self.wakes: list[int] = []
        self.source = source(ctx, self.now, self._records())

    def _records(self) -> list[Numbered]:
        """The transitions that any channel may have to hear of, newest first."""
        told = [self._before(channel) for channel in self.notify.channels]
        places = [place for each in told for place in (each.waits, each.blocked)]
        latest = self.ctx.ledger.snapshot.seq
        first = min((place for place in places if place >= 0), default=latest)
        times = [each.digest for each in told if self._due(each)]
        times += [self.now - DAY] * any(place < 0 for place in places)
        if first >= latest and not times:
            return []
        if not times:
            return records(self.ctx, first, self.now, latest - first)
        return records(self.ctx, first, min(times))

    def _before(self, channel: str) -> Told:
        """How far a channel was told before this tick."""
        told, begun = self.old.channels.get(channel), self.begun
        if told is None:
            last = notices.last_due(self.notify.digest.hour, self.now)
            new = Told(digest=last)  # the first digest is the next one that is due
            own = {"waits": begun, "blocked": begun}
            return new if self.keeps else new.model_copy(update=own)
        if self.ctx.remote is None or told.problem:
            return told
        known = {"waits": max(told.waits, begun), "blocked": max(told.blocked, begun)}
        return told.model_copy(update=known)

    def _due(self, told: Told) -> bool:
        last = notices.last_due(self.notify.digest.hour, self.now)
        return Occasion.DIGEST in self.notify.on and self.keeps and told.digest < last

    def tell(self, channel: str) -> str:
        """Tell one channel everything that is new to it. The problem, or ''."""
        told = self._before(channel)
        if told.problem and self.now < told.retry:
            self._keep(channel, told)
            return ""
        for occasion, make in self._all(told):
            notice = make() if occasion in self.notify.on else None
            problem = self._send(channel, notice) if notice is not None else ""
            if problem:
                late = {"problem": f"{channel}: {problem}", "retry": self.now + RETRY}
                told = told.model_copy(update=late)
                self._keep(channel, told)
                return f"could not be told, and is tried again later: {told.problem}"
            told = told.model_copy(update=self._reached(occasion, told))
            if notice is not None:
                self._keep(channel, told)
        self._keep(channel, told.model_copy(update={"problem": "", "retry": 0}))
        return ""

    def _all(self, told: Told) -> tuple[tuple[Occasion, Callable[[], Notice | None]], ...]:
        return (
            (Occasion.WAITS, lambda: self._waits(told)),
            (Occasion.BLOCKED, lambda: self._blocked(told)),
            (Occasion.DIGEST, lambda: self._digest(told)),
        )

    def _waits(self, told: Told) -> Notice | None:
        found = notices.new_waiting(self.source, told.waits)
        return notices.waits_notice(self.source, found) if found else None

    def _blocked(self, told: Told) -> Notice | None:
        found = notices.new_blocked(self.source, told.blocked)
        return notices.blocked_notice(self.source, found) if found else None

    def _digest(self, told: Told) -> Notice | None:
        if not self._due(told):
            return None
        found = digest(self.source, told.digest, self.ctx.rules.loop.budgets)
        return None if found.empty else digest_notice(self.source, found)

    def _reached(self, occasion: Occasion, told: Told) -> dict[str, int]:
        seq = self.ctx.ledger.snapshot.seq
        match occasion:
            case Occasion.WAITS:
                return {"waits": seq}
            case Occasion.BLOCKED:
                return {"blocked": seq}
            case Occasion.DIGEST:
                return {"digest": self.now} if self._due(told) else {}

    def _send(self, channel: str, notice: Notice) -> str:
        trace = self.ctx.world.trace
        trace(f"notice:before:{notice.occasion}")
        problem = send_one(self.ctx, channel, notice)
        trace(f"notice:after:{notice.occasion}")
        return problem

    def _keep(self, channel: str, told: Told) -> None:
        """Write down how far a channel was told, and when there is something for it again.

        Channels that the rules have no longer are forgotten once all others are told.
        """
        self.new[channel] = told
        if self.new.keys() >= set(self.notify.channels):
            known = self.new
            self.wakes = list(self._next())
        else:
            known = {**self.old.channels, **self.new}
        note = Note(channels=known)
        if note != self.written:
            write_note(self.private, note)
            self.written = note

    def _next(self) -> list[int]:
        wakes = [told.retry for told in self.new.values() if told.problem]
        if Occasion.DIGEST in self.notify.on and self.keeps:
            wakes.append(notices.next_due(self.notify.digest.hour, self.now))
        return wakes


def send_one(ctx: Context, channel: str, notice: Notice) -> str:
    """Send one notice by one channel of the adopted rules. Why it was not sent, or ''."""
    inside = [path for path in (ctx.repo.work_tree, ctx.repo.common_dir) if path is not None]
    return send(
        channel,
        ctx.rules.config.notify,
        notice,
        environ=ctx.world.environ,
        secrets=secrets_of(ctx),
        inside=inside,
    )


def records(ctx: Context, seq: int, since: int, limit: int = MOST) -> list[Numbered]:
    """The transitions after number ``seq`` or after the time ``since``, newest first."""
    found: list[Numbered] = []
    for entry in newest(ctx.repo, ctx.ledger.tip, limit=min(limit, MOST)):
        if entry.seq <= seq and entry.record.at <= since:
            break
        found.append((entry.seq, entry.record))
    return found


def source(ctx: Context, now: int, found: list[Numbered]) -> Source:
    """Everything that notices are made of."""
    closed = [record for _, record in found if isinstance(record, Closed)]
    return Source(
        project=project(ctx),
        snapshot=ctx.ledger.snapshot,
        records=found,
        names={record.run: named(ctx.ledger, record.run) for record in closed},
        links={each.id: link(ctx, each) for each in ctx.ledger.snapshot.items.values()},
        secrets=secrets_of(ctx),
        now=now,
    )


def sum_up(ctx: Context) -> tuple[DigestData, Notice]:
    """The digest since the last one that this clone sent, or of the last day; and its notice."""
    now = int(ctx.world.clock())
    note = read_note(ctx.repo.private_dir) or Note()
    sent = [told.digest for told in note.channels.values()]
    since = min(sent, default=0) or now - DAY
    whole = source(ctx, now, records(ctx, ctx.ledger.snapshot.seq, since))
    found = digest(whole, since, ctx.rules.loop.budgets)
    return found, digest_notice(whole, found)


def secrets_of(ctx: Context) -> tuple[tuple[str, str], ...]:
    """What must not be said: the keys, the forge's token, the addresses of notices, and whatever
    else in the environment is called like a secret.
    """
    config = ctx.rules.config
    keys = {each.key_env for each in config.providers.values()} | {config.forge.secret}
    return values_of(ctx.world.environ, keys=(keys | set(config.notify.apprise)) - {""})


def project(ctx: Context) -> str:
    """What people call this repository: OWNER/NAME on its forge, else the name of its folder."""
    folder = ctx.repo.work_tree or ctx.repo.common_dir
    return _on_forge(ctx) or folder.name


def link(ctx: Context, item: Item) -> str:
    """Where an item can be read on the forge: its pull request, or its file on main; or ''."""
    if item.pull is not None:
        return item.pull.url
    name, config = _on_forge(ctx), ctx.rules.config
    if not name or config.main_writes is not MainWrites.DIRECT:
        return ""
    branch = quote(config.main, safe="/")
    return f"https://{config.forge.host}/{name}/blob/{branch}/{QUEUE}/{item.id}.md"


def _on_forge(ctx: Context) -> str:
    """OWNER/NAME on the forge, as the rules or the address of the git remote say; ''."""
    config = ctx.rules.config
    if config.forge.kind is ForgeKind.NONE:
        return ""
    return config.name_on_forge(ctx.repo.config)
