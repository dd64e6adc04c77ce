"""What is closed in a restored database: every way in that was not in force when it was asked."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import insert, update

from tests import make
from warning_service.access import ways_in
from warning_service.access.tables import passkeys, recovery_codes, staff_factors
from warning_service.clock import MovableClock
from warning_service.database import Database
from warning_service.roster.tables import identities


def test_devices_codes_and_linked_accounts_given_meanwhile_go_and_older_ones_stay(
    database: Database, clock: MovableClock
) -> None:
    make.places(database)
    staff, now = make.staff(database, "sato", ("nurse", make.SCHOOL)), clock.now()

    def passkey(id: str) -> dict[str, object]:
        return {
            "id": id, "staff": staff, "name": "鍵", "public_key": b"key", "sign_count": 0,
            "made_at": now, "used_at": None,
        }  # fmt: skip

    def linked(issuer: str) -> dict[str, object]:
        return {
            "kind": "staff", "issuer": issuer, "subject": "s", "key": staff, "linked_at": now
        }  # fmt: skip

    with database.writing() as conn:
        conn.execute(insert(passkeys), [passkey("old")])
        conn.execute(insert(recovery_codes), [{"staff": staff, "mac": "old"}])
        conn.execute(insert(identities), [linked("https://old.example")])
        known = ways_in.in_force(conn, clock.today())
        conn.execute(insert(passkeys), [passkey("new")])
        conn.execute(insert(recovery_codes), [{"staff": staff, "mac": "new"}])
        conn.execute(insert(identities), [linked("https://new.example")])
        shut = ways_in.close_all_but(conn, known, now + timedelta(days=1), "system:restore")
    assert (shut.factors, shut.linked, shut.accounts, shut.duties) == (2, 1, 0, 0)
    assert [row.id for row in make.rows(database, passkeys)] == ["old"]
    assert [row.mac for row in make.rows(database, recovery_codes)] == ["old"]
    assert [row.issuer for row in make.rows(database, identities)] == ["https://old.example"]
    with database.reading() as conn:
        assert ways_in.in_force(conn, clock.today()) == known


def test_a_factor_not_known_to_be_in_force_is_emptied_and_what_was_offered_is_withdrawn(
    database: Database, clock: MovableClock
) -> None:
    make.places(database)
    staff = make.staff(database, "sato", ("nurse", make.SCHOOL))
    with database.writing() as conn:
        known = ways_in.in_force(conn, clock.today())
        conn.execute(insert(staff_factors).values(staff=staff, wrapped=b"key", totp="sealed"))
        shut = ways_in.close_all_but(conn, known, clock.now(), "system:restore")
        assert shut.factors == 1
        conn.execute(update(staff_factors).values(totp_offered="seen by somebody"))
        assert ways_in.close_all_but(conn, known, clock.now(), "system:restore").factors == 0
    [row] = make.rows(database, staff_factors)
    assert (row.totp, row.totp_offered, row.totp_since) == ("", "", None)
