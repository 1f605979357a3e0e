"""The other visitors of a site that is under attack, and how long they wait.

They come at a fixed rate, whether or not the ones before them have been answered. Locust's users wait for
their answer before they ask again, so they would hardly notice a site that stands still.
"""

import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count

from .raw_http import RawRequest, send

EVERY = 0.1  # seconds; one /healthz and one home page
PATIENCE = 30  # seconds; a visitor who waits longer counts as having waited that long
MOST_WAITING = 700  # more than can come while PATIENCE lasts


@dataclass(frozen=True)
class Visit:
    """One visitor's request: what was asked for, how long the answer took, and whether it was right."""

    what: str
    seconds: float
    right: bool


class Others:
    """Visitors who come while the ``with`` block runs; ``visits`` is complete after it."""

    def __init__(self, url: str, cookies: Sequence[str]) -> None:
        self._url, self._cookies = url, cookies
        self.visits: list[Visit] = []

    def __enter__(self) -> "Others":
        self._pool, self._over = ThreadPoolExecutor(MOST_WAITING), threading.Event()
        self._pending: list[Future[Visit]] = []
        self._arriving = threading.Thread(target=self._arrive, daemon=True)
        self._arriving.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._arriving.join()
        self.visits = [pending.result() for pending in self._pending]
        self._pool.shutdown()

    def _arrive(self) -> None:
        began = time.monotonic()
        for number in count():
            self._pending.append(self._pool.submit(self._visit, "/healthz", ""))
            cookie = self._cookies[number % len(self._cookies)]
            self._pending.append(self._pool.submit(self._visit, "/", cookie))
            if self._over.wait(max(0.0, began + (number + 1) * EVERY - time.monotonic())):
                return

    def _visit(self, path: str, cookie: str) -> Visit:
        headers = [("Cookie", cookie)] if cookie else []
        answer = send(self._url, RawRequest("GET", path, headers), PATIENCE)
        return Visit(path, answer.seconds, answer.status == 200)
