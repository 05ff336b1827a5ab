"""As whom PostgreSQL runs: as ourselves, or, where we are root, as an account without rights."""

from __future__ import annotations

import os
import pwd
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from config.env import stop

CANDIDATES = ("postgres", "nobody")
# PostgreSQL asks access(2), which heeds the one right we pass on only without the "setuid fixup".
READ_EVERYWHERE = (
    "--securebits=+no_setuid_fixup",
    "--inh-caps=-all,+dac_read_search",
    "--ambient-caps=-all,+dac_read_search",
)


@dataclass(frozen=True)
class Account:
    """A system account by name and numbers."""

    name: str
    uid: int
    gid: int


def account_for(data: Path) -> Account:
    """Return the account PostgreSQL runs as: ourselves, or, for root, the owner of `data` or a harmless account."""
    if os.geteuid() != 0:
        return Account(account_name(os.geteuid()), os.geteuid(), os.getegid())
    if data.exists() and data.stat().st_uid != 0:
        return Account(account_name(data.stat().st_uid), data.stat().st_uid, data.stat().st_gid)
    for name in CANDIDATES:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(name, entry.pw_uid, entry.pw_gid)
    raise stop(
        "PostgreSQL refuses to run as root and this system has no account 'nobody' for it; "
        "start as an ordinary user, or set DATABASE_URL."
    )


def account_name(uid: int) -> str:
    """Return the name of the account, or its number where it has no name."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


@dataclass(frozen=True)
class Launcher:
    """Starts programs as an account."""

    account: Account
    prefix: tuple[str, ...] = ()

    def popen(self, command: Sequence[str | Path], **options: Any) -> subprocess.Popen[bytes]:
        """Start the command in its own session, away from the terminal's Ctrl-C."""
        if os.geteuid() == 0 and not self.prefix:
            options |= {"user": self.account.uid, "group": self.account.gid, "extra_groups": []}
        # PGPORT, PGDATA and their like are meant for the developer's own server.
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
        arguments = [*self.prefix, *map(str, command)]
        return subprocess.Popen(  # noqa: S603
            arguments, cwd="/", env=environment, start_new_session=True, **options
        )

    def reaches(self, program: Path, directories: Sequence[Path]) -> bool:
        """Tell whether the account can run `program` and write into the `directories`, by trying."""
        questions = [("-x", program), *(("-w", directory) for directory in directories)]
        try:
            return all(self.popen(["test", *question]).wait() == 0 for question in questions)
        except (OSError, subprocess.SubprocessError):
            return False


def launcher_for(account: Account, program: Path, directories: Sequence[Path]) -> Launcher:
    """Return what starts `program` as the account, or stop where that account cannot reach it or the directories."""
    plain = Launcher(account)
    if os.geteuid() != 0 or plain.reaches(program, directories):
        return plain
    # Below a directory that only root may enter: the account may look everywhere, and still write nowhere else.
    identity = (f"--reuid={account.uid}", f"--regid={account.gid}", "--clear-groups")
    looking = Launcher(account, ("setpriv", *identity, *READ_EVERYWHERE))
    if looking.reaches(program, directories):
        return looking
    raise stop(
        f"PostgreSQL refuses to run as root, and the account {account.name!r} it would run as cannot reach "
        f"{program.parent} or {directories[0].parent}; use directories that other accounts may enter, "
        "start as an ordinary user, or set DATABASE_URL."
    )
