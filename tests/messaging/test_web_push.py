"""Web Push against a real service: who may be called, what is sent, what an answer does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from sqlalchemy import select

from connectors.messaging.web_push import WebPushChannel, new_private_key, public_key
from tests import make
from tests.alerts.town import CANARIES, CLASS_NAME, Town, principal
from tests.messaging.certificates import Authority
from tests.messaging.push_server import Browser, PushService, push_running
from tests.messaging.test_slack import with_state
from warning_service.alerts.deliver import Deliverer
from warning_service.alerts.messages import Message, NotDelivered, RateLimited
from warning_service.alerts.outside.devices import (
    MOST_EACH,
    Devices,
    NotADevice,
    id_of,
    may_call,
)
from warning_service.alerts.outside.tables import push_devices
from warning_service.alerts.tables import routes
from warning_service.channel_settings import WebPushSettings
from warning_service.database import Database
from warning_service.settings import Settings

WHO = principal("nurse1")


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "authority")


@pytest.fixture(scope="module")
def key() -> str:
    return new_private_key()


@pytest.fixture
def service(authority: Authority, key: str) -> Iterator[PushService]:
    with push_running(authority.server(), key) as found:
        yield found


@pytest.fixture
def ours(settings: Settings, service: PushService, authority: Authority, key: str) -> Settings:
    push = WebPushSettings(
        private_key=key,  # type: ignore[arg-type]
        contact="mailto:it@town.example",
        hosts=[service.address.removeprefix("https://")],
    )
    return settings.model_copy(
        update={
            "web_push": push, "channel_hosts": ["127.0.0.1"], "channel_ca_file": authority.file,
        }
    )  # fmt: skip


@pytest.fixture
def push(ours: Settings) -> WebPushSettings:
    assert ours.web_push is not None
    return ours.web_push


@pytest.fixture
def devices(database: Database) -> Devices:
    return Devices(database)


@pytest.fixture
def channel(ours: Settings, database: Database) -> WebPushChannel:
    return WebPushChannel(ours, database)


def switched_on(devices: Devices, push: WebPushSettings, browser: Browser, who: Any = WHO) -> str:
    return devices.add(who, push, browser.endpoint, browser.p256dh, browser.auth)


def to_nurse(**values: object) -> Message:
    return with_state(address="nurse1", **values)


def why(channel: WebPushChannel, message: Message) -> tuple[str, bool]:
    with pytest.raises(NotDelivered) as caught:
        channel.send(message)
    return caught.value.why, caught.value.refused


# -- what is sent ------------------------------------------------------------------------------


def test_every_device_of_the_person_can_read_it_and_nobody_else(
    channel: WebPushChannel, devices: Devices, push: WebPushSettings, service: PushService
) -> None:
    phone, laptop, others = (service.subscribe() for _ in range(3))
    switched_on(devices, push, phone)
    switched_on(devices, push, laptop)
    switched_on(devices, push, others, principal("hr11"))
    channel.send(to_nurse())
    assert service.refused == []
    assert len(service.shown) == 2
    for _, said in service.shown:
        assert said == {
            "title": "【至急】新しい相談 1件", "mark": "#0f1e2d3c", "quiet": False,
            "tag": "0f1e2d3c-0000-4000-8000-000000000000",
            "path": "/portal/alerts/0f1e2d3c-0000-4000-8000-000000000000",
        }  # fmt: skip
    assert {head["urgency"] for head in service.headers} == {"high"}
    assert {head["ttl"] for head in service.headers} == {"14400"}
    assert service.bodies[0] != service.bodies[1], "a key and a salt of its own for each"
    assert not any("相談".encode() in body or b"0f1e2d3c" in body for body in service.bodies)
    assert all("0f1e2d3c" not in str(head) for head in service.headers)


def test_all_notices_are_of_one_length_and_one_topic_replaces_another(
    channel: WebPushChannel, devices: Devices, push: WebPushSettings, service: PushService
) -> None:
    switched_on(devices, push, service.subscribe())
    channel.send(to_nurse())
    channel.send(to_nurse(class_name="3年2組", urgent=False, kind="same_day"))
    channel.update("", to_nurse(state="acknowledged"))
    assert len({len(body) for body in service.bodies}) == 1
    assert len({head["topic"] for head in service.headers}) == 1
    assert service.shown[1][1]["title"] == "新しい本日中の確認 1件(3年2組)"
    assert service.headers[1]["ttl"] == "43200"
    taken = service.shown[2][1]
    assert (taken["title"], taken["quiet"]) == ("相談 1件:対応中", True)
    assert service.headers[2]["urgency"] == "normal"


def test_a_record_made_disturbs_nobody(
    channel: WebPushChannel, devices: Devices, push: WebPushSettings, service: PushService
) -> None:
    switched_on(devices, push, service.subscribe())
    channel.update("", to_nurse(state="handled"))
    assert service.bodies == []


# -- what an answer does -------------------------------------------------------------------------


def test_a_device_that_is_gone_is_taken_out_of_use(
    channel: WebPushChannel,
    devices: Devices,
    push: WebPushSettings,
    service: PushService,
    database: Database,
) -> None:
    old, older, good = (service.subscribe() for _ in range(3))
    for browser in (old, older, good):
        switched_on(devices, push, browser)
    service.answers(old, 410)
    service.answers(older, 404)
    channel.send(to_nurse())
    [left] = devices.of("nurse1", push)
    assert left.id == id_of(good.endpoint)
    assert left.reached_at is not None
    assert routed(database) == {"nurse1"}
    service.answers(good, 410)
    assert why(channel, to_nurse()) == ("no_device", True)
    assert why(channel, to_nurse()) == ("no_device", True)
    assert routed(database) == set()


def test_a_route_without_devices_goes(
    channel: WebPushChannel,
    devices: Devices,
    push: WebPushSettings,
    service: PushService,
    database: Database,
) -> None:
    switched_on(devices, push, service.subscribe())
    with database.writing() as conn:
        conn.execute(push_devices.delete())  # as retention does
    assert routed(database) == {"nurse1"}
    assert why(channel, to_nurse()) == ("no_device", True)
    assert routed(database) == set()


def routed(database: Database) -> set[str]:
    with database.reading() as conn:
        return {
            row.address
            for row in conn.execute(select(routes).where(routes.c.channel == "web_push"))
            if (row.duty, row.place) == ("person", row.address)
        }


def test_trouble_is_told_apart_and_takes_no_device_away(
    channel: WebPushChannel, devices: Devices, push: WebPushSettings, service: PushService
) -> None:
    browser = service.subscribe()
    switched_on(devices, push, browser)
    service.answers(browser, "17", 500, 413, 403, 201)
    with pytest.raises(RateLimited) as limited:
        channel.send(to_nurse())
    assert limited.value.seconds == 17
    assert why(channel, to_nurse()) == ("http_500", False)
    assert why(channel, to_nurse()) == ("http_413", True)
    assert why(channel, to_nurse()) == ("http_403", False)
    channel.send(to_nurse())
    assert len(devices.of("nurse1", push)) == 1


def test_one_device_in_trouble_does_not_silence_the_other(
    channel: WebPushChannel, devices: Devices, push: WebPushSettings, service: PushService
) -> None:
    bad, good = service.subscribe(), service.subscribe()
    switched_on(devices, push, bad)
    switched_on(devices, push, good)
    service.answers(bad, 503)
    channel.send(to_nurse())
    assert len(service.shown) == 1


def test_another_key_of_ours_does_not_reach_what_the_first_was_given(
    ours: Settings,
    devices: Devices,
    push: WebPushSettings,
    service: PushService,
    database: Database,
) -> None:
    switched_on(devices, push, service.subscribe())
    changed = push.model_copy(update={"private_key": WebPushSettings(
        private_key=new_private_key(), contact="mailto:a@b.example").private_key  # type: ignore[arg-type]
    })  # fmt: skip
    other = WebPushChannel(ours.model_copy(update={"web_push": changed}), database)
    assert why(other, to_nurse()) == ("no_device", True)
    assert service.bodies == []


# -- whom it may call ----------------------------------------------------------------------------

REAL = {"fcm.googleapis.com": True, "updates.push.services.mozilla.com": True,
        "wns2-par02p.notify.windows.com": True, "web.push.apple.com": True}  # fmt: skip


@pytest.mark.parametrize("host", REAL)
def test_the_browsers_services(key: str, host: str) -> None:
    usual = WebPushSettings(private_key=key, contact="https://town.example")  # type: ignore[arg-type]
    assert may_call(usual, f"https://{host}/send/abc:def-_")


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://fcm.googleapis.com/x", "https://fcm.googleapis.com:8443/x", "https://127.0.0.1/x",
        "https://localhost/x", "https://169.254.169.254/latest", "https://[::1]/x",
        "https://10.0.0.1/x", "https://fcm.googleapis.com.evil.example/x",
        "https://evil.example/fcm.googleapis.com", "https://fcm.googleapis.com@evil.example/x",
        "https://u:p@fcm.googleapis.com/x", "https://fcm.googleapis.com/x#y",
        "https://evilnotify.windows.com/x", "https://notify.windows.com/x",
        "https://fcm.googleapis.com\\@evil.example/x", "https://fcm.googleapis.com/ x",
        "https://fcm.googleapis.com/\r\nx", "https://fcm.googleapis.com/" + "x" * 1000,
        "https://fcm.googleapis.com:port/x", "//fcm.googleapis.com/x", "", "javascript:1",
        "https://fcm.googleapis.com/家",
    ],
)  # fmt: skip
def test_nobody_else(key: str, endpoint: str) -> None:
    usual = WebPushSettings(private_key=key, contact="https://town.example")  # type: ignore[arg-type]
    assert not may_call(usual, endpoint)


def test_a_service_whose_name_leads_inside_is_not_called(
    ours: Settings,
    devices: Devices,
    push: WebPushSettings,
    service: PushService,
    database: Database,
) -> None:
    """The name is allowed, and resolves to this machine: what DNS says is looked at as well."""
    there = f"localhost:{service.address.rpartition(':')[2]}"
    tricked = push.model_copy(update={"hosts": [there]})
    browser = service.subscribe()
    browser.endpoint = browser.endpoint.replace("127.0.0.1", "localhost")
    switched_on(devices, tricked, browser)
    closed = ours.model_copy(update={"web_push": tricked, "channel_hosts": []})
    assert why(WebPushChannel(closed, database), to_nurse()) == ("private_address", False)
    assert service.bodies == []


def test_what_the_settings_no_longer_allow_is_not_called(
    ours: Settings,
    devices: Devices,
    push: WebPushSettings,
    service: PushService,
    database: Database,
) -> None:
    switched_on(devices, push, service.subscribe())
    narrower = ours.model_copy(
        update={"web_push": push.model_copy(update={"hosts": ["fcm.googleapis.com"]})}
    )
    assert why(WebPushChannel(narrower, database), to_nurse()) == ("service_not_allowed", True)


# -- switching on and off ------------------------------------------------------------------------


def test_what_is_no_subscription_is_refused(
    devices: Devices, push: WebPushSettings, service: PushService, database: Database
) -> None:
    good = service.subscribe()
    point = good.p256dh[:-4] + ("AAAA" if good.p256dh[-4:] != "AAAA" else "AAAE")
    for endpoint, p256dh, auth in (
        ("https://fcm.googleapis.com/x", good.p256dh, good.auth),
        (good.endpoint, "", good.auth), (good.endpoint, good.p256dh, ""),
        (good.endpoint, "!!!", good.auth), (good.endpoint, good.p256dh, good.auth + "AAAA"),
        (good.endpoint, point, good.auth), (good.endpoint, good.p256dh[:80], good.auth),
    ):  # fmt: skip
        with pytest.raises(NotADevice):
            devices.add(WHO, push, endpoint, p256dh, auth)
    assert make.rows(database, push_devices) == []
    assert routed(database) == set()


def test_a_browser_has_one_owner_the_last_one(
    devices: Devices, push: WebPushSettings, service: PushService, database: Database
) -> None:
    shared = service.subscribe()
    device = switched_on(devices, push, shared)
    assert routed(database) == {"nurse1"}
    assert switched_on(devices, push, shared, principal("hr11")) == device
    assert devices.of("nurse1", push) == []
    assert routed(database) == {"hr11"}
    assert not devices.remove("nurse1", device)
    assert routed(database) == {"hr11"}
    assert devices.remove("hr11", device)
    assert routed(database) == set()


def test_there_are_not_endlessly_many(
    devices: Devices, push: WebPushSettings, service: PushService
) -> None:
    browsers = [service.subscribe() for _ in range(MOST_EACH + 1)]
    for browser in browsers[:-1]:
        switched_on(devices, push, browser)
    with pytest.raises(NotADevice):
        switched_on(devices, push, browsers[-1])
    switched_on(devices, push, browsers[0])  # again, with fresh keys: it is no further one


# -- the whole way -------------------------------------------------------------------------------


def test_from_the_alert_to_the_device_and_back_without_a_name(
    town: Town, ours: Settings, push: WebPushSettings, service: PushService
) -> None:
    switched_on(Devices(town.log.database), push, service.subscribe())
    channel = WebPushChannel(ours, town.log.database)
    deliverer = Deliverer(town.log, {"web_push": channel}, public_url="http://portal.test")
    town.asks("kid1")
    town.work()
    assert deliverer.run_once() == 1
    alert = town.alerts.of_student("kid1")[0].id
    assert town.alerts.acknowledge(alert, principal("hr11"), "portal")
    assert deliverer.run_once() == 1
    assert [said["title"] for _, said in service.shown] == [
        "【至急】新しい相談 1件", "相談 1件:対応中",
    ]  # fmt: skip
    assert {said["path"] for _, said in service.shown} == {f"/portal/alerts/{alert}"}
    whole = str(service.shown) + str(service.headers)
    assert not [w for w in (*CANARIES, CLASS_NAME, "kid1", "nurse1", "friends") if w in whole]


def test_keys(key: str) -> None:
    made = WebPushSettings(private_key=key, contact="https://town.example")  # type: ignore[arg-type]
    assert len(public_key(made)) == 87
    for wrong in ("", "x", key[:-3], "A" * 43, "_" * 43, key + "\n"):
        with pytest.raises(ValidationError) as caught:
            WebPushSettings(private_key=wrong, contact="https://town.example")  # type: ignore[arg-type]
        assert "is no key" in str(caught.value)
        assert key[:-3] not in str(caught.value), "it may be a key with a slip of the pen"
