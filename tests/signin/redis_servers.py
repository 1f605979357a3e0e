"""Redis in each of its forms, as programs on free ports, and a connection that misbehaves."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from subprocess import run

import redis

from tests.helpers.processes import Program, free_port, program
from tests.helpers.waiting import wait_until

CLUSTER_NODES = 6


BUS = 10_000  # above its own port, each node of a cluster listens for the others


class Server(Program):
    """A redis-server on a port of its own."""

    def __init__(self, folder: Path, port: int, *arguments: str):
        self.port = port
        self.client = redis.Redis(port=port, socket_timeout=2)
        command = [program("redis-server", "redis-server"), *arguments]
        super().__init__([*command, "--port", str(port), "--dir", str(folder), "--save", ""], folder)

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    def answers(self) -> bool:
        try:
            return bool(self.client.ping())
        except redis.RedisError:
            return False

    def stop(self, number: int = 15) -> int:
        self.client.close()
        return super().stop(number)


@contextmanager
def server(folder: Path, *arguments: str) -> Iterator[Server]:
    folder.mkdir(exist_ok=True)
    with Server(folder, free_port(), *arguments) as running:
        running.wait_until_ready(running.answers)
        yield running


@contextmanager
def cluster(folder: Path) -> Iterator[list[Server]]:
    """Three primaries, with a replica each."""
    with ExitStack() as stack:
        servers = []
        for _ in range(CLUSTER_NODES):
            port = free_port(BUS)
            home = folder / str(port)
            home.mkdir()
            options = ["--cluster-enabled", "yes", "--cluster-node-timeout", "1000"]
            options += ["--repl-diskless-sync-delay", "0"]
            servers.append(stack.enter_context(Server(home, port, *options)))
        for node in servers:
            node.wait_until_ready(node.answers)
        addresses = [f"127.0.0.1:{node.port}" for node in servers]
        create = ["--cluster", "create", *addresses, "--cluster-replicas", "1", "--cluster-yes"]
        made = run([program("redis-cli", "redis-tools"), *create], capture_output=True, text=True, timeout=60)
        assert made.returncode == 0, made.stdout
        wait_until(lambda: all(map(is_complete, servers)), "the cluster is complete")
        yield servers


def is_complete(node: Server) -> bool:
    """Whether a node of the cluster knows all others, and has its data."""
    info = node.client.execute_command("CLUSTER INFO")  # type: ignore[no-untyped-call]
    replication = node.client.info("replication")
    in_step = replication["role"] == "master" or replication["master_link_status"] == "up"
    known = int(info["cluster_known_nodes"])
    return bool(info["cluster_state"] == "ok" and known == CLUSTER_NODES and in_step)


@contextmanager
def sentinel(folder: Path) -> Iterator[tuple[Server, Server, int]]:
    """A primary, its replica, and the port of a Sentinel that watches them under the name `sessions`."""
    with ExitStack() as stack:
        primary = stack.enter_context(server(folder / "primary"))
        of_primary = ["--replicaof", f"127.0.0.1 {primary.port}", "--repl-diskless-sync-delay", "0"]
        replica = stack.enter_context(server(folder / "replica", *of_primary))
        wait_until(lambda: replica.client.info("replication")["master_link_status"] == "up", "replicated")
        configuration = folder / "sentinel.conf"
        configuration.write_text(
            f"sentinel monitor sessions 127.0.0.1 {primary.port} 1\n"
            "sentinel down-after-milliseconds sessions 200\nsentinel failover-timeout sessions 3000\n"
        )
        watching = Server(folder, free_port(), str(configuration), "--sentinel")
        stack.enter_context(watching)
        watching.wait_until_ready(watching.answers)
        wait_until(lambda: watching.client.sentinel_slaves("sessions"), "Sentinel knows the replica")
        yield primary, replica, watching.port


class Proxy:
    """Connections to a Redis server that can break in the ways in which networks break them."""

    def __init__(self, port: int):
        self._target, self._listener = port, socket.create_server(("127.0.0.1", 0))
        self._connections: list[tuple[socket.socket, socket.socket]] = []
        self._swallowed: set[socket.socket] = set()
        self._losing: set[socket.socket] = set()
        self.lose_next_answer_to: bytes | None = None
        self.url = f"redis://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def swallow(self) -> None:
        """From now on nothing comes through the present connections, as when a NAT has forgotten them."""
        self._swallowed = {end for both in self._connections for end in both}

    def close(self) -> None:
        self._listener.close()
        for end in (end for both in self._connections for end in both):
            end.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.create_connection(("127.0.0.1", self._target))
                self._connections.append((near, far))
                for ends in ((near, far), (far, near)):
                    threading.Thread(target=self._forward, args=ends, daemon=True).start()

    def _forward(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65_536):
                if source in self._swallowed:
                    continue
                if source in self._losing:
                    break  # the server has done what it was asked
                if self.lose_next_answer_to and self.lose_next_answer_to in data:
                    self.lose_next_answer_to = None
                    self._losing.add(target)
                target.sendall(data)
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
