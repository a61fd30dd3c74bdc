import os
import time

import jwt
import pytest
from conftest import eventually

from changes import changes

os.environ.update(APP_HOST="app.example.com", CLERKSYNC_IDENTITY_SECRET="x" * 32)  # identity.py asks for them
from identity import covers  # noqa: E402

NEW = {"title": "Rockets", "value_usd": 12000}


def test_signed_out(stack):
    for path in ["/api/me", "/api/deals", "/api/export", "/api/admin/users", "/api/auth/me"]:
        assert stack.site.get(path).status_code == 401, path
    assert stack.site.get("/api/deals", headers={"Authorization": "Bearer " + "x" * 40}).status_code == 401
    assert stack.site.get("/docs", headers=stack.bearer("user_ada")).status_code == 403  # no route of the policy


def test_me(stack):
    ada = stack.bearer("user_ada", "org_acme")
    mine = stack.site.get("/api/me", headers=ada).json()
    assert mine["email"] == "ada@example.com" and mine["role"] == "growth" and mine["organization_id"] == "org_acme"
    theirs = stack.site.get("/api/auth/me", headers=ada).json()  # from clerksync itself
    assert theirs["id"] == mine["id"] and theirs["clerk_user_id"] == "user_ada"


def test_deals_belong_to_the_active_organization(stack):
    acme, globex = stack.bearer("user_ada", "org_acme"), stack.bearer("user_ada", "org_globex")
    created = stack.site.post("/api/deals", json=NEW, headers=acme)
    assert created.status_code == 201
    deal = {"id": created.json()["id"], "owner": "ada@example.com", **NEW}
    assert deal in stack.site.get("/api/deals", headers=acme).json()
    assert deal in stack.site.get("/api/deals", headers=stack.bearer("user_bob", "org_acme")).json()
    assert stack.site.get("/api/deals", headers=globex).json() == []
    nowhere = stack.site.get("/api/deals", headers=stack.bearer("user_eve"))
    assert nowhere.status_code == 403 and "organization" in nowhere.text


def test_roles(stack):
    bob = stack.bearer("user_bob", "org_acme")
    assert stack.site.post("/api/deals", json=NEW, headers=bob).status_code == 403
    stack.clerk.patch("/v1/users/user_bob/metadata", json={"public_metadata": {"role": "growth"}}).raise_for_status()
    eventually(lambda: stack.site.post("/api/deals", json=NEW, headers=bob).status_code == 201)  # the same token


def test_features(stack):
    locked = stack.site.get("/api/export", headers=stack.bearer("user_ada", "org_acme"))
    assert locked.status_code == 403 and locked.headers["x-feature-locked"] == "exports"
    plan = {"payer": "org_acme", "plan": "pro", "features": ["exports"]}
    stack.clerk.post("/_emulator/subscriptions", json=plan).raise_for_status()
    assert stack.site.get("/api/export", headers=stack.bearer("user_ada", "org_acme")).status_code == 200


def test_admin(stack):
    eve, ada = stack.bearer("user_eve"), stack.bearer("user_ada")
    users = stack.site.get("/api/admin/users", headers=eve).json()
    assert [user["clerk_user_id"] for user in users] == ["user_ada", "user_bob", "user_eve"]
    assert stack.site.get("/api/admin/users", headers=ada).status_code == 403
    acting = stack.bearer("user_eve", actor={"sub": "user_bob"})
    assert stack.site.get("/api/admin/users", headers=acting).status_code == 403
    revoked = stack.site.post("/api/admin/users/user_ada/revoke-sessions", headers=eve)
    assert revoked.status_code == 200 and revoked.json()["revoked"] >= 1
    assert stack.site.get("/api/me", headers=ada).status_code == 401  # at once


@pytest.mark.parametrize("path", ["/v1/users/user_bob/ban", "/_emulator/users/user_bob/sign_out"])
def test_refused_with_the_same_token(stack, path):
    bob = stack.bearer("user_bob", "org_acme")
    assert stack.site.get("/api/me", headers=bob).status_code == 200
    stack.clerk.post(path, json={}).raise_for_status()
    eventually(lambda: stack.site.get("/api/me", headers=bob).status_code == 401)


