"""Pressed buttons through a connection that we open: Slack's Socket Mode.

For networks that nobody can reach from outside. The app-level token opens a WebSocket; Slack sends
what was pressed as envelopes, each of which is acknowledged at once and then worked on. Several
processes may each have a connection: Slack gives each envelope to one of them, and one that nobody
acknowledged again to another, which then meets an alert that is taken on already.

The SDK's client reads and writes the socket and moves to a new connection when Slack announces the
end of one. Beginning, and beginning again when one has died, is done here: with growing pauses and
jitter, within Retry-After, and so that stopping never waits for a sleeping library. It is a
convenience on top of the portal: whatever happens here, alerts are told and escalated.
"""

from __future__ import annotations

import logging
import secrets
import socket
import threading
from contextlib import suppress
from http.client import HTTPException
from typing import Any
from urllib.parse import urlsplit

import msgspec
import structlog
from prometheus_client import Counter, Gauge
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.socket_mode.builtin import SocketModeClient
from slack_sdk.socket_mode.client import BaseSocketModeClient
from slack_sdk.socket_mode.response import SocketModeResponse

from connectors.messaging.slack import UNEXPECTED, code_of, past_the_proxy, pause_of, status_of
from connectors.messaging.slack_actions import (
    LATER,
    Interaction,
    from_elsewhere,
    may_answer_to,
    pressed_alert,
    say,
    take_on,
)
from warning_service.clock import monotonic
from warning_service.database import StorageUnavailable
from warning_service.rooms import Rooms
from warning_service.settings import Settings

log = structlog.get_logger()

LOOK_SECONDS = 0.25
PING_SECONDS = 2.0
GOOD_AFTER = 30.0
"""A connection that lasted so long was a good one: the next pause is short again."""

LONGEST_PAUSE = 60.0
AT_ONCE = 4
TIMEOUT_SECONDS = 5

CONNECTED = Gauge("kizashi_slack_socket_connected", "Is the Socket Mode connection up (1) or not")
CONNECTS = Counter("kizashi_slack_socket_connects_total", "Tries to connect", ["outcome"])
ENVELOPES = Counter("kizashi_slack_socket_envelopes_total", "What came through it", ["outcome"])

# The SDK's own words quote addresses that hold a ticket, and what Slack answered.
_SILENT = logging.getLogger("kizashi.slack_socket.sdk")
_SILENT.addHandler(logging.NullHandler())
_SILENT.propagate = False


class _Refused(RuntimeError):
    """Slack would not open a connection. `seconds`: how long it asks us to wait, 0 for unsaid."""

    def __init__(self, why: str, seconds: float = 0.0) -> None:
        super().__init__(why)
        self.why = why
        self.seconds = seconds


class _Client(SocketModeClient):
    """The SDK's client, which asks for an address without sleeping and checks what it is given."""

    def __init__(self, settings: Settings) -> None:
        assert settings.slack_app_token is not None
        url = settings.slack_api_url.rstrip("/") + "/"
        web = WebClient(base_url=url, timeout=TIMEOUT_SECONDS, retry_handlers=[], logger=_SILENT)
        self.broken = threading.Event()
        self._plain = urlsplit(url).scheme == "http"  # a local, compatible server
        super().__init__(
            settings.slack_app_token.get_secret_value(),
            logger=_SILENT,
            web_client=past_the_proxy(web, url),
            auto_reconnect_enabled=False,
            ping_interval=PING_SECONDS,
            concurrency=AT_ONCE,
            on_error_listeners=[self._trouble],
        )
        if web.proxy is None:
            self.proxy = None

    def _trouble(self, error: Exception) -> None:
        # A dead socket the client gives up by itself; of what it cannot read it would try to make
        # sense for ever.
        if not isinstance(error, OSError):
            self.broken.set()

    def hang_up(self) -> None:
        """Close at once: reading is told to end first, or closing would wait for its timeout."""
        session = self.current_session
        sock = None if session is None else session.sock
        if sock is not None:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        self.close()

    def issue_new_wss_url(self) -> str:
        """A fresh address to connect to. Raises _Refused."""
        try:
            answer = self.web_client.apps_connections_open(app_token=self.app_token)
            url = str(answer.get("url") or "")
        except SlackApiError as error:
            raise _refusal(error) from None
        except (OSError, ValueError, HTTPException, AttributeError, TypeError) as error:
            raise _Refused(type(error).__name__) from None
        # An address in the clear would carry the ticket, and everything after it, readably.
        if urlsplit(url).scheme != "wss" and not (self._plain and urlsplit(url).scheme == "ws"):
            raise _Refused(UNEXPECTED)
        return url


def _refusal(error: SlackApiError) -> _Refused:
    status = status_of(error.response)
    if status == 429:
        return _Refused("rate_limited", pause_of(dict(error.response.headers)))
    return _Refused(code_of(error.response) if status == 200 else f"http_{status}")


