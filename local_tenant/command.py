"""Runs the COMMAND of the command line, and passes signals on to it."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import FrameType

ENDING = (signal.SIGINT, signal.SIGTERM)
HANG_UP = tuple(getattr(signal, name) for name in ("SIGHUP", "SIGQUIT") if hasattr(signal, name))
FROM_KEYBOARD = (signal.SIGINT, getattr(signal, "SIGQUIT", signal.SIGINT))
# Programs such as gunicorn take these as orders: reopen the logs, upgrade.
ORDERS = tuple(getattr(signal, name) for name in ("SIGUSR1", "SIGUSR2") if hasattr(signal, name))
FORWARD_SECONDS = 1
KILL_AFTER_SIGNALS = 3
NOT_EXECUTABLE, NOT_FOUND = 126, 127  # exit statuses as in a shell


class Signals:
    """Handles signals instead of dying of them. Passes them on to the command, once there is one.

    `received` holds the signals of `ending` that have arrived.
    """

    def __init__(self, ending: Iterable[signal.Signals]):
        # A plain list: a handler that waits for a lock of the thread it interrupts would wait forever.
        self.received: list[int] = []
        self._ending = tuple(ending)
        self._early: list[int] = []
        self._child: subprocess.Popen[bytes] | None = None
        for number in ENDING + HANG_UP + ORDERS:
            # nohup works by ignoring a signal before it starts a program. It stays ignored.
            if number in ENDING or signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, self._handle)

    def wait(self) -> None:
        """Wait for a signal that ends the program."""
        while not self.received:
            time.sleep(0.2)

    def pass_on_to(self, child: "subprocess.Popen[bytes]") -> None:
        self._child = child
        for number in self._early:
            send(child, number)

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        if number in self._ending:
            self.received.append(number)
        if not self._child:
            self._early.append(number)
        elif len(self.received) >= KILL_AFTER_SIGNALS:
            self._child.kill()
        elif number in FROM_KEYBOARD and terminal_signals_child():
            # The command has the signal already. A second one at once would disturb its clean-up.
            later = threading.Timer(FORWARD_SECONDS, send, (self._child, number))
            later.daemon = True
            later.start()
        else:
            send(self._child, number)


def run(command: list[str], environment: Mapping[str, str], signals: Signals) -> int:
    """Run the command to its end. Returns its exit status as a shell would."""
    # The programs of this virtual environment are found even if it is not activated.
    path = os.pathsep.join([str(Path(sys.executable).parent), environment.get("PATH", "")])
    program = shutil.which(command[0], path=path)
    if not program:
        say(f"There is no command {command[0]!r}. Is it installed in this environment?")
        return NOT_FOUND
    try:
        child = subprocess.Popen([program, *command[1:]], env=environment)  # noqa: S603 - the user typed it
    except OSError as error:
        say(f"{command[0]!r} cannot be started: {error.strerror}.")
        return NOT_EXECUTABLE
    signals.pass_on_to(child)
    status = wait(child)
    return status if status >= 0 else 128 - status


def terminal_signals_child() -> bool:
    """Whether the command gets Ctrl-C as well: a terminal sends it to all programs in its foreground."""
    if os.name == "nt":
        return True
    try:
        return os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
    except (OSError, ValueError, AttributeError):
        return False


def send(child: "subprocess.Popen[bytes]", number: int) -> None:
    if child.poll() is None:
        if os.name == "nt" and number == signal.SIGINT:
            number = signal.SIGTERM  # the only one that Windows can send
        child.send_signal(number)


def wait(child: "subprocess.Popen[bytes]") -> int:
    while True:
        try:
            return child.wait(timeout=0.5)
        except subprocess.TimeoutExpired:
            continue  # in slices, because Ctrl-C does not wake a waiting thread on Windows


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
