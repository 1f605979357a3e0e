"""Instances of app.py, each served on a port of its own in threads of this process."""

import importlib.util
import os
import socket
import threading
from pathlib import Path
from typing import Protocol

import pytest
from flask import Flask
from jinja2.bccache import Bucket, BytecodeCache
from werkzeug.serving import WSGIRequestHandler, make_server

from local_tenant import LocalTenant
from tests.helpers.processes import ROOT
from tests.helpers.tenant import register_redirect_uri


class QuietHandler(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log(self, type: str, message: str, *args: object) -> None:
        pass


class CompiledTemplates(BytecodeCache):
    """Compiles each template once for all apps of this process. It takes longer than a request."""

    def __init__(self) -> None:
        self._compiled: dict[str, bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        if bucket.key in self._compiled:
            bucket.bytecode_from_string(self._compiled[bucket.key])

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._compiled[bucket.key] = bucket.bytecode_to_string()


COMPILED_TEMPLATES = CompiledTemplates()


class RunningApp:
    """One instance of app.py, its settings and its address."""

    def __init__(self, environ: dict[str, str], flask: Flask, listener: socket.socket):
        self.environ, self.flask = environ, flask
        self.port: int = listener.getsockname()[1]
        self.url = f"http://localhost:{self.port}"
        self._listener = listener
        self._server = make_server(
            "127.0.0.1",
            self.port,
            flask,
            threaded=True,
            request_handler=QuietHandler,
            fd=listener.fileno(),
        )
        self._server.daemon_threads = True  # type: ignore[attr-defined]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join(5)
        self._server.server_close()
        self._listener.close()
        assert not self._thread.is_alive()


class ServeApp(Protocol):
    """Serves app.py with the settings of a tenant, and those given on top."""

    def __call__(self, tenant: LocalTenant | None = None, /, **settings: str) -> RunningApp: ...


def import_app(environ: dict[str, str]) -> Flask:
    """The Flask app of a fresh app.py that has read these settings and no others."""
    before = dict(os.environ)
    os.environ.clear()
    os.environ.update({"PATH": before["PATH"], "HOME": before.get("HOME", "/")} | environ)
    try:
        spec = importlib.util.spec_from_file_location("app", ROOT / "app.py")
        assert spec and spec.loader
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        app: Flask = module.app
        app.jinja_env.bytecode_cache = COMPILED_TEMPLATES
        return app
    finally:
        os.environ.clear()
        os.environ.update(before)


def serve(tenant: LocalTenant, folder: Path, settings: dict[str, str]) -> RunningApp:
    """Serve app.py with a tenant's settings, and these on top. Sessions are in `folder` by default."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)
    port = listener.getsockname()[1]
    environ: dict[str, str] = tenant.settings | {
        "REDIRECT_URI": f"http://localhost:{port}/getAToken",
        "SESSION_DIR": str(folder),
        "COOKIE_PREFIX": "signin",  # which by default has the port in it
    }
    environ |= settings
    register_redirect_uri(tenant, environ["REDIRECT_URI"])
    try:
        app = import_app(environ)
    except SystemExit:  # settings that stop the start
        listener.close()
        raise
    return RunningApp(environ, app, listener)


def failures(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What the app logged about things that went wrong."""
    return [
        record.getMessage()
        for record in caplog.records
        if record.name.startswith("signin") and record.levelno > 20
    ]