class SlackSocket:
    """Keeps a connection to Slack and takes on what is pressed. `start`, then `stop`."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="slack:socket", daemon=True)
        self._client: _Client | None = None

    def start(self) -> None:
        """Begin to connect; never waits for Slack."""
        self._thread.start()

    def stop(self) -> None:
        """Close the connection; what is being worked on is finished."""
        self._stopping.set()
        self._thread.join(timeout=15)

    @property
    def connected(self) -> bool:
        """Is a connection up at this moment?"""
        client = self._client
        return client is not None and client.is_connected()

    # -- the connection --------------------------------------------------------------------------

    def _run(self) -> None:
        failures = 0
        try:
            while not self._stopping.is_set():
                begin = monotonic()
                try:
                    least = self._connection()
                except Exception as error:  # the next try must come, whatever this one met
                    log.exception("slack_socket_failed", error=type(error).__name__)
                    least = 0.0
                CONNECTED.set(0)
                failures = 0 if monotonic() - begin > GOOD_AFTER else failures + 1
                self._stopping.wait(max(least, _backoff(failures)))
        finally:
            CONNECTED.set(0)

    def _connection(self) -> float:
        """One connection from its beginning to its end; seconds to wait at least before the next.

        A new client for each: what a half-read message left behind in one goes with it.
        """
        client = self._client = _Client(self._rooms.settings)
        client.message_listeners.append(self._heard)
        try:
            try:
                client.connect()
            except _Refused as error:
                CONNECTS.labels("refused").inc()
                log.error("slack_socket_refused", reason=error.why)
                return error.seconds
            if not client.is_connected():
                CONNECTS.labels("failed").inc()
                log.error("slack_socket_not_connected")
                return 0.0
            CONNECTS.labels("connected").inc()
            CONNECTED.set(1)
            while not self._stopping.wait(LOOK_SECONDS):
                if client.broken.is_set() or not client.is_connected():
                    log.warning("slack_socket_lost")
                    return 0.0
            return 0.0
        finally:
            self._client = None
            client.hang_up()

    def _heard(
        self, client: BaseSocketModeClient, message: dict[str, Any], _raw: str | None
    ) -> None:
        """A message of Slack's, whatever it is. (The SDK's own reading of envelopes gives up on
        some that are malformed without acknowledging them.)
        """
        if message.get("type") == "hello":
            self._greeted(client, message)
        elif isinstance(envelope_id := message.get("envelope_id"), str):
            self._envelope(client, envelope_id, message)

    def _greeted(self, client: BaseSocketModeClient, message: dict[str, Any]) -> None:
        """Slack says which app this connection is of: another one's token must be noticed."""
        found = message.get("connection_info")
        app = str(found.get("app_id", "")) if isinstance(found, dict) else ""
        if app and self._rooms.settings.slack_app_id not in {"", app}:
            CONNECTS.labels("other_app").inc()
            log.error("slack_socket_of_another_app")
            client.disconnect()

    # -- what comes through it -------------------------------------------------------------------

    def _envelope(
        self, client: BaseSocketModeClient, envelope_id: str, message: dict[str, Any]
    ) -> None:
        """Acknowledge first, so that Slack need not wait for our database; then do it."""
        try:
            client.send_socket_mode_response(SocketModeResponse(envelope_id))
        except (SlackClientError, OSError):
            # Slack sends it again, here or to another process; doing it twice does no harm.
            ENVELOPES.labels("not_acknowledged").inc()
        if message.get("type") != "interactive":
            ENVELOPES.labels("not_ours").inc()
            return
        try:
            pressed = msgspec.convert(message.get("payload"), Interaction)
        except msgspec.ValidationError:
            ENVELOPES.labels("malformed").inc()
            log.warning("slack_envelope_malformed")
            return
        self._pressed(pressed)

    def _pressed(self, pressed: Interaction) -> None:
        settings = self._rooms.settings
        if part := from_elsewhere(settings, pressed):
            ENVELOPES.labels("from_elsewhere").inc()
            log.warning("slack_interaction_from_elsewhere", part=part)
            return
        alert_id = pressed_alert(pressed)
        if alert_id is None:
            ENVELOPES.labels("nothing_to_do").inc()
            return
        try:
            answer = take_on(self._rooms, pressed.user.id, alert_id)
            ENVELOPES.labels("done").inc()
        except StorageUnavailable as error:
            ENVELOPES.labels("later").inc()
            log.error("slack_acknowledge_late", error=str(error))
            answer = LATER
        except Exception as error:
            ENVELOPES.labels("later").inc()
            log.exception("slack_acknowledge_failed", error=type(error).__name__)
            answer = LATER
        if may_answer_to(settings, pressed.response_url):
            say(pressed.response_url, answer)


def _backoff(failures: int) -> float:
    """A moment after a good connection; 1, 2, 4 … 60 seconds after bad ones, less up to half."""
    longest = min(LONGEST_PAUSE, 2.0 ** min(failures - 1, 10)) if failures else 0.5
    return longest * (0.5 + secrets.randbelow(500) / 1000)
