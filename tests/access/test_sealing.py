"""Sealed texts: only the child's own key opens them, and only a key of the house opens that one."""

from __future__ import annotations

import pytest
from cryptography.fernet import Fernet
from pydantic import SecretStr
from sqlalchemy import delete, insert

from tests import make
from warning_service.access.sealing import CannotOpen, Sealer
from warning_service.database import Database
from warning_service.roster.tables import student_secrets
from warning_service.settings import Settings


@pytest.fixture
def sealer(database: Database, settings: Settings) -> Sealer:
    return Sealer(database, settings)


def with_keys(settings: Settings, *keys: bytes) -> Settings:
    given = [SecretStr(key.decode()) for key in keys]
    return settings.model_copy(update={"secret_keys": given})


def test_without_a_key_of_the_house_nothing_is_sealed(
    database: Database, settings: Settings
) -> None:
    with pytest.raises(ValueError, match="secret_keys"):
        Sealer(database, with_keys(settings))


def test_what_is_sealed_opens_for_its_own_child_only(sealer: Sealer) -> None:
    sealed = sealer.seal("k-1", "ひみつ")
    assert "ひみつ" not in sealed and sealer.open("k-1", sealed) == "ひみつ"
    sealer.seal("k-2", "ほかの子")
    for student, text in (("k-2", sealed), ("k-1", sealed[:-6] + "AAAAA="), ("k-3", sealed)):
        with pytest.raises(CannotOpen):
            sealer.open(student, text)


def test_a_childs_secret_is_kept_as_a_hash_under_its_key(sealer: Sealer) -> None:
    mac = sealer.mac("k-1", "cat-sun-boat")
    assert sealer.fits("k-1", "cat-sun-boat", mac)
    assert not sealer.fits("k-1", "cat-sun-dog", mac) and mac != sealer.mac("k-2", "cat-sun-boat")


def test_keys_are_made_once(sealer: Sealer, database: Database) -> None:
    sealer.make_keys([])
    sealer.make_keys(["k-1", "k-2"])
    sealed = sealer.seal("k-1", "ひみつ")
    sealer.make_keys(["k-1", "k-3"])
    assert sealer.open("k-1", sealed) == "ひみつ"
    assert len(make.rows(database, student_secrets)) == 3


def test_a_new_key_of_the_house_wraps_anew_and_the_old_may_go(
    database: Database, settings: Settings
) -> None:
    old, new = Fernet.generate_key(), Fernet.generate_key()
    sealed = Sealer(database, with_keys(settings, old)).seal("k-1", "ひみつ")
    stray = Fernet(Fernet.generate_key()).encrypt(Fernet.generate_key())
    with database.writing() as conn:
        conn.execute(insert(student_secrets).values(student="k-2", wrapped=stray))
    both = Sealer(database, with_keys(settings, new, old))
    assert both.rewrap_all() == 1, "the one no key opens is left as it is"
    assert Sealer(database, with_keys(settings, new)).open("k-1", sealed) == "ひみつ"
    only_old = Sealer(database, with_keys(settings, old))
    with pytest.raises(CannotOpen):
        only_old.open("k-1", sealed)
    with database.writing() as conn:
        conn.execute(delete(student_secrets))
    assert both.rewrap_all() == 0
