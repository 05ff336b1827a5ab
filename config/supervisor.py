"""Runs parts in the foreground: starts them in order, restarts those that end, stops them in the opposite order."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

import psutil

from config.env import stop
from config.processes import end, keep_notes, kill_group, note

LONGEST_PAUSE = 30.0  # seconds before a part that keeps ending is started again
STEADY = 60.0  # seconds after which a part counts as running well
LOG_BYTES = 10_000_000  # a larger log is put aside when its part starts; one older log is kept


def say(sentence: str) -> None:
    """Print a line on the console at once."""
    print(sentence, flush=True)


@dataclass(eq=False)
class Part:
    """A process to keep running: how it is launched, and the signal and the seconds it takes to stop."""

    name: str
    launch: Callable[[BinaryIO], subprocess.Popen[bytes]]
    signal: signal.Signals = signal.SIGTERM
    seconds_to_stop: float = 10
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0
    start_again_at: float = 0
    failures: int = 0

    def running(self) -> subprocess.Popen[bytes]:
        """Return the process; the part has been started."""
        assert self.process  # noqa: S101
        return self.process


class Supervisor:
    """The parts in the order of their start."""

    def __init__(self, var: Path) -> None:
        self.logs = var / "logs"
        self.notes = var / "processes.json"
        self.parts: list[Part] = []
        self.logs.mkdir(parents=True, exist_ok=True)
        self._not_ours = {child.pid for child in psutil.Process().children()}

    def log_of(self, part: Part) -> Path:
        """Return where the part's output goes."""
        return self.logs / f"{part.name}.log"

    def start(self, part: Part) -> Part:
        """Start a part and keep it running from now on."""
        self.parts.append(part)
        self._launch(part)
        return part

    def wait_for(self, part: Part, ready: Callable[[], bool], *, seconds: float) -> None:
        """Wait until the part is ready; stop the start where it ends first or takes too long."""
        deadline = time.monotonic() + seconds
        while not ready():
            ended = part.running().poll() is not None
            if ended or time.monotonic() > deadline:
                trouble = "ended at once" if ended else f"did not answer within {seconds:.0f} seconds"
                tail = self.log_of(part).read_text(errors="replace").splitlines()[-12:]
                raise stop("\n".join([f"{part.name} {trouble}. From {self.log_of(part)}:", *tail]))
            time.sleep(0.1)

    def watch(self) -> None:
        """Restart parts that end, for ever."""
        while True:
            for part in self.parts:
                self._look_after(part)
            time.sleep(0.2)

    def stop_all(self) -> None:
        """Stop the parts, the last one first, each within its time."""
        for part in reversed(self.parts):
            if part.process:
                end(part.process.send_signal, part.process.wait, (part.signal, part.seconds_to_stop))
                kill_group(part.process.pid)
        self.kill_all()
        if self.parts:  # the notes are ours and no longer an earlier start's
            self.notes.unlink(missing_ok=True)

    def kill_all(self) -> None:
        """Kill whatever we started, at once, also what an interruption kept us from noting."""
        for child in psutil.Process().children():
            if child.pid not in self._not_ours:
                kill_group(child.pid)

    def _look_after(self, part: Part) -> None:
        code = part.process.poll() if part.process else None
        if part.process and code is not None:
            kill_group(part.process.pid)
            part.failures = 0 if time.monotonic() - part.started_at > STEADY else part.failures + 1
            pause = min(2.0 ** max(part.failures - 1, 0), LONGEST_PAUSE)
            part.process, part.start_again_at = None, time.monotonic() + pause
            how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
            now = datetime.now().astimezone()
            say(f"{now:%H:%M:%S} {part.name} {how}, starts again in {pause:.0f} s; see {self.log_of(part)}")
        if not part.process and time.monotonic() >= part.start_again_at:
            self._launch(part)

    def _launch(self, part: Part) -> None:
        path = self.log_of(part)
        if path.exists() and path.stat().st_size > LOG_BYTES:
            path.replace(path.with_suffix(".log.1"))
        with path.open("ab") as log:
            part.process = part.launch(log)
        part.started_at = time.monotonic()
        running = [note(one.process.pid, one.signal) for one in reversed(self.parts) if one.process]
        keep_notes(self.notes, [one for one in running if one])
