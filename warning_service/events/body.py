"""What all bodies of events are: small frozen structs with a tag. types.py lists them."""

from __future__ import annotations

import msgspec


class Body(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    """Base of all bodies."""
