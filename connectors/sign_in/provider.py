"""One OpenID Connect provider: the way there, and what is believed of what comes back.

Authorization code with PKCE, nonce and a state of ours; the ID token must be signed with a key the
provider publishes, by one of two algorithms we name, for us, by it, now, and in answer to this very
browser's question. authlib makes the addresses and checks the claims; what a provider's kind adds
(whose account this is, and that it is the board's) is `whose` below.

Nothing here knows people: `identities.py` in access/ does. Nothing that was sent is ever logged.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, cast
from urllib.parse import quote_plus

import httpx
import msgspec
from joserfc import jwt
from joserfc.errors import InvalidKeyIdError, JoseError
from joserfc.jwk import KeySet
from joserfc.jws import JWSRegistry

from connectors.sign_in.documents import Documents, ProviderDown, fetch
from warning_service.clock import Clock
from warning_service.settings import SignInProvider

ALGORITHMS = ("RS256", "ES256")
CLOCKS_DIFFER_SECONDS = 60
LONGEST_SUBJECT = 255  # OpenID Connect Core, 2: sub "MUST NOT exceed 255 ASCII characters"


class NotBelieved(RuntimeError):
    """What came back is not a good answer to what was asked. `reason` names the check."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class NotTheBoards(NotBelieved):
    """A good answer about an account that is not one of the board's (`hd`, `tid`)."""


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """Whose account it is, as far as the provider can be believed.

    `subject` never changes hands. `address` is a mail address or UPN in lower case that the
    provider vouches for, or ''. `authenticated_at`: when the person last showed who they are, if
    the provider tells; it may be long ago (single sign-on).
    """

    issuer: str
    subject: str
    address: str
    second_factor: bool
    authenticated_at: datetime | None


class Provider:
    """One configured provider."""

    def __init__(self, settings: SignInProvider, clock: Clock | None = None) -> None:
        """`clock`: the real one unless told; providers do not follow a demo's calendar."""
        self.settings = settings
        self.documents = Documents(settings)
        self._clock = clock or Clock()

    async def way_there(self, *, back: str, state: str, nonce: str, verifier: str) -> str:
        """The address that asks the provider who this is. Raises ProviderDown."""
        from authlib.oauth2.client import OAuth2Client  # slow to import; boards without SSO do not

        found = await self.documents.discovery()
        client = OAuth2Client(
            None,
            client_id=self.settings.client_id,
            redirect_uri=back,
            scope="openid email profile",
            code_challenge_method="S256",
        )
        address, _ = client.create_authorization_url(
            found.authorization_endpoint,
            state=state,
            code_verifier=verifier,
            nonce=nonce,
            **asked_for(self.settings),
        )
        return str(address)

    async def account(self, *, code: str, back: str, nonce: str, verifier: str) -> Account:
        """Exchange a code for an ID token and say whose account it is.

        Raises ProviderDown, NotBelieved, NotTheBoards.
        """
        token = await self._exchange(code, back, verifier)
        claims = await self._verified(token, nonce)
        return whose(self.settings, claims)

    async def _exchange(self, code: str, back: str, verifier: str) -> dict[str, Any]:
        found = await self.documents.discovery()
        name, secret = self.settings.client_id, self.settings.client_secret.get_secret_value()
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": back,
            "code_verifier": verifier,
        }
        auth: httpx.BasicAuth | None = None
        if "client_secret_post" in found.token_endpoint_auth_methods_supported:
            form |= {"client_id": name, "client_secret": secret}
        else:  # RFC 6749, 2.3.1: both encoded as in a form before they become a Basic header
            auth = httpx.BasicAuth(quote_plus(name), quote_plus(secret))
        status, answer = await fetch("token", "POST", found.token_endpoint, auth=auth, data=form)
        if status >= 500:
            raise ProviderDown("token", f"status_{status}")
        if status != 200:
            raise NotBelieved("code_refused")
        try:
            return msgspec.json.decode(answer, type=dict[str, Any])
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise ProviderDown("token", "unreadable") from None

    async def _verified(self, token: dict[str, Any], nonce: str) -> dict[str, Any]:
        from authlib.oidc.core import CodeIDToken

        id_token = token.get("id_token")
        if not isinstance(id_token, str):
            raise NotBelieved("no_id_token")
        try:
            try:
                signed = _signed(id_token, await self.documents.keys())
            except InvalidKeyIdError:  # a key newer than those we know
                signed = _signed(id_token, await self.documents.keys(fresh=True))
            client_id = self.settings.client_id
            claims = CodeIDToken(
                signed.claims,
                signed.header,
                {
                    "iss": {"essential": True, "value": self.settings.issuer},
                    "aud": {"essential": True, "value": client_id},
                    "nonce": {"essential": True, "value": nonce},
                },
                {
                    "nonce": nonce,
                    "client_id": client_id,
                    "access_token": token.get("access_token"),
                },
            )
            claims.validate(now=int(self._clock.now().timestamp()), leeway=CLOCKS_DIFFER_SECONDS)
        except (JoseError, ValueError, TypeError) as error:
            raise NotBelieved(type(error).__name__) from None
        return dict(claims)


