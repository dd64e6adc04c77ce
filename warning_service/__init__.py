"""The core of Kizashi: what happened, whom it concerns, what follows.

Each folder is one idea. Imports run downwards only: cli and app at the top, then the pages,
connectors, schedule, follow_up, alerts, judging, models, access, playbooks and roster, events,
and at the bottom database, clock and settings. An import-linter contract in pyproject.toml holds
the order; `app.py` is the only module that wires the rooms together.
"""
