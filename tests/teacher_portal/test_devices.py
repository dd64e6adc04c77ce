"""Notices on one's own devices: the page, what it takes, and the page in a real browser."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import expect
from pydantic import SecretStr

from connectors.messaging.web_push import new_private_key, public_key
from tests import make
from tests.browser import town
from tests.messaging.push_server import Browser as Subscriber
from tests.teacher_portal.conftest import Browsers
from tests.teacher_portal.school import School
from warning_service.alerts.outside.devices import id_of
from warning_service.alerts.outside.tables import push_devices
from warning_service.channel_settings import WebPushSettings
from warning_service.settings import Settings

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def settings(settings: Settings) -> Settings:
    push = WebPushSettings(
        private_key=SecretStr(new_private_key()), contact="mailto:it@town.example"
    )
    return settings.model_copy(update={"web_push": push})


@pytest.fixture
def phone() -> Iterator[Subscriber]:
    yield Subscriber("https://fcm.googleapis.com/fcm/send/abc")


def test_on_and_off_again(school: School, browsers: Browsers, phone: Subscriber) -> None:
    nurse, other = browsers("nurse"), browsers("homeroom")
    assert "まだありません" in nurse.get("/portal/devices")
    keys = {"p256dh": phone.p256dh, "auth": phone.auth}
    assert nurse.post("/portal/devices", endpoint=phone.endpoint, **keys).status_code == 200
    page, device = nurse.get("/portal/devices"), id_of(phone.endpoint)
    assert f'data-device="{device}"' in page and "fcm.googleapis.com" in page
    assert phone.endpoint not in page and phone.auth not in page
    assert device not in other.get("/portal/devices")
    assert other.post("/portal/devices/off", device=device).status_code == 303
    assert len(make.rows(school.rooms.database, push_devices)) == 1
    assert nurse.post("/portal/devices/off", device=device).status_code == 303
    assert make.rows(school.rooms.database, push_devices) == []


def test_what_no_browser_would_send_is_refused(
    school: School, browsers: Browsers, phone: Subscriber
) -> None:
    nurse, keys = browsers("nurse"), {"p256dh": phone.p256dh, "auth": phone.auth}
    for endpoint in ("https://127.0.0.1/x", "http://fcm.googleapis.com/x", "", "x" * 1500):
        assert nurse.post("/portal/devices", endpoint=endpoint, **keys).status_code == 422
    answer = nurse.post("/portal/devices", csrf="x", endpoint=phone.endpoint, **keys)
    assert answer.status_code == 403
    assert make.rows(school.rooms.database, push_devices) == []


def test_the_worker_is_for_the_portal_and_keeps_nothing(browsers: Browsers) -> None:
    answer = browsers().client.get("/portal/sw.js")
    assert answer.headers["content-type"].startswith("text/javascript")
    assert "service-worker-allowed" not in answer.headers
    assert "worker-src 'self'" in answer.headers["content-security-policy"]
    for what in ('"fetch"', "caches", "indexedDB"):
        assert what not in answer.text


@pytest.mark.browser
def test_the_page_says_how_things_stand(school: School, server: str) -> None:
    """States as far as a Chromium without a push service can show them."""
    address = server.replace("127.0.0.1", "localhost")
    with town.browser() as chromium:
        context = town.context(chromium, town.DESK)
        page = context.new_page()
        page.goto(f"{address}/portal/sign-in?next=/portal/devices")
        page.fill("#login", "nurse")
        page.fill("#password", make.PASSWORD)
        page.get_by_role("button", name="サインイン", exact=True).click()
        part = page.locator("#device")
        on = page.get_by_role("button", name="この端末で受け取る")
        expect(part).to_have_attribute("data-state", "off")
        settings = school.rooms.settings.web_push
        assert settings is not None
        expect(part).to_have_attribute("data-key", public_key(settings))
        worker = page.evaluate(
            "navigator.serviceWorker.register('/portal/sw.js', { scope: '/portal/' })"
            ".then(() => navigator.serviceWorker.ready).then((found) => found.scope)"
        )
        assert worker == f"{address}/portal/"
        context.grant_permissions(["notifications"], origin=address)
        page.reload()
        on.click()
        # No push service answers this Chromium: what a closed network looks like.
        expect(part).to_have_attribute("data-state", "trouble", timeout=20_000)
        expect(on).to_be_enabled()
        assert make.rows(school.rooms.database, push_devices) == []
        page.add_init_script("delete window.PushManager")
        page.reload()
        expect(part).to_have_attribute("data-state", "unsupported")
        expect(on).to_be_hidden()