@pytest.mark.parametrize("name", ["X-Clerk-User-Id", "X_Clerk_User_Id", "x.clerk.user.id"])
def test_headers_of_clients_are_dropped(stack, name):
    assert stack.site.get("/api/me", headers={name: "user_eve"}).status_code == 401
    bob = stack.bearer("user_bob")
    stolen = stack.identity("/api/me", stack.bearer("user_ada"))
    assert stack.site.get("/api/me", headers={**bob, **stolen, name: "user_eve"}).json()["email"] == "bob@example.com"


def test_around_the_proxy(stack):
    ada = stack.identity("/api/me", stack.bearer("user_ada"))
    assert stack.application.get("/api/me", headers=ada).status_code == 200  # what the proxy would send
    assert stack.application.get("/api/me").status_code == 401
    assert stack.application.get("/api/me", headers={"x-clerk-user-id": "user_ada"}).status_code == 401
    assert stack.application.get("/api/me", headers={**ada, "x-clerk-user-id": "user_eve"}).status_code == 401
    assert stack.application.get("/api/me", headers=[*ada.items(), ("x-clerk-user-id", "user_eve")]).status_code == 401
    assert stack.application.get("/api/deals", headers=ada).status_code == 401  # another route
    assert stack.application.get("/api/export", headers=ada).status_code == 401


def test_forged_identities(stack):
    good = {"iss": "clerksync", "aud": f"clerksync-upstream://{stack.host}/api/*", "sub": "user_eve", "sid": "sess_1", "org": "",
            "org_role": "", "role": "admin", "act": "", "iat": int(time.time()), "exp": int(time.time()) + 60}

    def status(secret=stack.secret, algorithm="HS256", typ="clerksync-identity+jwt", **changed):
        claims = {name: value for name, value in {**good, **changed}.items() if value is not None}
        token = jwt.encode(claims, secret, algorithm, {"typ": typ})
        return stack.application.get("/api/me", headers={"x-clerk-user-id": "user_eve", "x-clerk-identity": token}).status_code

    assert status() == 200
    assert status(secret="another secret of thirty-two bytes") == 401
    assert status(secret=None, algorithm="none") == 401
    assert status(algorithm="HS512") == 401
    assert status(typ="JWT") == 401
    assert status(iss="someone") == 401
    assert status(exp=good["iat"] - 6) == 401
    assert status(exp=None) == 401
    assert status(sub="") == 401
    for audience in ["clerksync-upstream://other.example.com/**", f"clerksync-upstream://{stack.host}", f"https://{stack.host}/**",
                     f"clerksync-upstream://{stack.host}/api", f"clerksync-upstream://{stack.host}.evil/**", None]:
        assert status(aud=audience) == 401, audience
    assert status(aud=[good["aud"]]) == 401


@pytest.mark.parametrize("route, path, covered", [
    ("/**", "/", True), ("/**", "/a/b", True), ("/a/**", "/a", True), ("/a/**", "/a/", True), ("/a/**", "/a/b/c", True),
    ("/a/**", "/ab", False), ("/a/*", "/a/b", True), ("/a/*", "/a/b/", True), ("/a/*", "/a", False), ("/a/*", "/a/", False),
    ("/a/*", "/a/b/c", False), ("/a/*/c", "/a/b/c", True), ("/a/*/c", "/a/b/d", False), ("/a.b", "/axb", False), ("/a", "/a/", True),
    ("/a", "/A", False), ("/a", "/a\n", False), ("/a+b", "/a+b", True), ("/a/*", "/a/\n", True),
])
def test_routes(route, path, covered):
    assert covers(route, path) == covered


def test_changes(stack):
    [newest] = stack.operator("/api/users", limit=1)["data"]
    last = None
    for change in changes(stack.operator_url, stack.operator_token, "0"):
        last = change
        if change["id"] == newest["clerk_user_id"] and change["operation"] == "created":
            break
    assert last["type"] == "user.created" and last["cursor"]
    feed = changes(stack.operator_url, stack.operator_token, last["cursor"])
    stack.clerk.patch("/v1/users/user_bob", json={"first_name": f"Bob {time.time()}"}).raise_for_status()
    assert any(change["type"] == "user.updated" and change["id"] == "user_bob" for change in feed)
