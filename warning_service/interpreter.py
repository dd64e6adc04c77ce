"""How the interpreter is set up in a serving process: when it looks for garbage, and whose turn it
is.

Python's collector walks every object it knows whenever enough new ones have come. A server holds
some hundred thousand that live as long as it does (routes, templates, the libraries), and on a
city's morning makes many short-lived ones: walking all of them again and again was measured as
pauses of a tenth of a second in the midst of check-ins. So what is there at the start is set aside,
and the collector is asked after ten thousand new objects instead of seven hundred. Memory that
cycles hold is still given back, a little later.

A call for help passes through five threads on its way to a teacher's chat. Each that wants the
interpreter waits until the one that has it lets go, by default for up to five milliseconds, and
behind several for as many times that: with one channel hanging, the slowest hundredth of alerts
took twice as long as with a tenth of that interval.
"""

from __future__ import annotations

import gc
import sys

YOUNG, MIDDLE, OLD = 10_000, 20, 20
TURN_SECONDS = 0.0005


def settle_in() -> None:
    """Set aside what is there, look for garbage more seldom, and take shorter turns."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, MIDDLE, OLD)
    sys.setswitchinterval(TURN_SECONDS)
