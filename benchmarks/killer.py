"""Kills a worker every ten seconds and knows which connections it held.

Locust cannot tell a request that died with a worker from one that the app dropped: both are a connection
that ended. So the ports of a worker's connections are noted before it is killed.
"""

import os
import random
import signal
import threading
import time

from urllib3 import HTTPConnectionPool, PoolManager
from urllib3.connection import HTTPConnection

from . import processes
from .rig import AppServer

KILL_EVERY = 10  # seconds


class Killer:
    """Kills one worker of an app at a time."""

    def __init__(self, server: AppServer) -> None:
        self._server, self.kills = server, 0
        self._killed: dict[int, float] = {}  # local port of the visitor's connection: time of the kill

    def keep_killing(self) -> None:
        """Kill a worker every ten seconds, until the greenlet that runs this is killed."""
        while True:
            time.sleep(KILL_EVERY)
            self._kill(random.choice(self._server.workers()))  # noqa: S311 - no secret

    def _kill(self, pid: int) -> None:
        # A stopped worker accepts no connection, so the ports that are read now are all that die with it.
        os.kill(pid, signal.SIGSTOP)
        while processes.state(pid) != "T":
            time.sleep(0.001)
        self._killed |= dict.fromkeys(processes.client_ports(pid), time.monotonic())
        os.kill(pid, signal.SIGKILL)
        self.kills += 1

    def has_killed(self, port: int, since: float) -> bool:
        """Return whether a worker that was killed after ``since`` (monotonic seconds) held a connection."""
        return self._killed.get(port, 0.0) >= since


class LastPort(threading.local):
    """The local port of the connection that this thread, or greenlet, opened last; 0 if none."""

    number = 0


last_port = LastPort()


class NotingConnection(HTTPConnection):
    """A connection that notes its local port in ``last_port``."""

    def connect(self) -> None:
        super().connect()
        last_port.number = self.sock.getsockname()[1]


class NotingPool(HTTPConnectionPool):
    ConnectionCls = NotingConnection


def noting_pool_manager(connections: int) -> PoolManager:
    """Return a pool manager for Locust whose connections note their local ports."""
    manager = PoolManager(maxsize=connections)
    manager.pool_classes_by_scheme = {"http": NotingPool}
    return manager
