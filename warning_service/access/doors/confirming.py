"""Showing who one is within a session: a second factor after the password, or once more (step-up).

Codes, passkeys and passwords are judged in their own modules; here a guess is counted, apart from
the password's guesses and by account and address, so that nobody can lock another out; a right one
gives the session a new token, and what was shown and refused stands on the trail. A new factor is
taken into use here too, because its first showing is the same step.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from warning_service.access.doors.passkeys import BadPasskey, Passkeys
from warning_service.access.doors.passwords import Passwords
from warning_service.access.doors.second_factors import SecondFactors
from warning_service.access.doors.sessions import Sessions
from warning_service.access.doors.tries import Tries, Try, factor_try
from warning_service.access.principals import Principal
from warning_service.access.trail.audit import Trail


@dataclass(frozen=True, kw_only=True)
class Confirming:
    """Judges what a signed-in person shows; the answer is the session's new token."""

    sessions: Sessions
    tries: Tries
    factors: SecondFactors
    passkeys: Passkeys
    passwords: Passwords
    trail: Trail

    def show_code(self, who: Principal, code: str, address: str) -> str | None:
        """The session's new token after a code of the app, or a recovery code; None when wrong.

        Raises TooManyTries, SessionEnded.
        """
        self.tries.slow_down(_guesses(who, address))
        if re.fullmatch(r"\s*(\d\s*){6}", code, re.ASCII):
            factor, good = "totp", self.factors.check_totp(who.key, code)
        else:
            factor, good = "recovery", self.factors.use_recovery_code(who.key, code)
        return self._shown(who, factor, address, good=good)

    def show_passkey(self, who: Principal, answer: str, address: str) -> str | None:
        """The session's new token after a passkey; None when it does not fit.

        Raises TooManyTries, SessionEnded.
        """
        self.tries.slow_down(_guesses(who, address))
        try:
            self.passkeys.confirm(who, answer)
        except BadPasskey:
            return self._shown(who, "passkey", address, good=False)
        return self._shown(who, "passkey", address, good=True)

    def by_password(self, who: Principal) -> bool:
        """May this person confirm with the password: no factor of any kind, and a password?"""
        without = not (who.owes_factor or who.factors or self.factors.of(who.key).any)
        return without and self.passwords.has_one(who.key)

    def show_password(self, who: Principal, password: str, address: str) -> str | None:
        """The session's new token after the password, for somebody who has no second factor.

        None when it is wrong, or when a factor would have to be shown. Raises TooManyTries,
        SessionEnded.
        """
        if not self.by_password(who):
            return None
        self.tries.slow_down(_guesses(who, address))
        return self._shown(who, "", address, good=self.passwords.is_it(who.key, password))

    def prove_app(self, who: Principal, code: str, address: str) -> str | None:
        """The session's new token after the first code of a new app; None when it is wrong.

        The app is in use from then on. Raises TooManyTries, SessionEnded.
        """
        self.tries.slow_down(_guesses(who, address))
        note = self.trail.line(who, "factor_added", who.key, "totp")
        good = self.factors.prove_totp(who.key, code, who.token_hash, note=note)
        return self._shown(who, "totp", address, good=good)

    def add_passkey(self, who: Principal, name: str, answer: str) -> str:
        """The session's new token after a passkey was taken into use.

        Raises BadPasskey, SessionEnded.
        """
        note = self.trail.line(who, "factor_added", who.key, "passkey")
        self.passkeys.register(who, name, answer, note=note)
        return self.sessions.confirm(who, "passkey")

    def _shown(self, who: Principal, factor: str, address: str, *, good: bool) -> str | None:
        if not good:
            self.tries.count_failure(_guesses(who, address))
            self.trail.note(who, "factor_failed", [who.key], factor or "password")
            return None
        self.tries.passed(_guesses(who, address))
        note = self.trail.line(who, "factor_shown", who.key, factor or "password")
        return self.sessions.confirm(who, factor, note=note)


def _guesses(who: Principal, address: str) -> Try:
    """Whose failures count: this account's factor, apart from its password, and the address."""
    return factor_try(who.key, address)
