"""When a serving process looks for garbage: seldom, and never through what it started with.

Python's collector walks every object it knows whenever enough new ones have come. A server holds
some hundred thousand that live as long as it does (routes, templates, the libraries), and on a
city's morning makes many short-lived ones: walking all of them again and again was measured as
pauses of a tenth of a second in the midst of check-ins. So what is there at the start is set aside,
and the collector is asked after ten thousand new objects instead of seven hundred. Memory that
cycles hold is still given back, a little later.
"""

from __future__ import annotations

import gc

YOUNG, MIDDLE, OLD = 10_000, 20, 20


def collect_seldom() -> None:
    """Set aside what is there, and look for garbage more seldom from now on."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, MIDDLE, OLD)
