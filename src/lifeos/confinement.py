"""What bubblewrap is told: which namespaces, which files, which limits, and as whom."""

from __future__ import annotations

import functools
import os
import resource
from collections.abc import Mapping, Sequence
from pathlib import Path

from lifeos.core.policy.envelope import Limits
from lifeos.sandbox import HOME, WORK, Mount
from lifeos.watch import MEGABYTE

SETPRIV = "/usr/bin/setpriv"
AGENT = 65533  # user and group id inside; assigned to nobody on common systems
OPEN_FILES = 4096
ETC = (
    "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "alternatives", "localtime", "timezone",
    "ssl/certs", "ssl/openssl.cnf", "pki/tls/certs", "pki/ca-trust", "ca-certificates",
    "crypto-policies", "mime.types", "protocols", "services", "os-release", "debian_version",
)  # fmt: skip
PASSWD = (
    "root:x:0:0:root:/nonexistent:/bin/false\n"
    f"agent:x:{AGENT}:{AGENT}:agent:{HOME}:/bin/sh\n"
    "nobody:x:65534:65534:nobody:/nonexistent:/bin/false\n"
)
ETC_WRITTEN = {
    "passwd": PASSWD,
    "group": f"root:x:0:\nagent:x:{AGENT}:\nnogroup:x:65534:\n",
    "hosts": "127.0.0.1 localhost lifeos\n::1 localhost\n",
    "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
}


@functools.cache
def changes_user() -> bool:
    """Whether we are root with all user ids at hand, and so can become another user inside."""
    if os.geteuid() != 0 or not Path(SETPRIV).exists():
        return False
    return Path("/proc/self/uid_map").read_text().split() == ["0", "0", "4294967295"]


def confinement(network: bool) -> list[str]:
    """Namespaces of its own, no capability but those to become the agent, nothing inherited."""
    options = ["--unshare-all", "--unshare-user", "--die-with-parent", "--new-session"]
    options += ["--clearenv", "--hostname", "lifeos", "--cap-drop", "ALL"]
    if network:
        options.append("--share-net")
    if changes_user():
        for capability in ("CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP"):
            options += ["--cap-add", capability]
        return options
    return [*options, "--disable-userns", "--uid", str(AGENT), "--gid", str(AGENT)]


def system(limits: Limits, network: bool) -> list[str]:
    """The system's programs, a few harmless files of /etc, and empty places in memory."""
    options = ["--ro-bind", "/usr", "/usr"]
    for name in ("bin", "sbin", "lib", "lib32", "lib64", "libx32"):
        path = Path("/", name)
        if path.is_symlink():
            options += ["--symlink", str(path.readlink()), str(path)]
        elif path.is_dir():
            options += ["--ro-bind", str(path), str(path)]
    for name in (*ETC, *(("resolv.conf",) if network else ())):
        if Path("/etc", name).exists():
            options += [*_parents(f"/etc/{name}"), "--ro-bind", f"/etc/{name}", f"/etc/{name}"]
    options += ["--proc", "/proc", "--dev", "/dev"]
    # What lies in memory counts as memory too: a half for /tmp, an eighth each for the others.
    memory = limits.memory_mb * MEGABYTE
    for target, share in (("/tmp", 2), (HOME, 8), ("/dev/shm", 8)):  # noqa: S108 - its own
        size = str(min(memory // share, limits.disk_mb * MEGABYTE))
        options += [*_parents(target), "--perms", "1777", "--size", size, "--tmpfs", target]
    return [*options, "--remount-ro", "/dev", "--dir", "/var", "--symlink", "/tmp", "/var/tmp"]  # noqa: S108


def tool_mounts(tools: Sequence[Path]) -> list[Mount]:
    """Each tool at its own path, but never over or inside what has its place already."""
    mounts = []
    taken = tuple(Path(name) for name in (WORK, "/tmp", HOME, "/proc", "/dev", "/etc"))  # noqa: S108
    for count, tool in enumerate(tools):
        clash = any(place in (tool, *tool.parents) for place in taken)
        mounts.append(Mount(tool, f"/opt/lifeos/{count}" if clash else str(tool)))
    return mounts


def mount_options(mounts: Sequence[Mount]) -> list[str]:
    """Each mount at its target, read-only unless it says otherwise."""
    options = []
    for mount in mounts:
        how = "--bind" if mount.writable else "--ro-bind"
        options += [*_parents(mount.target), how, str(mount.source), mount.target]
    return options


def _parents(target: str) -> list[str]:
    """Make the folders above a mount point open to all (bubblewrap's own are private)."""
    above = [str(path) for path in reversed(Path(target).parents)][1:]
    made = [path for path in above if Path(WORK) not in (Path(path), *Path(path).parents)]
    return [part for path in made for part in ("--perms", "0755", "--dir", path)]


def environment(variables: Mapping[str, str]) -> list[str]:
    """The variables, but for those of the loader: see ``preload``."""
    settings = [(name, value) for name, value in variables.items() if not name.startswith("LD_")]
    return [part for name, value in settings for part in ("--setenv", name, value)]


def preload(variables: Mapping[str, str]) -> list[str]:
    """Variables that make the loader run foreign code: only set once we are the agent."""
    settings = [f"{name}={value}" for name, value in variables.items() if name.startswith("LD_")]
    return ["/usr/bin/env", *settings] if settings else []


def limit(pid: int, limits: Limits) -> None:
    """The kernel's limits, for this process and all that come from it.

    The limit on data, not on address space: some runtimes reserve far more than they ever use.
    """
    memory, disk = limits.memory_mb * MEGABYTE, limits.disk_mb * MEGABYTE
    wanted = {
        resource.RLIMIT_NPROC: limits.processes,
        resource.RLIMIT_DATA: memory,
        resource.RLIMIT_FSIZE: disk,
        resource.RLIMIT_NOFILE: OPEN_FILES,
        resource.RLIMIT_CORE: 0,
    }
    for kind, most in wanted.items():
        _, hard = resource.prlimit(pid, kind)
        least = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.prlimit(pid, kind, (least, least))
