"""Accounts people have elsewhere (Google Workspace, Entra ID, any OpenID Connect provider)."""
