from __future__ import annotations

import pytest

from tests.teacher_portal.school import School
from warning_service.rooms import Rooms


@pytest.fixture
def school(rooms: Rooms) -> School:
    return School(rooms)
