"""Who calls: what clerksync says about a request that the proxy let pass. Copy this file.

The proxy drops what clients send under these names. X-Clerk-Identity is signed as well, for one host and one route, so
that a request which comes around the proxy is nobody's. docs/forward-auth.md has the contract.
"""

import os
import re
from dataclasses import dataclass

import jwt
from fastapi import Depends, HTTPException, Request

HOST = os.environ["APP_HOST"]  # the host that clients use, such as app.example.com; never from a header
SECRET = os.environ["CLERKSYNC_IDENTITY_SECRET"]
ROLES = ["solo", "growth", "enterprise", "admin"]  # CLERKSYNC_ROLES, the lowest first
if len(SECRET) < 32:
    raise ValueError("CLERKSYNC_IDENTITY_SECRET has at least 32 characters")


@dataclass(frozen=True)
class Identity:
    user_id: str
    session_id: str
    organization_id: str  # the active organization, or ""
    organization_role: str
    role: str  # the stored role, or "" while it is not known
    actor: str  # who acts in the user's name, or ""


def verify_identity(token: str, secret: str, host: str, path: str) -> Identity:
    """Verify X-Clerk-Identity for a request to a path, percent-decoded once and without the query."""
    claims = jwt.decode(
        token, secret, algorithms=["HS256"], issuer="clerksync", leeway=5,
        options={"verify_aud": False, "require": ["exp", "iat", "aud", "sub"]},
    )
    kind = jwt.get_unverified_header(token).get("typ")  # decode has verified the header as well
    if kind != "clerksync-identity+jwt" or not claims["sub"]:
        raise jwt.InvalidTokenError("another kind of token")
    place = re.fullmatch(r"clerksync-upstream://([^/]+)(/.*)", str(claims["aud"]))
    if not place or place[1] != host or not covers(place[2], path):
        raise jwt.InvalidAudienceError("made for another host or route")
    return Identity(claims["sub"], claims["sid"], claims["org"], claims["org_role"], claims["role"], claims["act"])


def covers(route: str, path: str) -> bool:
    """Report whether a route of the policy is that of a path: * is one segment, /** at the end any number of them."""
    pattern = re.escape(route).replace(r"/\*\*", "(/.*)?").replace(r"\*", "[^/]+") + "/?"
    return re.fullmatch(pattern, path, re.DOTALL) is not None


def caller(request: Request) -> Identity:
    """Return who calls. Everything that is missing, doubled or forged is 401."""
    try:
        [token] = request.headers.getlist("x-clerk-identity")
        [user_id] = request.headers.getlist("x-clerk-user-id")
        identity = verify_identity(token, SECRET, HOST, request.scope["path"])
    except (ValueError, jwt.InvalidTokenError):
        identity = None
    if identity is None or identity.user_id != user_id:
        raise HTTPException(401, "Sign in", {"WWW-Authenticate": "Bearer"})
    return identity


def at_least(role: str):
    """Require a role of the ladder, or a higher one."""
    def check(identity: Identity = Depends(caller)) -> Identity:
        if identity.role not in ROLES or ROLES.index(identity.role) < ROLES.index(role):
            raise HTTPException(403, f"This needs the role {role}")
        return identity
    return check


def member(identity: Identity = Depends(caller)) -> Identity:
    """Require an active organization. clerksync has checked that the user is a member of it."""
    if not identity.organization_id:
        raise HTTPException(403, "Choose an organization")
    return identity
