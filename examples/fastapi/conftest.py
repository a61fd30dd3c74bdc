"""The whole stack for the tests: an emulated Clerk, clerksync, the application, and Caddy in front."""

import contextlib
import json
import os
import pathlib
import socket
import subprocess
import sys
import time

import httpx
import pytest

HERE = pathlib.Path(__file__).parent
SECRET = os.urandom(32).hex()
TOKEN = os.urandom(32).hex()


class Stack:
    """Where everything listens, and what tests do with it."""

    def __init__(self, keys, application, sync, operator, site):
        self.clerk = httpx.Client(base_url=keys["url"], headers={"Authorization": "Bearer " + keys["secret_key"]})
        self.application, self.sync, self.site = (httpx.Client(base_url="http://" + a) for a in (application, sync, site))
        self.host, self.operator_url, self.operator_token, self.secret = site, "http://" + operator, TOKEN, SECRET

    def token(self, user_id, organization_id=None, **options):
        """Sign a user in and return a session token."""
        body = {"user_id": user_id, "azp": "http://" + self.host, **options}
        if organization_id:
            body["organization_id"] = organization_id
        answer = self.clerk.post("/_emulator/tokens", json=body)
        answer.raise_for_status()
        return answer.json()["jwt"]

    def bearer(self, *who, **options):
        return {"Authorization": "Bearer " + self.token(*who, **options)}

    def identity(self, path, bearer):
        """Return the headers that clerksync gives the proxy for a request."""
        asked = {"X-Forwarded-Method": "GET", "X-Forwarded-Uri": path, "X-Forwarded-Host": self.host, **bearer}
        answer = self.sync.get("/api/auth/verify", headers=asked)
        answer.raise_for_status()
        return {name: value for name, value in answer.headers.items() if name.startswith("x-clerk-")}

    def operator(self, path, **query):
        """Ask the API for operators."""
        answer = httpx.get(self.operator_url + path, params=query, headers={"Authorization": "Bearer " + TOKEN})
        answer.raise_for_status()
        return answer.json()


def free_address():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return "127.0.0.1:%d" % s.getsockname()[1]


@contextlib.contextmanager
def running(folder, name, address, *command, **env):
    """Run a program and wait until it listens."""
    log = folder / (name + ".log")
    with open(log, "wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, cwd=HERE, env={**os.environ, "HOME": str(folder), **env})
    try:
        host, port = address.split(":")
        deadline = time.monotonic() + 30
        while True:
            with contextlib.suppress(OSError), socket.create_connection((host, int(port))):
                break
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.exit(f"{name} does not listen on {address}:\n{log.read_text()}", 1)
            time.sleep(0.02)
        yield
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(10)
        process.kill()
        process.wait()


@contextlib.contextmanager
def emulator(webhooks):
    command = ["clerksync", "emulate", "--json", "--listen", "127.0.0.1:0", "--fixtures", "clerk.yaml", "--webhook-url", webhooks]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=HERE)
    try:
        yield json.loads(process.stdout.readline())
    finally:
        process.terminate()
        process.communicate()


def caddyfile(site, sync, application):
    """Return the recipe of examples/caddy with other addresses, and with /api/auth/me for the scripts of pages."""
    text = (HERE.parent / "caddy" / "Caddyfile").read_text()
    text = text.replace("127.0.0.1:8080", sync).replace("127.0.0.1:9000", application).replace(":8000", ":" + site.split(":")[1])
    return text.replace("\troute {", "\thandle /api/auth/me {\n\t\treverse_proxy " + sync + "\n\t}\n\n\troute {", 1)


@pytest.fixture(scope="session")
def everything(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stack")
    sync, operator, application, site = (free_address() for _ in range(4))
    database = os.environ.get("TEST_DATABASE_URL", f"sqlite:///{folder}/clerk.db")  # as clerksync writes it
    with contextlib.ExitStack() as stack:
        keys = stack.enter_context(emulator(f"http://{sync}/api/webhooks/clerk"))
        stack.enter_context(running(
            folder, "clerksync", sync, "clerksync", "serve", **keys["env"],
            DATABASE_URL=database, CLERKSYNC_LISTEN=sync, CLERKSYNC_LOG_LEVEL="warn",
            CLERKSYNC_OPERATOR_LISTEN=operator, CLERKSYNC_OPERATOR_TOKEN=TOKEN, CLERK_AUTHORIZED_PARTIES="http://" + site,
            CLERKSYNC_POLICY_FILE="policy.yaml", CLERKSYNC_PROXY="caddy", CLERKSYNC_TRUSTED_PROXIES="127.0.0.1",
            CLERKSYNC_IDENTITY_SECRET=SECRET,
        ))
        alchemy = database.replace("postgres://", "postgresql://").replace("sqlite:///", "sqlite:////")
        stack.enter_context(running(
            folder, "application", application, sys.executable, "-m", "uvicorn", "main:app", "--port", application.split(":")[1],
            DATABASE_URL=alchemy, APP_HOST=site, CLERKSYNC_IDENTITY_SECRET=SECRET,
            OPERATOR_URL="http://" + operator, OPERATOR_TOKEN=TOKEN,
        ))
        (folder / "Caddyfile").write_text(caddyfile(site, sync, application))
        stack.enter_context(running(folder, "caddy", site, "caddy", "run", "--config", str(folder / "Caddyfile")))
        everything = Stack(keys, application, sync, operator, site)
        eventually(lambda: everything.operator("/api/sync")["ready"])  # the mirror was filled, so that stored roles count
        yield everything


@pytest.fixture
def stack(everything):
    """Everything, with the people of clerk.yaml as they were at the start."""
    everything.clerk.post("/_emulator/reset", json={"events": True}).raise_for_status()
    eventually(lambda: len(everything.operator("/api/users", active="true")["data"]) == 3)
    return everything


def eventually(condition, seconds=30.0):
    """Wait until a condition holds. Events take milliseconds, on a busy machine longer."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.02)
