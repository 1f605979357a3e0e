"""What tests can watch and change while the tenant runs: its clock, options, faults and requests."""

import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar, TypedDict, cast

from .fault_members import MEMBERS
from .suggestions import did_you_mean

LEGS = tuple(MEMBERS)  # where a fault can be injected
HOLD_SECONDS = 30
KEPT_REQUESTS = 20_000

# A fault as the control API takes it. docs/control.md lists the members of each leg.
Fault = dict[str, Any]


class Clock:
    """The tenant's clock in epoch seconds, which tests move by setting `offset`."""

    offset = 0.0
    LARGEST_OFFSET: ClassVar[int] = 1_000_000_000  # some 30 years

    def move(self, offset: object) -> None:
        """Set the offset. Raises ValueError unless it is a number in the range."""
        reach = self.LARGEST_OFFSET
        if type(offset) not in (int, float) or not -reach <= cast(float, offset) <= reach:
            raise ValueError(f"The offset is a number of seconds from -{reach} to {reach}, some 30 years.")
        self.offset = cast(float, offset)

    def now(self) -> float:
        return time.time() + self.offset


@dataclass
class Options:
    """Behaviour that tests can change. Lifetimes are in seconds."""

    refresh_token_reuse: bool = True  # False: each refresh token works once
    code_reuse: bool = False
    pkce: bool = True  # False: code_verifier is not checked
    access_token_lifetime: int = 3600
    id_token_lifetime: int = 3600
    code_lifetime: int = 300
    refresh_token_lifetime: int = 1_209_600
    issuer_form: str = "default"  # "tfp": the issuer names the user flow
    policy_claim: str = "tfp"  # "acr": older user flows have this claim instead, in lower case
    keys: int = 1  # how many keys are published, at least
    require_id_token_hint: bool = False  # at sign-out, whatever the user flow says
    unregistered_redirect: str = "redirect"  # AADB2C90006 goes to a registered redirect_uri, or onto a "page"
    login_hint: bool = True  # ID tokens of Entra ID have the optional claim login_hint
    token_challenge: bool = False  # the token endpoint wants a second factor (AADSTS50076) until it is shown
    api_challenge: bool = False  # web APIs do, by 401 insufficient_claims

    CHOICES: ClassVar[dict[str, tuple[object, ...]]] = {
        "issuer_form": ("default", "tfp"),
        "policy_claim": ("tfp", "acr"),
        "keys": (1, 2),
        "unregistered_redirect": ("redirect", "page"),
    }

    def change(self, wanted: Mapping[str, object]) -> None:
        """Set the options. Raises ValueError, with nothing changed, for a wrong name or value."""
        types = {option.name: type(getattr(self, option.name)) for option in fields(self)}
        for name, value in wanted.items():
            if name not in types:
                raise ValueError(f"There is no option {name!r}.{did_you_mean(name, types)}")
            if type(value) is not types[name] or value not in self.CHOICES.get(name, (value,)):
                raise ValueError(f"Option {name!r} cannot be {value!r}.")
        for name, value in wanted.items():
            setattr(self, name, value)


class RequestEntry(TypedDict):
    """One request of the record, and what was wrong with it. `time` is in epoch seconds.

    `error` is the error of OAuth or of the API, `error_code` the service's own, such as AADB2C90006.
    """

    time: float
    endpoint: str
    user_flow: str | None
    method: str
    path: str
    query: dict[str, list[str]]
    form: dict[str, list[str]]
    headers: dict[str, str]
    status: int | None
    error: str | None
    error_code: str | None
    error_description: str | None
    advice: str | None


class Record:
    """The requests to the tenant and its web API in order of arrival. When there are many, the oldest go."""

    def __init__(self) -> None:
        self._requests: deque[RequestEntry] = deque(maxlen=KEPT_REQUESTS)

    def add(self, entry: RequestEntry) -> None:
        self._requests.append(entry)

    def entries(self) -> list[RequestEntry]:
        return list(self._requests)

    def clear(self) -> None:
        self._requests.clear()


class Faults:
    """The faults that tests have asked for on each leg, and the requests that wait to be released."""

    def __init__(self) -> None:
        self._legs: dict[str, Fault] = {}
        self._held: dict[str, threading.Event] = {}
        self._lock = threading.Lock()
        self._closed = threading.Event()

    def current(self) -> dict[str, Fault]:
        with self._lock:
            return {leg: dict(fault) for leg, fault in self._legs.items()}

    def merge(self, wanted: Mapping[str, Fault]) -> None:
        """Add these faults, which `check_faults` accepts."""
        with self._lock:
            for leg, fault in wanted.items():
                self._legs.setdefault(leg, {}).update(fault)

    def clear(self) -> None:
        """End all faults, and release every held request."""
        with self._lock:
            self._legs.clear()
        for name in self.holds():
            self.release(name)

    def close(self) -> None:
        """Let every request go at once, from now on."""
        with self._lock:
            self._closed.set()
        self.clear()

    def take(self, leg: str) -> Fault:
        """The fault for one request on this leg, {} if there is none. `times` counts down here."""
        with self._lock:
            fault = self._legs.get(leg)
            if fault is None:
                return {}
            taken = dict(fault)
            if "times" in fault:
                fault["times"] -= 1
                if fault["times"] <= 0:
                    del self._legs[leg]
        return taken

    def delay(self, seconds: float) -> None:
        self._closed.wait(seconds)

    def holds(self) -> list[str]:
        with self._lock:
            return sorted(self._held)

    def hold(self, name: str) -> None:
        """Wait until `name` is released, for HOLD_SECONDS at most."""
        with self._lock:
            if self._closed.is_set():
                return
            released = self._held.setdefault(name, threading.Event())
        if not released.wait(HOLD_SECONDS):
            self.release(name)

    def release(self, name: str) -> bool:
        """Release the requests that wait under `name`. Returns whether any did."""
        with self._lock:
            released = self._held.pop(name, None)
        if released:
            released.set()
        return released is not None


def changed(members: Mapping[str, Any], fault: Fault) -> dict[str, Any]:
    """`members` with the fault's `set` added and its `drop` left out."""
    members = {**members, **fault.get("set", {})}
    return {name: value for name, value in members.items() if name not in fault.get("drop", [])}
