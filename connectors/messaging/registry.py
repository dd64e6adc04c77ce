"""Which channels there are: every module of this folder that has a `KIND`.

Adding a channel is adding a file here (and its section in settings.py): nothing else names it. What
a channel has to be able to do is `alerts/messages.py: Channel`; the contract test of all channels
(tests/messaging/test_contract.py) asks for a server to try a new one against, and fails without.

A channel whose module or settings are broken must not take the others with it: it is left out with
a line in the log, and its messages wait where they can be seen.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Sequence
from functools import cache

import msgspec
import structlog

import connectors.messaging as here
from warning_service.alerts.messages import Channel
from warning_service.rooms import Rooms
from warning_service.settings import Settings

log = structlog.get_logger()


def _anything(_settings: Settings, address: str) -> bool:
    return bool(address)


def _none(_settings: Settings) -> Sequence[str]:
    return ()


class Kind(msgspec.Struct, frozen=True, kw_only=True):
    """A way to tell people, before it is connected.

    `name`: as in routes and deliveries. `label`, `label_en`: on pages. `connect`: the channel as
    the settings have it; None when they have nothing about it. `fits`: may a route hold this
    address. `choices`: the addresses there are when a route can only name one of the settings'.
    `hint`, `hint_en`: what an address looks like, for the form. `by_people`: people switch it on
    for themselves (a device), and nobody sets a route of it for others.
    """

    name: str
    label: str
    label_en: str
    hint: str
    hint_en: str
    connect: Callable[[Rooms], Channel | None]
    fits: Callable[[Settings, str], bool] = _anything
    choices: Callable[[Settings], Sequence[str]] = _none
    by_people: bool = False


@cache
def kinds() -> dict[str, Kind]:
    """Every kind of channel by name, in the order of the names."""
    found: dict[str, Kind] = {}
    for module in sorted(one.name for one in pkgutil.iter_modules(here.__path__)):
        try:
            kind = getattr(importlib.import_module(f"{here.__name__}.{module}"), "KIND", None)
        except Exception as error:
            log.error("channel_not_loaded", channel=module, error=type(error).__name__)
            continue
        if isinstance(kind, Kind):
            found[kind.name] = kind
    return dict(sorted(found.items()))


def connect(rooms: Rooms) -> dict[str, Channel]:
    """The channels this installation has, by name."""
    found: dict[str, Channel] = {}
    for name, kind in kinds().items():
        try:
            channel = kind.connect(rooms)
        except Exception as error:
            log.error("channel_not_connected", channel=name, error=type(error).__name__)
            continue
        if channel is not None:
            found[name] = channel
    return found
