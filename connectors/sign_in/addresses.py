"""The addresses of an account at a provider, as both doors have them: off to it, back from it.

The staff's door (teacher_portal/account.py) and the children's (student_checkin/account.py) differ
in whose providers they show, in where they stand and in what they do with somebody who has arrived;
what lies between is the same and is here. What makes the journey safe is in flow.py.
"""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import HTTPException, Request
from fastapi.responses import RedirectResponse, Response

from connectors.sign_in.flow import (
    PROBLEMS,
    Arrival,
    NoEntry,
    People,
    come_back,
    keep_secret,
    providers_of,
    secret_of,
    set_out,
)
from connectors.sign_in.provider import Provider
from warning_service.rooms import Rooms, rooms_of


@dataclass(frozen=True)
class Door:
    """One door's addresses: `{path}/{provider}/begin`, `…/back`, and `{path}/{problem}`."""

    people: People
    path: str

    def buttons(self, request: Request, *, english: bool) -> list[tuple[str, str]]:
        """Name and label of each of the door's providers, for its sign-in page."""
        return [
            (one.settings.name, one.settings.label_en if english else one.settings.label)
            for one in providers_of(request).for_people(self.people)
        ]

    @staticmethod
    def status_of(why: str) -> int:
        """The status of the page that says why an account did not open. 404 for no such reason."""
        if why not in PROBLEMS:
            raise HTTPException(404, "no such page")
        return 503 if why == "down" else 403

    async def begin(self, request: Request, name: str, next_path: str) -> Response:
        """Off to the provider, or to the page that says why not."""
        rooms, provider = rooms_of(request), self._provider(request, name)
        secret = secret_of(request, rooms)
        try:
            away = await set_out(
                rooms, provider, back=self._back(rooms, name), secret=secret, next_path=next_path
            )
        except NoEntry as error:
            return self._trouble(error)
        answer = RedirectResponse(away.address, 303)
        keep_secret(answer, rooms, away.secret, path=self.path)
        return answer

    async def back(
        self, request: Request, name: str, *, state: str, code: str, error: str
    ) -> Arrival | Response:
        """Who has arrived; or the answer that says why nobody has."""
        rooms, provider = rooms_of(request), self._provider(request, name)
        try:
            return await come_back(
                rooms,
                provider,
                back=self._back(rooms, name),
                secret=secret_of(request, rooms),
                state=state,
                code=code,
                error=error,
            )
        except NoEntry as problem:
            return self._trouble(problem)

    def _provider(self, request: Request, name: str) -> Provider:
        found = providers_of(request).find(self.people, name)
        if found is None:
            raise HTTPException(404, "no such provider")
        return found

    def _back(self, rooms: Rooms, name: str) -> str:
        return f"{rooms.settings.public_url.rstrip('/')}{self.path}/{name}/back"

    def _trouble(self, error: NoEntry) -> Response:
        # To an address without state and code: what is in the address line stays in the history.
        return RedirectResponse(f"{self.path}/{error.problem}", 303)
