"""Row-level security: the scope of access, enforced a second time by PostgreSQL itself.

Requests read as one of two roles that own nothing and cannot sign in: `…_analysis` may read events,
alerts, lists and what people recorded, but no name; `…_identity` names and places, but nothing that
was said or judged. Under both, a row is visible only when it fits the scope its transaction carries
(see `asking.py`); without one nothing is. A page that forgets its filter shows an empty table.

`RULES` has a line for every table, and a test fails for a table without one. What they say is put
into the database after each migration (`install`), because grants and rules describe the whole
schema and not one step of it. The tables' owner, the service's own login, is not bound by them: it
writes, answers check-ins, works on the log, and reads what has to be known before a scope is.

A second wall against mistakes; not one against somebody who can run statements of their own, and
none on SQLite.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from psycopg.errors import InsufficientPrivilege
from sqlalchemy import Connection, MetaData
from sqlalchemy.exc import DBAPIError

from warning_service.asking import SEPARATOR
from warning_service.database import (
    ROLES_NOTE,
    ROSTER,
    Database,
    Roles,
    RowSecurityMissing,
    roles_noted,
)

INSTALL_LOCK = 0x6B697A63
_POLICY = "kizashi_scope"


def _ids(setting: str) -> str:
    # In a sub-select, so that the list is taken apart once for a query and not for each row.
    divided = f"string_to_array(current_setting('kizashi.{setting}', true), E'\\x1f')"
    return f"ANY ((SELECT {divided})::text[])"


def _one(setting: str) -> str:
    # An empty setting must fit nothing, not the empty string of a careless row.
    return f"(SELECT nullif(current_setting('kizashi.{setting}', true), ''))"


_TODAY = f"{_one('today')}::date"
_HERE = f"school = {_ids('schools')} OR class_id = {_ids('classes')}"
_BOARD = f"board = {_one('board')}"
_COUNTED = f"board = {_one('counts')}"
_OF_REQUEST = "request IN (SELECT id FROM family_requests)"
_COUNTED_LIST = "list_id IN (SELECT kizashi_lists_counted())"


def _reached(table: str) -> str:
    """The child is in the scope by its key, or by a roll: today's, or any there has been at a
    school for whose families the reader handles requests. Never for a child: it sees its own place
    on the roll, and would through that see what adults keep about it.
    """
    return (
        f"student = {_ids('students')} OR {_one('staff')} IS NOT NULL"
        " AND EXISTS (SELECT 1 FROM enrolments e"
        f" WHERE e.student = {table}.student"
        f" AND ((e.from_day <= {_TODAY} AND (e.until_day IS NULL OR e.until_day > {_TODAY}))"
        f" OR e.school = {_ids('asked')}))"
    )


@dataclass(frozen=True)
class Rule:
    """Who may read a table within a scope, and which rows.

    `columns`: the only ones that may be read; () means all. `rows`: an SQL condition. Neither role:
    for the service alone.
    """

    rows: str = "false"
    analysis: bool = False
    identity: bool = False
    columns: tuple[str, ...] = ()


SERVICE_ONLY = Rule()
"""Secrets, sessions, model states, queues: what no page has to read."""


def _place(rows: str) -> Rule:
    """Both roles need to know where somebody is."""
    return Rule(rows, analysis=True, identity=True)


RULES: dict[str, Rule] = {
    # Places. Not secret, but a board's own affair.
    "boards": _place(f"id = {_one('board')}"),
    "schools": _place(_BOARD),
    "classes": _place("school IN (SELECT id FROM schools)"),
    "closed_days": _place(_BOARD),
    "school_questionnaires": _place("school IN (SELECT id FROM schools)"),
    "enrolments": _place(f"{_HERE} OR student = {_ids('students')} OR student = {_one('own')}"),
    # A board's counts leave out who refuses, so they have to see whom; by random key.
    "opt_outs": _place(f"{_COUNTED} OR {_reached('opt_outs')}"),
    # What happened. A child has its own answers; a board counts outcomes; who was told of an alert
    # can answer it after the child has left the roll.
    "events": Rule(
        f"(student = {_one('own')} AND type IN ('check_in_submitted', 'consultation_requested'))"
        f" OR (type = 'outcome_recorded' AND {_COUNTED})"
        f" OR {_reached('events')}"
        " OR EXISTS (SELECT 1 FROM alerts a WHERE a.student = events.student"
        f" AND a.state NOT IN ('handled', 'closed') AND (a.school = {_ids('schools')}"
        f" OR a.class_id = {_ids('classes')}))",
        analysis=True,
    ),
    # A notice (no student) tells of no child: the board's staff may read it.
    "alerts": Rule(
        f"{_HERE} OR {_COUNTED} OR (student = '' AND board = {_one('staff')})"
        f" OR {_reached('alerts')}",
        analysis=True,
    ),
    "follow_ups": Rule(f"{_COUNTED} OR {_reached('follow_ups')}", analysis=True),
    "opinions": Rule(f"{_COUNTED} OR {_reached('opinions')}", analysis=True),
    # Of one person each; their page reads them with the service's rights, by its reader's key.
    "digests": SERVICE_ONLY,
    "digest_choices": SERVICE_ONLY,
    "cases": Rule(
        f"{_COUNTED} OR school = {_ids('schools')} OR {_reached('cases')}", analysis=True
    ),
    # A child's lists come along when it changes school within the board.
    "warning_lists": Rule(
        f"school = {_ids('schools')} OR {_COUNTED} OR EXISTS (SELECT 1 FROM classes c"
        f" WHERE c.school = warning_lists.school AND c.id = {_ids('classes')})"
        " OR EXISTS (SELECT 1 FROM list_entries l WHERE l.list_id = warning_lists.id)",
        analysis=True,
    ),
    # Of a list that one may see.
    "list_trees": Rule(
        "EXISTS (SELECT 1 FROM warning_lists l WHERE l.board = list_trees.board"
        " AND l.model_version = list_trees.version)",
        analysis=True,
    ),
    "list_entries": Rule(f"{_COUNTED_LIST} OR {_reached('list_entries')}", analysis=True),
    "list_scores": Rule(f"{_COUNTED_LIST} OR {_reached('list_scores')}", analysis=True),
    # What was decided on a case is counted with the case.
    "reviews": Rule(
        f"{_COUNTED_LIST} OR list_id IN (SELECT id FROM cases) OR {_reached('reviews')}",
        analysis=True,
    ),
    "sheets": Rule(_reached("sheets"), analysis=True),
    # Requests of families, with all that hangs on one.
    "family_requests": Rule(
        f"board = {_one('rights')} AND ({_reached('family_requests')})", analysis=True
    ),
    "request_steps": Rule(_OF_REQUEST, analysis=True),
    "request_choices": Rule(_OF_REQUEST, analysis=True),
    "request_corrections": Rule(_OF_REQUEST, analysis=True),
    "request_links": Rule(_OF_REQUEST, analysis=True),
    "stopped_items": Rule(_reached("stopped_items"), analysis=True),
    # The trail, and what it gives rise to.
    # An auditor reads the board's, and what the trail says of itself (no board); who handles
    # requests reads what is about a child of a family that may ask.
    "audit": Rule(
        f"board = {_one('trail')} OR (board = '' AND {_one('trail')} IS NOT NULL)"
        f" OR (board = {_one('rights')} AND EXISTS (SELECT 1 FROM enrolments e"
        f" WHERE e.student = audit.subject AND e.school = {_ids('asked')}))",
        analysis=True,
    ),
    "looking": Rule(f"board = {_one('trail')}", analysis=True),
    "looking_alarms": Rule(f"board = {_one('trail')}", analysis=True),
    "rights_reviews": Rule(f"board = {_one('trail')}", analysis=True),
    # Names.
    "roster.students": Rule(f"student = {_one('own')} OR {_reached('students')}", identity=True),
    "roster.seats": Rule(
        f"student = {_one('own')} OR {_reached('seats')}",
        identity=True,
        columns=("student", "class_id", "seat"),
    ),
    "roster.staff": Rule(
        f"board = {_one('staff')}",
        identity=True,
        columns=("staff", "board", "login", "name", "active"),
    ),
    "roster.duties": Rule(
        "EXISTS (SELECT 1 FROM roster.staff s WHERE s.staff = duties.staff)", identity=True
    ),
    "roster.absences": Rule(f"board = {_one('staff')}", identity=True),
    "roster.working_days": Rule(f"board = {_one('staff')}", identity=True),
    "roster.stand_ins": Rule(f"board = {_one('staff')}", identity=True),
    "roster.student_secrets": SERVICE_ONLY,
    "roster.rejects": SERVICE_ONLY,
    "roster.imports": SERVICE_ONLY,
    "consumers": SERVICE_ONLY,
    "job_runs": SERVICE_ONLY,
    "facts": SERVICE_ONLY,
    "feature_states": SERVICE_ONLY,
    "model_snapshots": SERVICE_ONLY,
    "training_blocks": SERVICE_ONLY,
    "deliveries": SERVICE_ONLY,
    "routes": SERVICE_ONLY,
    "watchman_looks": SERVICE_ONLY,
    "seen_requests": SERVICE_ONLY,
    "ack_links": SERVICE_ONLY,
    "push_devices": SERVICE_ONLY,
    "sessions": SERVICE_ONLY,
    "sign_in_attempts": SERVICE_ONLY,
    "class_cards": SERVICE_ONLY,
    "staff_factors": SERVICE_ONLY,
    "recovery_codes": SERVICE_ONLY,
    "passkeys": SERVICE_ONLY,
    "passkey_challenges": SERVICE_ONLY,
    "spent_tokens": SERVICE_ONLY,
    "deletion_permits": SERVICE_ONLY,
    "left_out": SERVICE_ONLY,
    "households": SERVICE_ONLY,
    "derivations": SERVICE_ONLY,
    "trials": SERVICE_ONLY,
    "roster.identities": SERVICE_ONLY,
    "roster.expected_accounts": SERVICE_ONLY,
}


class RolesMissing(RowSecurityMissing):
    """The two roles are not there and the service's login may not create them.

    `statements` is what a database administrator has to run once.
    """

    def __init__(self, statements: str) -> None:
        super().__init__(
            "row-level security needs two roles that this login may not create. Have an "
            f"administrator of the database run this once, then `kizashi migrate`:\n{statements}"
        )
        self.statements = statements


def fingerprint() -> str:
    """Changes whenever the rules do."""
    return hashlib.sha256(repr(sorted(RULES.items())).encode()).hexdigest()[:16]


def undeclared(metadata: MetaData) -> list[str]:
    """Names of declared tables that have no rule, with their schema."""
    names = (f"{t.schema}.{t.name}" if t.schema else t.name for t in metadata.tables.values())
    return sorted(set(names) - set(RULES))


def install(database: Database) -> None:
    """Bring roles, grants and rules in step with `RULES`; nothing to do when they are.

    Does nothing on SQLite and where the setting `row_security` is off. Raises RolesMissing.
    """
    if not database.row_security:
        return
    with database.writing() as conn:
        conn.exec_driver_sql("SELECT pg_advisory_xact_lock(%s)", (INSTALL_LOCK,))
        roles = _roles_of(conn)
        if problem(conn) == "":
            return
        _have_roles(conn, roles)
        for statement in _statements(conn, roles):
            conn.exec_driver_sql(statement)


def check(database: Database) -> None:
    """Raises RowSecurityMissing unless pages can be served with it; RolesMissing tells the cause.

    Silent on SQLite and where the setting `row_security` is off.
    """
    if not database.row_security:
        return
    with database.as_service().reading() as conn:
        found = problem(conn)
        if found == "roles":
            raise RolesMissing(_for_the_administrator(conn, _roles_of(conn)))
    if found:
        raise RowSecurityMissing("the rules are not this version's; run `kizashi migrate`")


def problem(conn: Connection) -> str:
    """What is missing: "roles", "rules", or "" when all is as `RULES` says."""
    roles = _roles_of(conn)
    if not all(_can_become(conn, role) for role in (roles.analysis, roles.identity)):
        return "roles"
    return "" if roles_noted(conn) == roles and _granted(conn, roles.analysis) else "rules"


def _roles_of(conn: Connection) -> Roles:
    """The names in use here, else those for a database of this name.

    A role belongs to the whole server, so two installations on it must not share theirs: one could
    read the other's tables. A name noted here counts only while its grants are here too; they are
    not in a restored dump.
    """
    noted = roles_noted(conn)
    if noted is not None and _granted(conn, noted.analysis):
        return noted._replace(fingerprint=fingerprint())
    name = str(conn.exec_driver_sql("SELECT left(current_database(), 50)").scalar_one())
    return Roles(fingerprint(), f"{name}_analysis", f"{name}_identity")


def _granted(conn: Connection, role: str) -> bool:
    found = conn.exec_driver_sql(
        "SELECT has_table_privilege(oid, 'enrolments', 'SELECT') FROM pg_roles WHERE rolname = %s",
        (role,),
    ).scalar_one_or_none()
    return bool(found)


def _can_become(conn: Connection, role: str) -> bool:
    # Before PostgreSQL 16 whoever was a member could become the role; now it is a right of its own.
    right = "SET" if _version(conn) >= 160000 else "MEMBER"
    found = conn.exec_driver_sql(
        "SELECT pg_has_role(current_user, oid, %s) FROM pg_roles WHERE rolname = %s", (right, role)
    ).scalar_one_or_none()
    return bool(found)


def _version(conn: Connection) -> int:
    return int(conn.exec_driver_sql("SHOW server_version_num").scalar_one())


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""').replace("%", "%%") + '"'


def _role_statements(conn: Connection, role: str) -> Iterator[str]:
    known = conn.exec_driver_sql("SELECT 1 FROM pg_roles WHERE rolname = %s", (role,)).first()
    if known is None:
        yield f"CREATE ROLE {_quoted(role)} NOLOGIN"
    if not (known and _can_become(conn, role)):
        login = str(conn.exec_driver_sql("SELECT current_user").scalar_one())
        how = " WITH INHERIT FALSE, SET TRUE" if _version(conn) >= 160000 else ""
        yield f"GRANT {_quoted(role)} TO {_quoted(login)}{how}"


def _for_the_administrator(conn: Connection, roles: Roles) -> str:
    lines = [
        statement.replace("%%", "%") + ";"
        for role in (roles.analysis, roles.identity)
        for statement in _role_statements(conn, role)
    ]
    return "\n".join(lines)


def _have_roles(conn: Connection, roles: Roles) -> None:
    try:
        with conn.begin_nested():
            for role in (roles.analysis, roles.identity):
                for statement in list(_role_statements(conn, role)):
                    conn.exec_driver_sql(statement)
    except DBAPIError as error:
        if not isinstance(error.orig, InsufficientPrivilege):
            raise
        raise RolesMissing(_for_the_administrator(conn, roles)) from error


def _statements(conn: Connection, roles: Roles) -> Iterator[str]:
    schema = str(conn.exec_driver_sql("SELECT current_schema()").scalar_one())
    analysis, identity = _quoted(roles.analysis), _quoted(roles.identity)
    main = _quoted(schema)
    for where in (main, ROSTER):
        yield f"REVOKE ALL ON ALL TABLES IN SCHEMA {where} FROM {analysis}, {identity}"
        yield f"REVOKE ALL ON SCHEMA {where} FROM {analysis}, {identity}"
    yield f"GRANT USAGE ON SCHEMA {main} TO {analysis}, {identity}"
    yield f"GRANT USAGE ON SCHEMA {ROSTER} TO {identity}"
    yield "REVOKE ALL ON FUNCTION kizashi_lists_counted() FROM PUBLIC"
    yield f"GRANT EXECUTE ON FUNCTION kizashi_lists_counted() TO {analysis}"
    # A table that is none of ours, or that nobody has written a rule for, is closed.
    found = conn.exec_driver_sql(
        "SELECT CASE WHEN schemaname = %s THEN schemaname || '.' ELSE '' END || tablename"
        " FROM pg_tables WHERE schemaname IN (%s, current_schema()) ORDER BY 1",
        (ROSTER, ROSTER),
    )
    for table in found.scalars().all():
        rule = RULES.get(table, SERVICE_ONLY)
        yield f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY"
        yield f"DROP POLICY IF EXISTS {_POLICY} ON {table}"
        yield f"CREATE POLICY {_POLICY} ON {table} FOR SELECT USING ({rule.rows})"
        readers = [
            role for role, reads in ((analysis, rule.analysis), (identity, rule.identity)) if reads
        ]
        if readers:
            columns = f" ({', '.join(rule.columns)})" if rule.columns else ""
            yield f"GRANT SELECT{columns} ON {table} TO {', '.join(readers)}"
    note = SEPARATOR.join((ROLES_NOTE, *roles)).replace("'", "''").replace("%", "%%")
    yield f"COMMENT ON SCHEMA {ROSTER} IS '{note}'"
