"""Who may do and see what: sign-in, sessions, roles, scope, sealing, audit trail."""
