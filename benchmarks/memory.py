"""How much memory the app's workers need while users sign in."""

from collections import defaultdict

from .apps import sign_in_many
from .figures import say
from .rig import Rig

STEPS = 50
Curves = dict[str, list[tuple[int, float]]]  # by worker: sign-ins done, MiB


def grow(rig: Rig, sign_ins: int) -> Curves:
    """Return the resident memory of each worker of a fresh app as the number of sign-ins grows."""
    server, step, curves = rig.app("growth"), sign_ins // STEPS, defaultdict(list)
    for done in range(0, sign_ins + 1, step):
        if done:
            sign_in_many(server, step)
        for number, size in enumerate(server.memory_mib(), start=1):
            curves[f"worker {number}"].append((done, size))
        if done % (step * 10) == 0:
            say(f"memory: {done} of {sign_ins} sign-ins")
    server.kill()
    return dict(curves)
