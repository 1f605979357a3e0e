"""Flask and the signed-in home page, and nothing else: no session, no checks, no headers."""

from flask import Flask

from benchmarks.peers.page import SOMEBODY, TEMPLATES, dress, render_home

app = Flask(__name__, template_folder=TEMPLATES)


@app.route("/")
def home() -> str:
    return render_home(SOMEBODY)


dress(app)
