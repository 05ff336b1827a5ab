"""Ending processes, and knowing again after a crash which ones we started."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypedDict

import psutil

CLOCK_STEP = 2.0  # seconds by which a corrected clock may move a process's apparent start


class Note(TypedDict):
    """What tells a process apart from a later one with its number, and the signal it is to be stopped with."""

    pid: int
    created_at: float
    signal: int


def end(send: Callable[[int], None], wait: Callable[[float], object], *steps: tuple[signal.Signals, float]) -> None:
    """Send each step's signal and wait its seconds until the process is gone; kill what remains."""
    for number, seconds in (*steps, (signal.SIGKILL, 10)):
        try:
            send(number)
            wait(seconds)
        except (psutil.TimeoutExpired, subprocess.TimeoutExpired):
            continue
        except (psutil.NoSuchProcess, ProcessLookupError):
            pass
        return


def kill_group(pid: int) -> None:
    """Kill what is left of the process group that `pid` led."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def note(pid: int, number: signal.Signals) -> Note | None:
    """Return the note about a running process, None where it has already ended."""
    try:
        return {"pid": pid, "created_at": psutil.Process(pid).create_time(), "signal": number}
    except psutil.NoSuchProcess:
        return None


def keep_notes(path: Path, notes: list[Note]) -> None:
    """Replace the notes kept in `path`, in the order in which the processes are to be stopped."""
    unfinished = path.with_suffix(".unfinished")
    unfinished.write_text(json.dumps(notes))
    unfinished.replace(path)


def stop_orphans(path: Path) -> int:
    """Stop the processes noted in `path` which still run, and say how many they were."""
    try:
        notes: list[Note] = json.loads(path.read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return 0
    stopped = 0
    for one in notes:
        try:
            process = psutil.Process(one["pid"])
            if abs(process.create_time() - one["created_at"]) > CLOCK_STEP:
                continue  # a stranger who was given the number
            end(process.send_signal, process.wait, (signal.Signals(one["signal"]), 15))
            kill_group(one["pid"])
            stopped += 1
        except psutil.NoSuchProcess:
            for child in _orphaned_group(one["pid"], path.parent):
                end(child.send_signal, child.wait, (signal.SIGTERM, 15))
                stopped += 1
    path.unlink()
    return stopped


def _orphaned_group(pid: int, var: Path) -> list[psutil.Process]:
    """Return the processes of the group that `pid` led before it was killed, and that work for `var`."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, ProcessLookupError, PermissionError):
            if os.getpgid(process.pid) == pid and process.environ().get("GATEBOOK_VAR") == str(var):
                found.append(process)
    return found
