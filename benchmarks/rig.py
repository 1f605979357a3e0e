"""Everything that a benchmark needs, on loopback and on free ports: tenant, API, Redis, apps."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from types import MappingProxyType, TracebackType
from urllib.parse import urlencode, urlsplit
from urllib.request import urlopen

import redis

from .processes import (
    START_SECONDS,
    children,
    cpu_seconds,
    free_port,
    kill,
    resident_mib,
    stop,
    wait_for_port,
)
from .stand_in.tenant import TENANT_ID

ROOT = Path(__file__).resolve().parent.parent
SCOPES = "https://contoso.onmicrosoft.com/tasks-api/tasks.read https://contoso.onmicrosoft.com/tasks-api/tasks.write"
SECRET_KEY = "Zt6wq0Hn2vYxJr8mLd4KcPbS1eUgXa7FoRiT5NhQ9sM"
KEPT_FROM_ENVIRONMENT = ("PATH", "HOME", "LANG", "VIRTUAL_ENV")


class AppServer:
    """One gunicorn and its workers."""

    def __init__(
        self, process: subprocess.Popen[str], url: str, log: Path, environment: dict[str, str]
    ) -> None:
        self.process, self.url, self.log, self.environment = process, url, log, environment

    def workers(self) -> list[int]:
        """Return the process ids of the workers, oldest first."""
        return children(self.process.pid)

    def cpu_seconds(self) -> float:
        """Return the CPU time (user and system, seconds) that the workers have used since they started."""
        return sum(cpu_seconds(pid) for pid in self.workers())

    def memory_mib(self) -> list[float]:
        """Return the resident memory of each worker in MiB."""
        return [resident_mib(pid) for pid in self.workers()]

    def kill(self) -> None:
        """Stop the app without waiting for the requests that it still works on."""
        kill(self.process)


class Rig:
    """A stand-in for tenant and API, a Redis, and any number of apps in one temporary folder.

    Used in a ``with`` block, which stops all of them at its end.
    """

    def __enter__(self) -> "Rig":
        self._stack = ExitStack()
        self.directory = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="benchmark-")))
        self._redis_port = 0
        try:
            self._start_stand_in()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, Exception):
            for log in self.directory.glob("*.log"):
                sys.stderr.write(f"--- the end of {log.name}\n{log.read_text()[-2000:]}\n")
        self._stack.close()

    def _spawn(
        self,
        command: list[str],
        log: Path,
        *,
        environment: dict[str, str] | None = None,
        stdin: int = subprocess.DEVNULL,
        stdout: int | None = None,
    ) -> subprocess.Popen[str]:
        with log.open("ab") as output:
            process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=environment,
                stdin=stdin,
                stdout=output if stdout is None else stdout,
                stderr=output,
                text=True,
                start_new_session=True,  # Ctrl-C reaches this process alone, which stops the others in order
            )
        self._stack.callback(stop, process)
        return process

    def _start_stand_in(self) -> None:
        log = self.directory / "stand_in.log"
        command = [sys.executable, "-m", "benchmarks.stand_in", str(self.directory)]
        process = self._spawn(command, log, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert process.stdin and process.stdout
        self._stack.callback(process.stdout.close)
        self._stack.callback(process.stdin.close)
        line = process.stdout.readline()
        if not line:
            raise RuntimeError(f"the stand-in did not start:\n{log.read_text()}")
        self.origins: dict[str, str] = json.loads(line)

    def counts(self) -> dict[str, int]:
        """Return how many requests of each kind the stand-in has had."""
        return self._ask_stand_in("/counts")

    def slow_down(self, **seconds: float) -> None:
        """Make the stand-in answer late: ``token=6`` delays every token response by six seconds."""
        self._ask_stand_in(f"/slow_down?{urlencode(seconds)}")

    def drip(self, way: str) -> None:
        """Make the API send its answer in one of the ways of ``stand_in/dripping.py``; empty for none."""
        self._ask_stand_in(f"/drip?{urlencode({'way': way})}")

    def _ask_stand_in(self, path: str) -> dict[str, int]:
        with urlopen(self.origins["pages"] + path, timeout=5) as answer:  # noqa: S310 - loopback, http
            found: dict[str, int] = json.load(answer)
            return found

    def redis_url(self, database: int = 0) -> str:
        """Return the URL of a database of a Redis that the first call starts."""
        if not self._redis_port:
            port, log = free_port(), self.directory / "redis.log"
            options = [
                "--bind",
                "127.0.0.1",
                "--save",
                "",
                "--appendonly",
                "no",
                "--dir",
                str(self.directory),
            ]
            self._redis = self._spawn(["redis-server", "--port", str(port), *options], log)
            wait_for_port(self._redis, port, log)
            self._redis_port = port
        return f"redis://127.0.0.1:{self._redis_port}/{database}"

    @contextmanager
    def hanging_redis(self) -> Iterator[None]:
        """Let Redis accept connections and answer nothing while the block runs."""
        self._redis.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._redis.send_signal(signal.SIGCONT)

    def redis_memory(self) -> int:
        """Return the bytes that Redis uses for its data."""
        with redis.Redis(host="127.0.0.1", port=self._redis_port) as client:
            return int(client.info("memory")["used_memory"])

    def app(
        self,
        name: str,
        module: str = "app:app",
        *,
        threads: int = 4,
        public_cas: bool = False,
        settings: Mapping[str, str] = MappingProxyType({}),
    ) -> AppServer:
        """Start an app with the project's ``gunicorn.conf.py``, on two workers.

        ``settings`` go over the usual ones. Raises RuntimeError with the app's log if it does not answer.
        """
        port, log = free_port(), self.directory / f"{name}.log"
        environment = self._settings(name, port, public_cas) | dict(settings)
        command = [sys.executable, "-m", "gunicorn", "--config", str(ROOT / "gunicorn.conf.py")]
        command += ["--bind", f"127.0.0.1:{port}", "--workers", "2", "--threads", str(threads), module]
        process = self._spawn(command, log, environment=environment)
        server = AppServer(process, f"http://127.0.0.1:{port}", log, environment)
        _wait_for_answer(server)
        return server

    def _settings(self, name: str, port: int, public_cas: bool) -> dict[str, str]:
        kept = {key: os.environ[key] for key in KEPT_FROM_ENVIRONMENT if key in os.environ}
        return kept | {
            "B2C_TENANT_NAME": "contoso",
            "B2C_TENANT_ID": TENANT_ID,
            "CLIENT_ID": "8f5a0b86-0b53-4a44-94f7-7c3f3b4f9d11",
            "CLIENT_SECRET": "a-made-up-secret-for-measuring",
            "SIGNUPSIGNIN_USER_FLOW": "B2C_1_signupsignin1",
            "EDITPROFILE_USER_FLOW": "B2C_1_profileediting1",
            "RESETPASSWORD_USER_FLOW": "B2C_1_passwordreset1",
            "AUTHORITY_TEMPLATE": self.origins["tls"] + "/{tenant}.onmicrosoft.com/{user_flow}",
            "INSECURE_SIGN_IN_ORIGIN": self.origins["pages"],
            "REDIRECT_URI": f"http://127.0.0.1:{port}/getAToken",
            "ENDPOINT": self.origins["tls api" if public_cas else "api"] + "/tasks",
            "SCOPE": SCOPES,
            "SECRET_KEY": SECRET_KEY,
            "SESSION_DIR": str(self.directory / f"sessions-{name}"),
            "REQUESTS_CA_BUNDLE": str(self.directory / ("public_cas.pem" if public_cas else "one_ca.pem")),
        }


def _wait_for_answer(server: AppServer) -> None:
    deadline, seen = time.monotonic() + START_SECONDS, "no answer"
    while time.monotonic() < deadline and server.process.poll() is None:
        connection = HTTPConnection("127.0.0.1", urlsplit(server.url).port, timeout=5)
        try:
            connection.request("GET", "/healthz")
            status = connection.getresponse().status
        except OSError as error:
            seen = str(error)
        else:
            if status < 500:
                return
            seen = str(status)
        finally:
            connection.close()
        time.sleep(0.1)
    raise RuntimeError(f"the app did not start ({seen}):\n{server.log.read_text()[-4000:]}")
