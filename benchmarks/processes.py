"""Starts programs, waits until they listen, reads what they cost, and stops them."""

import ctypes
import os
import signal
import socket
import subprocess
import time
from pathlib import Path
from types import FrameType
from typing import NoReturn

START_SECONDS = 30
STOP_SECONDS = 10


def free_port() -> int:
    """Return a TCP port of the loopback interface that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def exit_on_signals() -> None:
    """Let SIGTERM and SIGHUP unwind the stack as Ctrl-C does, so that everything started is stopped."""

    def leave(number: int, _frame: FrameType | None) -> NoReturn:
        raise SystemExit(128 + number)

    signal.signal(signal.SIGTERM, leave)
    signal.signal(signal.SIGHUP, leave)


def stop(process: subprocess.Popen[str]) -> None:
    """Stop a process and its children: SIGTERM first, SIGKILL after ten seconds."""
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        kill(process)


def kill(process: subprocess.Popen[str]) -> None:
    """Kill a process and its children, which must be a process group of their own."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def wait_for_port(process: subprocess.Popen[str], port: int, log: Path) -> None:
    """Return when something listens on the port; raises RuntimeError with the log if nothing does."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except ConnectionRefusedError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError(f"nothing listens on port {port}:\n{log.read_text()[-4000:]}")


def children(pid: int) -> list[int]:
    """Return the process ids of a process's children, oldest first (proc(5), task/children)."""
    return sorted(int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split())


def cpu_seconds(pid: int) -> float:
    """Return the CPU time (user and system, seconds) of a process, finer than /proc/PID/stat has it.

    Raises ProcessLookupError. Source: POSIX clock_getcpuclockid.
    """
    clock = ctypes.c_int()
    if error := ctypes.CDLL(None).clock_getcpuclockid(pid, ctypes.byref(clock)):
        raise ProcessLookupError(error, f"no CPU clock for process {pid}")
    return time.clock_gettime(clock.value)


def resident_mib(pid: int) -> float:
    """Return the resident memory of a process in MiB (proc(5), statm)."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def client_ports(pid: int) -> set[int]:
    """Return the remote ports of the TCP connections that a process holds (proc(5), net/tcp)."""
    held = {link.readlink().name for link in Path(f"/proc/{pid}/fd").iterdir() if link.is_symlink()}
    rows = [line.split() for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]]
    return {int(row[2].rpartition(":")[2], 16) for row in rows if f"socket:[{row[9]}]" in held}


def state(pid: int) -> str:
    """Return the one-letter state of a process (proc(5), stat)."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
