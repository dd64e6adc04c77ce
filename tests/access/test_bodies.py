"""No address reads a body without a bound, whoever asks and whatever it says of its length."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from tests import make
from warning_service.app import create_app
from warning_service.rooms import Rooms
from warning_service.web_hardening import LARGEST_BODY

FORM = "application/x-www-form-urlencoded"
FILE = (
    b'--x\r\ncontent-disposition: form-data; name="login"; filename="a"\r\n\r\n',
    b"a" * 64 * 1024,
    b"\r\n--x--\r\n",
)
ADDRESSES = ["/portal/sign-in", "/child/sign-in", "/slack/interactions", "/portal/sign-out"]


async def _file(parts: int) -> AsyncIterator[bytes]:
    yield FILE[0]
    for _ in range(parts):
        yield FILE[1]
    yield FILE[2]


@pytest.mark.parametrize("path", ADDRESSES)
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_large_file_is_refused_while_it_arrives(rooms: Rooms, path: str) -> None:
    make.places(rooms.database)
    make.staff(rooms.database, "tanaka", ("board", make.BOARD))
    token = rooms.staff_door.sign_in("tanaka", make.PASSWORD, "a")
    asyncio.run(_try(rooms, path, token or ""))


async def _try(rooms: Rooms, path: str, token: str) -> None:
    transport = httpx.ASGITransport(app=create_app(rooms))
    cookies = {"kizashi_staff": token}
    async with httpx.AsyncClient(
        transport=transport, base_url="http://127.0.0.1", cookies=cookies
    ) as client:
        sent = await client.post(
            path, content=_file(8), headers={"content-type": "multipart/form-data; boundary=x"}
        )
        assert sent.status_code == 413, sent.text
        said = await client.post(
            path, content=b"a" * (LARGEST_BODY + 1), headers={"content-type": FORM}
        )
        assert said.status_code == 413, said.text
