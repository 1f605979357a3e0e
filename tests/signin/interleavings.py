"""Runs functions side by side in every order of their calls to the store."""

import random
import threading
from collections.abc import Callable, Iterator
from queue import SimpleQueue
from typing import Any

from signin.sessions import Store

Choose = Callable[[int], int]


class Steps:
    """A Store that waits before each call until it is this actor's turn."""

    def __init__(self, store: Store):
        self._store = store
        self.turn, self.waiting = SimpleQueue[None](), SimpleQueue[None]()

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._store, name)

        def wait_and_call(*args: Any) -> Any:
            self.waiting.put(None)
            self.turn.get(timeout=10)
            return method(*args)

        return wait_and_call


def run(store: Store, actors: list[Callable[[Store], Any]], choose: Choose) -> list[Any]:
    """What each actor returned or raised. `choose` says which of so many is to make its next call."""
    steps = [Steps(store) for _ in actors]
    results: list[Any] = [None] * len(actors)
    alive = list(range(len(actors)))

    def act(number: int) -> None:
        try:
            results[number] = actors[number](steps[number])
        except Exception as error:
            results[number] = error
        finally:
            alive.remove(number)
            steps[number].waiting.put(None)

    threads = [threading.Thread(target=act, args=(number,)) for number in list(alive)]
    for number, thread in enumerate(threads):
        thread.start()
        steps[number].waiting.get(timeout=10)
    while alive:
        number = alive[choose(len(alive))]
        steps[number].turn.put(None)
        steps[number].waiting.get(timeout=10)
    for thread in threads:
        thread.join()
    return results


def every_order() -> Iterator[Choose]:
    """One `choose` for each order, until there is no other."""
    prefix: list[int] = []
    while True:
        trace: list[tuple[int, int]] = []

        def choose(count: int, trace: list[tuple[int, int]] = trace, prefix: list[int] = prefix) -> int:
            choice = prefix[len(trace)] if len(trace) < len(prefix) else 0
            trace.append((choice, count))
            return choice

        yield choose
        while trace and trace[-1][0] + 1 == trace[-1][1]:
            trace.pop()
        if not trace:
            return
        prefix = [choice for choice, _ in trace[:-1]] + [trace[-1][0] + 1]


def some_orders(count: int) -> Iterator[Choose]:
    chance = random.Random(1)  # noqa: S311
    for _ in range(count):
        yield chance.randrange
