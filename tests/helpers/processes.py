"""The app and what it runs on as programs of their own, the way an operator runs them."""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import TypeVar

import pytest
import redis
import requests

from tests.helpers.waiting import wait_until

ROOT = Path(__file__).resolve().parent.parent.parent
STOP_SECONDS = 15
# Below those that systems give to connections, so that nothing else gets a port before its program has it.
# With 10000 added, where a Redis cluster has its bus, they are as well.
PORTS = range(10_240, 22_000)
_ports_given: set[int] = set()

AnyProgram = TypeVar("AnyProgram", bound="Program")


def free_port(*above: int) -> int:
    """A port that nothing listens on, for a program that cannot be given a socket.

    The ports that are `above` it by so many are free as well.
    """
    for _ in range(1000):
        port = secrets.choice([port for port in PORTS if port not in _ports_given])
        with ExitStack() as held, suppress(OSError):
            for number in (port, *(port + distance for distance in above)):
                held.enter_context(socket.socket()).bind(("127.0.0.1", number))
            _ports_given.add(port)
            return port
    raise AssertionError("there is no free port")


def program(name: str, package: str) -> str:
    """The path of a program, this Python's own before any other. Skips the test if there is none."""
    path = shutil.which(name, path=f"{Path(sys.executable).parent}:{os.environ['PATH']}:/usr/sbin")
    if not path:
        pytest.skip(f"{name} is not installed (Debian: apt-get install {package})")
    return path


class Program:
    """A running program, its output in `log`."""

    def __init__(
        self, command: list[str], folder: Path, environ: dict[str, str] | None = None, *, cwd: Path = ROOT
    ):
        self.log = folder / f"{Path(command[0]).name}-{secrets.token_hex(4)}.log"
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(
                command, cwd=cwd, env=environ, stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )

    def __enter__(self: AnyProgram) -> AnyProgram:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def wait_until_ready(self, ready: Callable[[], object]) -> None:
        """Wait until `ready()` is true. Ends the program when it does not get there."""

        def is_up() -> object:
            assert self.process.poll() is None, self.output()
            return ready()

        try:
            wait_until(is_up, f"{self.process.args!r} is ready")
        except BaseException:  # Ctrl-C too: nothing is left running
            self.stop()
            raise

    def output(self) -> str:
        return self.log.read_text()

    def children(self) -> list[int]:
        """The process ids of the workers, oldest first; none where there is no /proc to tell."""
        pid = self.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children")
        return sorted(int(child) for child in children.read_text().split()) if children.exists() else []

    def send(self, number: int) -> None:
        self.process.send_signal(number)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """End it, and make sure that nothing of it is left; its exit status."""
        if self.process.poll() is not None:
            return self.process.returncode
        children = self.children()
        for stopped in (signal.SIGCONT, number):
            self.send(stopped)
        try:
            self.process.wait(STOP_SECONDS)
        finally:
            self.process.kill()
            self.process.wait()
        wait_until(lambda: not any(is_alive(child) for child in children), "workers end", STOP_SECONDS)
        return self.process.returncode


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


class Redis(Program):
    """A redis-server on a Unix socket of its own, which keeps its keys when it is started again."""

    def __init__(self, folder: Path):
        self._folder, self._path = folder, program("redis-server", "redis-server")
        self.socket = folder / "redis.sock"
        self.url = f"unix://{self.socket}"
        self.client = redis.Redis.from_url(self.url)
        self.start()

    def start(self) -> None:
        options = {"port": "0", "unixsocket": str(self.socket), "dir": str(self._folder), "save": ""}
        options |= {"appendonly": "yes", "appendfsync": "always", "databases": "4"}
        command = [self._path, *(word for name, value in options.items() for word in (f"--{name}", value))]
        super().__init__(command, self._folder)
        self.wait_until_ready(self._answers)

    def _answers(self) -> bool:
        try:
            return self.client.ping()
        except redis.RedisError:
            return False

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.client.close()
        return super().stop(number)


class Gunicorn(Program):
    """The app under gunicorn with gunicorn.conf.py, but with fewer threads and on a port of its own."""

    def __init__(self, folder: Path, settings: dict[str, str], port: int):
        self._folder, self._settings, self.port = folder, settings, port
        self.url = f"http://localhost:{port}"
        self.start()

    def start(self) -> None:
        options = ["--bind", f"127.0.0.1:{self.port}", "--threads", "4"]
        command = [program("gunicorn", "gunicorn"), *options, "app:app"]
        environ = {"PATH": os.environ["PATH"], "HOME": str(self._folder)} | self._settings
        super().__init__(command, self._folder, environ)
        self.wait_until_ready(lambda: len(self.children()) == 2 and answers(self.url))


def answers(url: str) -> bool:
    try:
        return requests.get(f"{url}/healthz", timeout=5).ok
    except requests.RequestException:
        return False


@contextmanager
def nginx(folder: Path, site: str, port: int) -> Iterator[Program]:
    """Debian's nginx with this site, in a folder of its own."""
    path = program("nginx", "nginx")
    temporary = "".join(
        f"{kind}_temp_path {folder}/{kind};\n"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    configuration = folder / "nginx.conf"
    configuration.write_text(
        f"daemon off;\npid {folder}/nginx.pid;\nerror_log stderr;\nevents {{}}\n"
        f"http {{\naccess_log {folder}/access.log;\n{temporary}{site}\n}}\n"
    )
    command = [path, "-e", "stderr", "-p", str(folder), "-c", str(configuration)]
    with Program(command, folder) as running:
        running.wait_until_ready(lambda: listens(port))
        yield running


def listens(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2):
            return True
    except ConnectionRefusedError:
        return False
