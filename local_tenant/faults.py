"""The record of every request, and the misbehaviours a test can ask for, one per leg of the protocol."""

import json
import threading
import time
from collections import deque
from datetime import datetime, timezone

from flask import Response, g, request

LEGS = ("id_token", "authorize", "token", "discovery", "keys", "api", "logout")
HOLD_SECONDS = 30
REMEMBERED = 20_000
TYPED_SECRETS = ("password", "newPassword", "reenterPassword")


class Record:
    """Every request the tenant and the web API saw, in order of arrival; of very many, the newest."""

    def __init__(self):
        self._requests = deque(maxlen=REMEMBERED)

    def arrived(self, endpoint, user_flow):
        entry = {
            "endpoint": endpoint,
            "user_flow": user_flow,
            "method": request.method,
            "path": request.path,
            "query": request.args.to_dict(flat=False),
            "form": _without_passwords(request.form.to_dict(flat=False)),
            "headers": dict(request.headers),
            "status": None,
        }
        self._requests.append(entry)
        return entry

    def entries(self):
        return list(self._requests)

    def clear(self):
        self._requests.clear()


def _without_passwords(form):
    return {name: [""] * len(values) if name in TYPED_SECRETS else values for name, values in form.items()}


class Faults:
    """What each leg does wrong at the moment, and the requests that wait to be released."""

    def __init__(self):
        self._legs = {}
        self._waiting = {}
        self._lock = threading.Lock()
        self._closed = False

    def current(self):
        return {leg: dict(fault) for leg, fault in self._legs.items()}

    def merge(self, wanted):
        with self._lock:
            for leg, fault in wanted.items():
                self._legs.setdefault(leg, {}).update(fault)

    def clear(self):
        with self._lock:
            self._legs.clear()
        for name in self.holds():
            self.release(name)

    def close(self):
        """Let everyone go, and hold nobody from now on."""
        with self._lock:
            self._closed = True
        self.clear()

    def take(self, leg):
        """The leg's fault for one request; `times` counts down here."""
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

    def holds(self):
        return sorted(self._waiting)

    def hold(self, name):
        with self._lock:
            if self._closed:
                return
            released = self._waiting.setdefault(name, threading.Event())
        if not released.wait(HOLD_SECONDS):
            self.release(name)

    def release(self, name):
        """Let everyone go who waits under `name`; says whether anyone did."""
        with self._lock:
            released = self._waiting.pop(name, None)
        if released:
            released.set()
        return released is not None


def before_answer(faults, leg):
    """Apply the leg's fault ahead of the view; returns the response that replaces the view's, or None."""
    g.fault = faults.take(leg)
    if "delay" in g.fault:
        time.sleep(g.fault["delay"])
    if "hold" in g.fault:
        faults.hold(g.fault["hold"])
    if g.fault.get("reset"):
        request.environ["local_tenant.reset"]()
        return Response(status=204)
    if "status" in g.fault or "body" in g.fault:
        return _made_up(g.fault)
    return None


def _made_up(fault):
    body = fault.get("body", "")
    if not isinstance(body, str):
        body = json.dumps(body)
    content_type = fault.get("content_type", "text/html; charset=utf-8")
    return Response(body, fault.get("status", 200), content_type=content_type)


def after_answer(response, clock):
    """Date the answer by the tenant's clock, and apply what the fault changes: headers and JSON members."""
    response.date = datetime.fromtimestamp(clock.now(), timezone.utc)
    fault = g.get("fault", {})
    if response.is_json and ("set" in fault or "drop" in fault):
        response.set_data(json.dumps(changed(response.get_json(), fault)))
    for name, value in fault.get("headers", {}).items():
        response.headers[name] = str(value)
    return response


def changed(members, fault):
    """`members` with the fault's `set` added and its `drop` left out."""
    members = {**members, **fault.get("set", {})}
    return {name: value for name, value in members.items() if name not in fault.get("drop", [])}
