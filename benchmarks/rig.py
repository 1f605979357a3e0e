"""Starts what a benchmark needs on loopback, reads what it costs, and ends all of it again."""

import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from http.client import HTTPConnection
from pathlib import Path
from types import FrameType, TracebackType
from typing import NoReturn
from urllib.parse import urlsplit
from urllib.request import urlopen

from .stand_in import TENANT_ID

ROOT = Path(__file__).resolve().parent.parent
NEUTRAL = ROOT / "benchmarks" / "gunicorn.conf.py"
SCOPES = "https://contoso.onmicrosoft.com/tasks-api/tasks.read https://contoso.onmicrosoft.com/tasks-api/tasks.write"
START_SECONDS = 30
STOP_SECONDS = 10


def free_port() -> int:
    """Return a TCP port of loopback that nothing listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def end_on_signals() -> None:
    """Make SIGTERM and SIGHUP unwind the stack as Ctrl-C does, so that everything started is ended."""

    def leave(number: int, _frame: FrameType | None) -> NoReturn:
        raise SystemExit(128 + number)

    signal.signal(signal.SIGTERM, leave)
    signal.signal(signal.SIGHUP, leave)


class Server:
    """One gunicorn with its workers."""

    def __init__(self, name: str, process: subprocess.Popen, url: str, log: Path) -> None:
        self.name, self.process, self.url, self.log = name, process, url, log

    def workers(self) -> list[int]:
        """Return the process ids of the workers, oldest first."""
        pid = self.process.pid
        return sorted(int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split())

    def cpu_seconds(self) -> float:
        """Return the CPU time (user and system, seconds) that the workers have used since they started."""
        return sum(cpu_seconds(pid) for pid in self.workers())

    def memory_mib(self) -> list[float]:
        """Return the resident memory of each worker in MiB."""
        pages = [int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in self.workers()]
        return [count * os.sysconf("SC_PAGE_SIZE") / 2**20 for count in pages]


def cpu_seconds(pid: int) -> float:
    """Return the CPU time (user and system, seconds) of a process, finer than /proc/PID/stat has it.

    Raises ProcessLookupError. Source: POSIX clock_getcpuclockid.
    """
    clock = ctypes.c_int()
    if error := ctypes.CDLL(None).clock_getcpuclockid(pid, ctypes.byref(clock)):
        raise ProcessLookupError(error, f"no CPU clock for process {pid}")
    return time.clock_gettime(clock.value)


class Rig:
    """A stand-in tenant, a Redis and any number of apps, in one temporary folder, within a with block."""

    def __enter__(self) -> "Rig":
        self._stack = ExitStack()
        self.directory = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="benchmark-")))
        self._redis_port = 0
        try:
            self._start_tenant()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if isinstance(error, Exception):
            for log in self.directory.glob("*.log"):
                sys.stderr.write(f"--- the end of {log.name}\n{log.read_text()[-2000:]}\n")
        self._stack.close()

    def _spawn(self, command: list, log: Path, **options) -> subprocess.Popen:
        with log.open("ab") as output:
            options = {"stdout": output, "stdin": subprocess.DEVNULL} | options
            # In a session of their own, so that Ctrl-C reaches us alone and we end them in order.
            process = subprocess.Popen(command, stderr=output, cwd=ROOT, start_new_session=True, **options)
        self._stack.callback(stop, process)
        return process

    def _start_tenant(self) -> None:
        log = self.directory / "tenant.log"
        command = [sys.executable, "-m", "benchmarks.stand_in", self.directory]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        process = self._spawn(command, log, **pipes)
        self._stack.callback(process.stdout.close)
        self._stack.callback(process.stdin.close)
        line = process.stdout.readline()
        if not line:
            raise RuntimeError(f"the stand-in did not start:\n{log.read_text()}")
        self.tenant_origins = json.loads(line)

    def counts(self) -> dict[str, int]:
        """Return how many requests of each kind the stand-in has had so far."""
        with urlopen(f"{self.tenant_origins['pages']}/counts", timeout=5) as answer:  # noqa: S310 - our own loopback http
            return json.load(answer)

    def redis_url(self, database: int) -> str:
        """Return the address of a database of a Redis of our own; the first call starts it."""
        if not self._redis_port:
            self._redis_port = free_port()
            options = ["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", self.directory]
            process = self._spawn(
                ["redis-server", "--port", str(self._redis_port), *options], self.directory / "redis.log"
            )
            _wait_for_port(process, self._redis_port, self.directory / "redis.log")
        return f"redis://127.0.0.1:{self._redis_port}/{database}"

    def settings(self, name: str, port: int) -> dict[str, str]:
        """Return the environment of an app, with nothing of the caller's own settings in it."""
        kept = {key: os.environ[key] for key in ("PATH", "HOME", "LANG", "VIRTUAL_ENV") if key in os.environ}
        return kept | {
            "B2C_TENANT_NAME": "contoso",
            "B2C_TENANT_ID": TENANT_ID,
            "CLIENT_ID": "8f5a0b86-0b53-4a44-94f7-7c3f3b4f9d11",
            "CLIENT_SECRET": "a-made-up-secret-for-measuring",
            "SIGNUPSIGNIN_USER_FLOW": "B2C_1_signupsignin1",
            "EDITPROFILE_USER_FLOW": "B2C_1_profileediting1",
            "RESETPASSWORD_USER_FLOW": "B2C_1_passwordreset1",
            "AUTHORITY_TEMPLATE": self.tenant_origins["tls"] + "/{tenant}.onmicrosoft.com/{user_flow}",
            "REDIRECT_URI": f"http://localhost:{port}/getAToken",
            "ENDPOINT": f"{self.tenant_origins['api']}/tasks",
            "SCOPE": SCOPES,
            "SECRET_KEY": "a-made-up-key-for-measuring-0123456789",
            "SESSION_DIR": str(self.directory / f"sessions-{name}"),
            "REQUESTS_CA_BUNDLE": str(self.directory / "bundle.pem"),
        }

    def app(self, name: str, module: str = "app:app", config: Path = NEUTRAL, **extra: str) -> Server:
        """Start an app on 2 workers of 4 threads; raises RuntimeError with its log if it does not answer."""
        port, log = free_port(), self.directory / f"{name}.log"
        environment = self.settings(name, port) | extra
        options = [
            "-c",
            config,
            "--bind",
            f"127.0.0.1:{port}",
            "--workers",
            "2",
            "--threads",
            "4",
            "--no-control-socket",
        ]
        process = self._spawn([sys.executable, "-m", "gunicorn", *options, module], log, env=environment)
        server = Server(name, process, f"http://localhost:{port}", log)
        _wait_for_answer(server)
        return server

    def cheap_connections(self) -> dict[str, str]:
        """Return settings with which opening a connection costs least: one CA to read, the API on http."""
        one_ca = str(self.directory / "ca.pem")
        return {"REQUESTS_CA_BUNDLE": one_ca, "ENDPOINT": f"{self.tenant_origins['http api']}/tasks"}

    def environment(self, server: Server) -> dict[str, str]:
        """Return the environment that a running app was started with."""
        pairs = Path(f"/proc/{server.process.pid}/environ").read_text().split("\0")
        return dict(pair.split("=", 1) for pair in pairs if "=" in pair)


def stop(process: subprocess.Popen) -> None:
    """End a process and its children: kindly first, then for certain."""
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _wait_for_port(process: subprocess.Popen, port: int, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except ConnectionRefusedError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError(f"{process.args[0]} did not start:\n{log.read_text()[-4000:]}")


def _wait_for_answer(server: Server) -> None:
    deadline, answer = time.monotonic() + START_SECONDS, ""
    while time.monotonic() < deadline and server.process.poll() is None:
        connection = HTTPConnection("localhost", urlsplit(server.url).port, timeout=5)
        try:
            connection.request("GET", "/")
            answer = str(connection.getresponse().status)
        except OSError as error:
            answer = str(error)
        finally:
            connection.close()
        if answer.isdigit() and int(answer) < 500:
            return
        time.sleep(0.1)
    raise RuntimeError(f"{server.name} did not start ({answer}):\n{server.log.read_text()[-4000:]}")
