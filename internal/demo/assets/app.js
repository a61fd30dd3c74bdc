// The page of clerksync dev: it signs in, by Clerk's script where that is installed, and asks the
// back end who is signed in.
"use strict";
(() => {
  const $ = (id) => document.getElementById(id);
  const show = (id, shown) => { $(id).hidden = !shown; };
  const clerkPath = document.body.dataset.clerk;

  // --- Ways to sign in. Each has: user (null, or {id, name, email}), session, token(), password(),
  // ticket(), signOut(), and calls changed() when someone signs in or out.

  const clerkScript = async (changed) => {
    const clerk = window.Clerk;
    await clerk.load({ telemetry: false, signInUrl: "/", signUpUrl: "/", afterSignOutUrl: "/" });
    clerk.addListener(changed);
    const finish = async (attempt) => {
      if (attempt.status !== "complete") throw new Error(`Another step is needed: ${attempt.status}`);
      await clerk.setActive({ session: attempt.createdSessionId });
    };
    return {
      get user() {
        const u = clerk.user;
        return u && { id: u.id, name: u.fullName || u.username || u.id, email: u.primaryEmailAddress?.emailAddress || "" };
      },
      get session() { return clerk.session?.id; },
      token: () => clerk.session?.getToken(),
      password: async (identifier, password) => finish(await clerk.client.signIn.create({ strategy: "password", identifier, password })),
      ticket: async (ticket) => finish(await clerk.client.signIn.create({ strategy: "ticket", ticket })),
      signOut: () => clerk.signOut({ redirectUrl: "/" }),
    };
  };

  // The Frontend API takes forms, and knows a browser by an id that the browser keeps: in a cookie if
  // the emulated Clerk has signed it in, else here.
  const byItself = async (changed) => {
    const key = "clerksync_dev_browser";
    let browser = null;
    let client = null;
    let cached = null;
    const call = async (method, path, form) => {
      const query = new URLSearchParams({ __clerk_api_version: "2026-05-12", ...(browser && { __clerk_db_jwt: browser }), ...(method !== "GET" && { _method: method }) });
      const response = await fetch(`${clerkPath}/v1${path}?${query}`, { method: method === "GET" ? "GET" : "POST", ...(form && { body: new URLSearchParams(form) }) });
      const answer = await response.json();
      if (!response.ok) throw Object.assign(new Error(answer.errors?.[0]?.long_message || `Clerk answers ${response.status}`), { status: response.status, code: answer.errors?.[0]?.code });
      return answer;
    };
    const current = () => client?.sessions?.find((s) => s.id === client.last_active_session_id && s.status === "active");
    const begin = async () => {
      browser = null;
      browser = (await call("POST", "/dev_browser")).id;
      sessionStorage.setItem(key, browser);
    };
    const read = async () => {
      try {
        client = (await call("GET", "/client")).response;
        return true;
      } catch (problem) {
        if (problem.code !== "dev_browser_unauthenticated") throw problem; // of another instance
        return false;
      }
    };
    browser = document.cookie.match(/(?:^|; )__clerk_db_jwt=([^;]+)/)?.[1] || null;
    if (!browser || !(await read())) {
      browser = sessionStorage.getItem(key);
      if (!browser || !(await read())) await begin();
    }
    const signIn = async (form) => {
      const answer = await call("POST", "/client/sign_ins", form);
      if (answer.response.status !== "complete") throw new Error(`Another step is needed: ${answer.response.status}`);
      client = answer.client;
      cached = null;
      changed();
    };
    return {
      get user() {
        const u = current()?.user;
        return u && { id: u.id, name: [u.first_name, u.last_name].filter(Boolean).join(" ") || u.id, email: u.email_addresses?.[0]?.email_address || "" };
      },
      get session() { return current()?.id; },
      token: async () => {
        if (!current()) return null;
        if (cached && lifeOf(cached) >= 10) return cached;
        try {
          cached = (await call("POST", `/client/sessions/${current().id}/tokens`)).jwt;
        } catch (problem) {
          if (![401, 404, 422].includes(problem.status)) throw problem;
          client = (await call("GET", "/client")).response; // the session is over
          cached = null;
          changed();
        }
        return cached;
      },
      password: (identifier, password) => signIn({ strategy: "password", identifier, password }),
      ticket: (ticket) => signIn({ strategy: "ticket", ticket }),
      signOut: async () => {
        client = (await call("DELETE", "/client/sessions")).client;
        changed();
      },
    };
  };

  // --- What the browser knows

  let clerk;
  let token = "";
  let turn = 0; // counts who is signed in, so that an answer that comes late is not shown
  let asked = 0;
  let last = 0;
  let timer;

  const lifeOf = (jwt) => {
    try {
      return Math.round(JSON.parse(atob(jwt.split(".")[1].replaceAll("-", "+").replaceAll("_", "/"))).exp - Date.now() / 1000);
    } catch {
      return 0;
    }
  };
  const chip = (id, kind, text) => {
    const old = $(id).firstElementChild;
    if (old.className === `chip ${kind}` && old.textContent === text) return;
    old.className = `chip ${kind}`;
    const icon = $(`icon-${kind}`);
    old.replaceChildren(...(icon ? [icon.content.cloneNode(true)] : []), text);
  };
  const shorten = (id) => `${id.slice(0, id.indexOf("_") + 6)}…${id.slice(-4)}`;
  const tellToken = () => {
    const life = token ? lifeOf(token) : 0;
    $("token-life").textContent = token ? (life > 0 ? `valid for ${life} s more` : "expired") : "none yet";
  };

  let shownSession;
  const render = () => {
    const user = clerk.user;
    show("signed-in", !!user);
    show("signed-out", !user);
    chip("browser-state", user ? "ok" : "neutral", user ? "signed in" : "signed out");
    if (user) {
      $("name").textContent = user.name;
      $("address").textContent = user.email;
      $("initials").textContent = user.name.split(/\s+/).map((w) => w[0]).slice(0, 2).join("").toUpperCase();
      $("initials").className = "avatar large a0";
      $("session").textContent = shorten(clerk.session);
      $("session").dataset.copy = $("session").title = clerk.session;
      $("operator").href = `/operator?session=${encodeURIComponent(clerk.session)}`;
    }
    if (clerk.session === shownSession) return;
    shownSession = clerk.session;
    turn++;
    clearTimeout(timer);
    if (shownSession) {
      asked = last = 0;
      token = "";
      show("refused", false);
      next("Clerk announces the session to clerksync by a webhook. It has not arrived yet.", false);
      tellToken();
      ask(turn);
    } else if ($("refused").hidden) { // a refusal stays, until someone signs in
      chip("answer-state", "neutral", "not asked");
      show("answer", false);
      show("asked", false);
      show("answer-empty", true);
    }
  };

  // --- What the back end knows

  // next says what a person can do now, or what will happen.
  const next = (text, revocable) => {
    show("operator", revocable);
    $("next").textContent = text;
  };
  const longest = 160; // pictures are in addresses of thousands of characters
  const short = (_, value) => (typeof value === "string" && value.length > longest ? `${value.slice(0, longest)}…` : value);
  const tellAnswer = (body, refused) => {
    show("answer-empty", false);
    show("answer", true);
    show("asked", true);
    $("answer").classList.toggle("refused", refused);
    const text = JSON.stringify(body, short, 2);
    const pre = $("answer").firstElementChild;
    if (pre.textContent !== text) pre.textContent = text;
    $("asked").textContent = asked === 1 ? "Asked once." : `Asked ${asked} times.`;
  };
  // notice asks for a token when the last one is about to expire, as a page does that makes requests.
  const notice = async (mine) => {
    if (mine !== turn) return;
    try { await clerk.token(); } catch { /* Clerk refused it */ }
  };
  const ask = async (mine) => {
    let wait = 500;
    try {
      token = (await clerk.token()) || "";
      if (mine !== turn || !token) return;
      const begin = performance.now();
      const response = await fetch("/api/auth/me", { headers: { Authorization: `Bearer ${token}` }, cache: "no-store" });
      const body = await response.json();
      const took = Math.max(1, Math.round(performance.now() - begin));
      if (mine !== turn) return;
      asked++;
      tellToken();
      tellAnswer(body, !response.ok);
      if (response.ok) {
        last = Date.now();
        chip("answer-state", "ok", `${response.status} in ${took} ms`);
        if (body.session?.status) next("The console opens this session in another tab, as an operator.", true);
      } else if (response.status === 401 || response.status === 403) {
        chip("answer-state", "bad", `${response.status} ${body.code || "refused"}`);
        $("refused-title").textContent = last ? `Refused ${((Date.now() - last) / 1000).toFixed(1)} s after the last answer` : "Refused";
        $("refused-text").textContent = lifeOf(token) > 0
          ? `The token is valid for ${lifeOf(token)} s more, and its signature is right: the mirror says that the session has ended.`
          : "The token has expired.";
        show("refused", true);
        next("The browser has not noticed yet. When it asks for its next token, Clerk refuses, and it signs this tab out.", false);
        timer = setTimeout(() => notice(mine), Math.max(1, lifeOf(token) - 5) * 1000);
        return; // it is not asked again until someone signs in
      } else { // such as 503 while the mirror does not have the person yet
        chip("answer-state", "warn", `${response.status} ${body.code || ""}`.trim());
        wait = 1000;
      }
    } catch (problem) {
      if (mine !== turn) return;
      chip("answer-state", "warn", "no answer");
      wait = 1000;
    }
    timer = setTimeout(() => ask(mine), wait);
  };

  // --- What a person does

  const complain = (text) => {
    $("problem").lastElementChild.textContent = text;
    show("problem", !!text);
  };
  let busy = false;
  const attempt = async (action) => {
    if (busy) return;
    busy = true;
    complain("");
    try {
      await action();
    } catch (problem) {
      complain(problem.errors?.[0]?.longMessage || problem.message || "Clerk refused");
    }
    busy = false;
  };
  $("sign-in").addEventListener("submit", (event) => {
    event.preventDefault();
    attempt(() => clerk.password($("email").value.trim(), $("password").value));
  });
  document.querySelectorAll("[data-user]").forEach((button) => button.addEventListener("click", () => attempt(async () => {
    const response = await fetch("/ticket", { method: "POST", body: new URLSearchParams({ user: button.dataset.user }) });
    const answer = await response.json();
    if (!response.ok) throw new Error(answer.detail || "Clerk refused");
    await clerk.ticket(answer.ticket);
  })));
  $("sign-out").addEventListener("click", () => attempt(() => clerk.signOut()));

  // --- Begin

  (async () => {
    const changed = () => { if (clerk) render(); };
    try {
      clerk = await (window.Clerk ? clerkScript(changed) : byItself(changed));
      render();
      const ticket = new URLSearchParams(location.search).get("__clerk_ticket"); // of a link
      if (ticket) {
        history.replaceState(null, "", "/");
        await attempt(() => clerk.ticket(ticket));
      }
      setInterval(tellToken, 1000);
    } catch (problem) {
      chip("browser-state", "bad", "Clerk does not load");
      $("answer-empty").textContent = problem.message;
    }
  })();
})();