def asked_for(settings: SignInProvider) -> dict[str, str]:
    """What a kind of provider is asked beside the usual.

    Google: to offer the board's accounts only (it is checked all the same). Entra: tokens of its
    second version carry no `amr`; what a tenant demands is named by an authentication context
    (c1-c99), which has to be asked for and then stands in `acrs`.
    """
    if settings.kind == "google":
        return {"hd": settings.hosted_domain}
    if settings.kind == "entra" and settings.second_factor:
        wanted = {"essential": True, "values": settings.second_factor}
        if len(settings.second_factor) == 1:
            wanted = {"essential": True, "value": settings.second_factor[0]}
        return {"claims": msgspec.json.encode({"id_token": {"acrs": wanted}}).decode()}
    return {}


def _signed(id_token: str, keys: KeySet) -> jwt.Token:
    # strict_check_header: providers put fields of their own there, which nobody here reads.
    registry = JWSRegistry(algorithms=ALGORITHMS, strict_check_header=False)
    return jwt.decode(id_token, keys, registry=registry)


def whose(settings: SignInProvider, claims: dict[str, Any]) -> Account:
    """Whose account these verified claims are about. Raises NotBelieved, NotTheBoards.

    Google: `hd` is the board's domain (an address that merely ends in it may be anybody's). Entra:
    known by tenant and object id; addresses there may be written by the tenant's users, so one
    counts only because the tenant is the board's. Generic: `sub`, and an address only if verified.
    """
    subject, address = _text(claims, "sub"), ""
    if settings.kind == "entra":
        if _text(claims, "tid") != settings.tenant:
            raise NotTheBoards("tid")
        subject = f"{settings.tenant}.{_text(claims, 'oid')}"
        address = _text(claims, "preferred_username", default="")
    else:
        if settings.kind == "google" and claims.get("hd") != settings.hosted_domain:
            raise NotTheBoards("hd")
        if claims.get("email_verified") is True:
            address = _text(claims, "email", default="")
    second = not _said(claims).isdisjoint(settings.second_factor)
    when = claims.get("auth_time")
    known = isinstance(when, int | float) and 0 < when < 1e11
    return Account(
        issuer=settings.issuer,
        subject=subject,
        address=address.strip().lower(),
        second_factor=second,
        authenticated_at=datetime.fromtimestamp(cast(float, when), UTC) if known else None,
    )


def _said(claims: dict[str, Any]) -> set[str]:
    """How the person has shown who they are: amr and acr, and Entra's acrs."""
    said: set[str] = set()
    for name in ("amr", "acrs", "acr"):
        value = claims.get(name)
        listed = value if isinstance(value, list) else [value]
        said |= {one for one in listed if isinstance(one, str)}
    return said


def _text(claims: dict[str, Any], name: str, *, default: str | None = None) -> str:
    value = claims.get(name, default)
    missing = value == "" and default is None
    if not isinstance(value, str) or missing or len(value) > LONGEST_SUBJECT:
        raise NotBelieved(name)
    return value
