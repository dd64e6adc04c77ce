"""Mail against a real server: what it says, how it is handed over, and how replies are read."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError
from sqlalchemy import insert

from connectors.messaging import mail as mail_module
from connectors.messaging.mail import KIND, MailChannel, fits
from tests import make
from tests.alerts.town import BOARD, CANARIES, CLASS_NAME, Town, principal
from tests.messaging.certificates import Authority
from tests.messaging.mail_server import PASSWORD, USER, Post, mail_running
from tests.messaging.test_slack import MESSAGE, with_state
from warning_service.alerts.deliver import Deliverer
from warning_service.alerts.messages import Message, NotDelivered, Other, RateLimited
from warning_service.alerts.outside.tables import ack_links
from warning_service.alerts.tables import routes
from warning_service.channel_settings import MailSettings
from warning_service.database import Database
from warning_service.settings import Settings

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture(autouse=True)
def stored(database: Database) -> Database:
    """Links are stored."""
    return database


TO = "yogo@sakura.example"


@pytest.fixture
def post() -> Iterator[Post]:
    with mail_running() as found:
        yield found


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "authority")


def reaching(settings: Settings, port: int, **more: Any) -> Settings:
    found = MailSettings(
        host="127.0.0.1", port=port, sender="alerts@kizashi.example",
        **{"security": "none", **more},
    )  # fmt: skip
    return settings.model_copy(update={"mail": found})


@pytest.fixture
def channel(settings: Settings, post: Post, database: Database) -> MailChannel:
    return MailChannel(reaching(settings, post.port), database)


def to_mail(**values: object) -> Message:
    return with_state(address=TO, **values)


def body_of(post: Post, number: int = -1) -> str:
    content = post.mails[number].get_content()
    assert isinstance(content, str)
    return content


# -- what it says ------------------------------------------------------------------------------


def test_a_mail_says_what_it_may_and_no_more(channel: MailChannel, post: Post) -> None:
    channel.send(to_mail())
    [mail] = post.mails
    assert post.to == [[TO]] and mail["To"] == TO
    assert mail["Subject"] == "【至急】新しい相談 1件 #0f1e2d3c"
    assert mail["From"].addresses[0].addr_spec == "alerts@kizashi.example"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["List-Id"] == "<kizashi-alerts.kizashi.example>"
    assert (mail["Importance"], mail["X-Priority"]) == ("high", "1")
    assert mail["In-Reply-To"] is None
    assert "+0900" in mail["Date"]
    assert MESSAGE.link in body_of(post)
    assert "サインイン" in body_of(post)
    assert mail.get_content_type() == "text/plain"
    assert max(map(len, post.raw[0].splitlines())) < 998


def test_a_repeat_has_the_same_name_and_what_follows_is_in_the_thread(
    channel: MailChannel, post: Post
) -> None:
    first = channel.send(to_mail(delivery="d1"))
    assert channel.send(to_mail(delivery="d1")) == first
    later = channel.send(to_mail(state="escalated", delivery="d2"))
    assert later != first != channel.send(with_state(address="x@sakura.example"))
    channel.update(first, to_mail(state="acknowledged"))
    names = [mail["Message-ID"] for mail in post.mails]
    assert names[0] == names[1] == first and len(set(names)) == 4
    escalated, taken = post.mails[2], post.mails[4]
    assert (escalated["In-Reply-To"], taken["In-Reply-To"]) == (first, first)
    assert taken["References"] == first
    assert taken["Subject"] == "相談 1件:対応中 #0f1e2d3c"
    assert taken["Importance"] is None
    assert "向かう必要はありません" in body_of(post)


def test_what_would_change_nothing_for_its_reader_is_not_sent(
    channel: MailChannel, post: Post
) -> None:
    channel.update("<x@kizashi.example>", to_mail(state="handled"))
    channel.update("<x@kizashi.example>", to_mail(state="open"))
    channel.update("<x@kizashi.example>", to_mail(state="acknowledged", urgent=False))
    assert post.mails == []


def test_several_at_once_lead_to_the_portal(town: Town, channel: MailChannel, post: Post) -> None:
    alert = alert_of(town)
    channel.send(to_mail(alert_id=alert, count=2, others=(Other("b" * 36, "open"),)))
    assert "/portal/take/" not in body_of(post)
    assert post.mails[0]["Subject"].startswith("【至急】新しい相談 2件")
    assert make.rows(town.log.database, ack_links) == []


# -- the link ----------------------------------------------------------------------------------


def alert_of(town: Town, address: str = TO) -> str:
    with town.log.database.writing() as conn:
        conn.execute(
            insert(routes).values(
                board=BOARD, place="s1", duty="nurse", channel="mail", address=address
            )
        )
    town.asks("kid1")
    town.work()
    return town.alerts.of_student("kid1")[0].id


def test_the_link_is_kept_as_a_hash_and_bound_to_the_duty(
    town: Town, channel: MailChannel, post: Post
) -> None:
    alert = alert_of(town)
    channel.send(to_mail(alert_id=alert))
    [kept] = make.rows(town.log.database, ack_links)
    token = body_of(post).partition("http://portal.test/portal/take/")[2].split()[0]
    assert len(token) >= 43 and token not in str(kept)
    assert (kept.alert_id, kept.duties, kept.used_at) == (alert, "nurse@s1", None)
    channel.send(to_mail(alert_id=alert))
    assert len(make.rows(town.log.database, ack_links)) == 2, "each mail has its own"


def test_through_the_queue_nobodys_name_leaves(town: Town, settings: Settings, post: Post) -> None:
    """Alert → mail → taken on in the portal → the mail that nobody else need set out."""
    alert = alert_of(town)
    channel = MailChannel(reaching(settings, post.port), town.log.database)
    deliverer = Deliverer(
        town.log, {"mail": channel}, public_url="http://portal.test", names_class=False
    )
    assert deliverer.run_once() == 1
    assert town.alerts.acknowledge(alert, principal("hr11"), "portal")
    deliverer.run_once()
    assert [mail["Subject"].partition(" #")[0] for mail in post.mails] == [
        "【至急】新しい相談 1件", "相談 1件:対応中",
    ]  # fmt: skip
    whole = "".join(body_of(post, n) + str(mail.items()) for n, mail in enumerate(post.mails))
    assert not [word for word in (*CANARIES, CLASS_NAME, "kid1", "friends") if word in whole]


def test_storage_that_is_away_keeps_no_mail_from_being_sent(
    settings: Settings, post: Post, tmp_path: Path
) -> None:
    away = Database(f"sqlite:///{tmp_path / 'never migrated' / 'kizashi.db'}")
    channel = MailChannel(reaching(settings, post.port), away)
    channel.send(to_mail())
    assert MESSAGE.link in body_of(post)
    away.close()


# -- how it is handed over -----------------------------------------------------------------------


@pytest.mark.parametrize("how", ["starttls", "tls"])
def test_over_tls_with_sign_in(
    settings: Settings, database: Database, authority: Authority, how: str
) -> None:
    with mail_running(**{how: authority.server()}, auth=True) as post:
        ours = reaching(
            settings.model_copy(update={"channel_ca_file": authority.file}), post.port,
            security=how, user=USER, password=SecretStr(PASSWORD),
        )  # fmt: skip
        MailChannel(ours, database).send(to_mail())
        assert (post.signed_in, post.encrypted) == ([True], [True])
        wrong = ours.mail.model_copy(update={"password": SecretStr("x")})  # type: ignore[union-attr]
        with pytest.raises(NotDelivered) as caught:
            MailChannel(ours.model_copy(update={"mail": wrong}), database).send(to_mail())
        assert (caught.value.why, caught.value.refused) == ("smtp_535", False)


@pytest.mark.parametrize("how", ["starttls", "tls"])
def test_a_certificate_of_nobody_we_know_or_of_another_host_is_not_believed(
    settings: Settings, database: Database, authority: Authority, how: str
) -> None:
    for context, believed in (
        (authority.server(), None),
        (authority.server("mail.elsewhere.example"), authority.file),
    ):
        with mail_running(**{how: context}) as post:  # type: ignore[arg-type]
            ours = reaching(
                settings.model_copy(update={"channel_ca_file": believed}), post.port,
                security=how, user=USER, password=SecretStr(PASSWORD),
            )  # fmt: skip
            with pytest.raises(NotDelivered) as caught:
                MailChannel(ours, database).send(to_mail())
            assert caught.value.why == "not_trusted"
            assert post.mails == []


def test_a_server_that_offers_no_tls_gets_neither_password_nor_mail(
    settings: Settings, database: Database, post: Post
) -> None:
    ours = reaching(
        settings, post.port, security="starttls", user=USER, password=SecretStr(PASSWORD)
    )
    with pytest.raises(NotDelivered) as caught:
        MailChannel(ours, database).send(to_mail())
    assert caught.value.why == "no_tls_or_sign_in"
    assert post.mails == []


def test_tls_where_there_is_none(settings: Settings, database: Database, post: Post) -> None:
    with pytest.raises(NotDelivered) as caught:
        MailChannel(reaching(settings, post.port, security="tls"), database).send(to_mail())
    assert caught.value.why == "tls"


def test_in_the_clear_only_on_this_machine(secret_key: str) -> None:
    whole = {
        "secret_keys": [secret_key], "public_url": "https://kizashi.example",
        "mail": {"host": "mail.example", "sender": "a@kizashi.example", "security": "none"},
    }  # fmt: skip
    with pytest.raises(ValidationError, match=r"mail\.security"):
        Settings(**whole)  # type: ignore[arg-type]
    for mail in ({"host": "localhost"}, {"security": "starttls"}, {"security": "tls"}):
        Settings(**{**whole, "mail": {**whole["mail"], **mail}})  # type: ignore[dict-item, arg-type]


# -- how replies are read ------------------------------------------------------------------------


def refused(channel: MailChannel) -> tuple[str, bool]:
    with pytest.raises(NotDelivered) as caught:
        channel.send(to_mail())
    return caught.value.why, caught.value.refused


def test_greylisting_is_waited_for(channel: MailChannel, post: Post) -> None:
    for stage in ("RCPT", "DATA"):
        post.replies[stage].append("451 4.7.1 come back later")
        with pytest.raises(RateLimited) as caught:
            channel.send(to_mail())
        assert caught.value.seconds == 60
    channel.send(to_mail())
    assert len(post.mails) == 1


def test_no_is_about_this_mail_or_about_us(channel: MailChannel, post: Post) -> None:
    post.replies["RCPT"].append("550 5.1.1 no such mailbox")
    assert refused(channel) == ("smtp_550", True)
    post.replies["DATA"].append("554 5.7.1 spam")
    assert refused(channel) == ("smtp_554", True)
    post.replies["MAIL"].append("550 5.7.1 you may not send here")
    assert refused(channel) == ("smtp_550", False)
    post.replies["MAIL"].append("421 4.3.2 shutting down")
    assert refused(channel) == ("smtp_421", False)
    post.replies["DATA"].append("close")
    assert refused(channel)[0] == "disconnected"
    channel.send(to_mail())
    assert len(post.mails) == 1


def test_a_server_that_hangs_is_left(
    channel: MailChannel, post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mail_module, "TIMEOUT_SECONDS", 0.3)
    post.replies["RCPT"].append("hang")
    assert refused(channel) == ("timeout", False)


def test_nobody_there_or_somebody_else(settings: Settings, database: Database) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        def nonsense() -> None:
            with suppress(OSError):
                met, _ = server.accept()
                with met:
                    met.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=nonsense, daemon=True)
        thread.start()
        channel = MailChannel(reaching(settings, port), database)
        why, of_message = refused(channel)
        assert why in {"unexpected_answer", "disconnected"} and not of_message
        thread.join(5)
    assert refused(channel) == ("ConnectionRefusedError", False)


@pytest.mark.parametrize(
    ("address", "may"),
    [
        ("yogo@sakura.example", True), ("a.b+c@x.y.example", True), ("root@localhost", True),
        ("", False), ("x", False), ("a@b\r\nBcc: c@d", False), ("a@b,c@d", False),
        ("<a@b.example>", False), ("先生@sakura.example", False), ("a@b.example ", False),
        ("a" * 65 + "@b.example", False), ("a@" + "b." * 130 + "example", False),
    ],
)  # fmt: skip
def test_addresses(channel: MailChannel, post: Post, address: str, may: bool) -> None:
    assert fits(address) is may
    if not may:
        with pytest.raises(NotDelivered) as caught:
            channel.send(with_state(address=address))
        assert (caught.value.why, caught.value.refused) == ("bad_address", True)
        assert post.mails == []


def test_routes_hold_addresses_and_certificates_are_checked(settings: Settings) -> None:
    assert KIND.fits(settings, TO) and not KIND.fits(settings, "C123")
    context = mail_module._trusted(None)
    assert context.verify_mode is ssl.CERT_REQUIRED and context.check_hostname
