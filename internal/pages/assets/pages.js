// Pages work without this file. It adds keys, search while you type, copying, dialogs and
// live parts. Nothing here builds a page: it asks the server for one and takes a part of it.
"use strict";
(() => {
  const $ = (selector, root = document) => root.querySelector(selector);
  const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];
  const base = document.body.dataset.base;
  const year = 365 * 24 * 3600;

  // --- Time zone and theme

  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (document.body.dataset.zone === "auto" && zone && zone !== document.body.dataset.zoneName) {
    document.cookie = `clerksync_zone=auto:${zone}; path=/; max-age=${year}; samesite=lax`;
  }
  $$("[data-theme-switch]").forEach((form) => form.addEventListener("click", (event) => {
    const button = event.target.closest("button[name=theme]");
    if (!button) return;
    event.preventDefault();
    const theme = button.value;
    const root = document.documentElement;
    if (theme === "system") delete root.dataset.theme; else root.dataset.theme = theme;
    document.cookie = `clerksync_theme=${theme === "system" ? "" : theme}; path=/; max-age=${theme === "system" ? 0 : year}; samesite=lax`;
    $$("[data-theme-switch] button").forEach((b) => b.setAttribute("aria-pressed", String(b.value === theme)));
  }));

  // --- Relative times, with the same steps as relative in times.go

  const steps = [[60, 1, "s"], [3600, 60, "min"], [86400, 3600, "h"], [60 * 86400, 86400, "d"], [730 * 86400, 30 * 86400, "mo"], [Infinity, 365 * 86400, "y"]];
  const offset = Number(document.body.dataset.now || Date.now()) - Date.now();
  const relative = (at) => {
    let seconds = (Date.now() + offset - at) / 1000;
    const ahead = seconds < 0;
    seconds = Math.abs(seconds);
    if (seconds < 5) return "now";
    const [, unit, name] = steps.find(([below]) => seconds < below);
    const text = `${Math.floor(seconds / unit)} ${name}`;
    return ahead ? `in ${text}` : `${text} ago`;
  };
  const tellTime = () => $$("time.ago").forEach((t) => {
    const text = relative(Date.parse(t.dateTime));
    if (t.textContent !== text) t.textContent = text;
  });
  setInterval(tellTime, 5000);

  // --- Copying

  const say = (text) => {
    let live = $("#said");
    if (!live) {
      live = Object.assign(document.createElement("div"), { id: "said", className: "toast" });
      live.setAttribute("role", "status");
      document.body.append(live);
    }
    live.textContent = text;
    live.classList.add("shown");
    clearTimeout(say.timer);
    say.timer = setTimeout(() => live.classList.remove("shown"), 1600);
  };
  const copy = async (text) => {
    try {
      await navigator.clipboard.writeText(text);
      say("Copied");
    } catch {
      say("The browser does not allow copying here");
    }
  };
  document.addEventListener("click", (event) => {
    const id = event.target.closest("[data-copy]");
    if (id) {
      event.preventDefault();
      copy(id.dataset.copy || id.title);
      return;
    }
    const button = event.target.closest("[data-copy-from]");
    if (button) copy($("pre", button.parentElement).textContent);
  });

  // --- Parts of pages

  const load = async (url, signal) => {
    const response = await fetch(url, { headers: { "X-Requested-With": "pages" }, signal, credentials: "same-origin" });
    if (response.redirected && new URL(response.url).pathname.endsWith("/sign-in")) {
      location.assign(response.url);
      throw new Error("signed out");
    }
    return { response, page: new DOMParser().parseFromString(await response.text(), "text/html") };
  };
  const prepare = (root) => {
    $$("[data-copy-from]", root).forEach((b) => { b.hidden = false; });
    $$("[data-no-script]", root).forEach((b) => { b.hidden = true; });
    tellTime();
  };
  const replace = (id, page) => {
    const old = document.getElementById(id);
    const fresh = page.getElementById(id);
    if (!old || !fresh || old.innerHTML === fresh.innerHTML) return;
    old.replaceChildren(...fresh.childNodes);
    prepare(old);
  };

  // Filters: a change is sent at once, and search while typing replaces the results alone.
  $$("form[data-filters]").forEach((form) => {
    let timer, running;
    const address = () => {
      const q = new URLSearchParams();
      for (const [name, value] of new FormData(form)) if (value) q.append(name, value);
      const text = q.toString();
      return location.pathname + (text ? `?${text}` : "");
    };
    const run = async () => {
      running?.abort();
      running = new AbortController();
      const url = address();
      try {
        const { response, page } = await load(url, running.signal);
        if (!response.ok) return location.assign(url);
        replace(form.dataset.filters, page);
        replace("bulk", page); // actions on all that match must mean what is shown
        history.replaceState(null, "", url);
      } catch (problem) {
        if (problem.name !== "AbortError") location.assign(url);
      }
    };
    form.addEventListener("input", (event) => {
      if (!event.target.matches("[data-live-search]")) return;
      clearTimeout(timer);
      timer = setTimeout(run, 160);
    });
    form.addEventListener("change", (event) => {
      if (event.target.matches("[data-live-search]") || event.target.closest(".more-filters")) return;
      location.assign(address());
    });
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      clearTimeout(timer);
      location.assign(address());
    });
  });

  // Live parts: an element with an id and data-live="seconds" is replaced by what the server shows.
  let refreshing = false;
  const refresh = async (parts) => {
    if (refreshing || document.hidden) return;
    refreshing = true;
    try {
      const { response, page } = await load(location.href);
      if (response.ok) parts().forEach((part) => {
        if (!part.contains(document.activeElement)) replace(part.id, page);
        const fresh = page.getElementById(part.id);
        if (fresh && fresh.dataset.live !== part.dataset.live) part.dataset.live = fresh.dataset.live || "";
      });
    } catch { /* the next turn tries again */ }
    refreshing = false;
  };
  const seconds = Math.min(...$$("[data-live]").map((e) => Number(e.dataset.live) || Infinity));
  if (Number.isFinite(seconds)) {
    setInterval(() => {
      const parts = () => $$("[data-live]").filter((e) => Number(e.dataset.live) > 0);
      if (parts().length) refresh(parts);
    }, Math.max(1, seconds) * 1000);
  }

  // --- Confirmations: a page that asks is shown in a dialog

  document.addEventListener("click", async (event) => {
    const link = event.target.closest("a[data-dialog]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
    event.preventDefault();
    try {
      const { response, page } = await load(link.href);
      const form = $("form.confirm", page);
      if (!response.ok || !form) return location.assign(link.href);
      const dialog = document.createElement("dialog");
      dialog.setAttribute("aria-labelledby", "confirm-title");
      dialog.append(form);
      document.body.append(dialog);
      dialog.addEventListener("close", () => { dialog.remove(); link.focus(); });
      dialog.addEventListener("click", (e) => {
        if (e.target === dialog || e.target.closest("[data-cancel]")) { e.preventDefault(); dialog.close(); }
      });
      dialog.showModal();
      ($("input:not([type=hidden]), select", dialog) || $("[data-cancel]", dialog)).focus();
    } catch {
      location.assign(link.href);
    }
  });

  // Fields that only some choices need: data-when="id=value,value".
  const showFields = () => $$("[data-when]").forEach((field) => {
    const [id, values] = field.dataset.when.split("=");
    field.hidden = !values.split(",").includes(document.getElementById(id)?.value);
  });
  document.addEventListener("change", showFields);
  showFields();
  document.addEventListener("submit", (event) => $$("[data-copy-of]", event.target).forEach((field) => {
    field.value = document.getElementById(field.dataset.copyOf)?.value || "";
  }));

  // A form is sent once.
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.method !== "post" || form.hasAttribute("data-theme-switch")) return;
    if (form.dataset.sent) return event.preventDefault();
    form.dataset.sent = "1";
    event.submitter?.setAttribute("aria-busy", "true");
    setTimeout(() => {
      delete form.dataset.sent;
      event.submitter?.removeAttribute("aria-busy");
    }, 5000);
  });
  $("form[data-submit-now]")?.requestSubmit();

  // --- Menus

  document.addEventListener("click", (event) => {
    $$("details.dropdown[open]").forEach((d) => { if (!d.contains(event.target)) d.open = false; });
  });

  // --- Keys

  const rows = () => $$("main .table tbody tr").filter((r) => $(".row-link", r) && r.offsetParent);
  let place = -1;
  const select = (step) => {
    const all = rows();
    if (!all.length) return;
    const now = all.findIndex((r) => r.contains(document.activeElement));
    place = Math.max(0, Math.min(all.length - 1, (now >= 0 ? now : place) + step));
    all.forEach((r, i) => r.classList.toggle("current", i === place));
    const link = $(".row-link", all[place]);
    link.focus({ preventScroll: true });
    all[place].scrollIntoView({ block: "nearest" });
  };
  let went = 0;
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    const field = event.target.closest("input, textarea, select, [contenteditable]");
    if (event.key === "Escape") {
      const menu = $("details.dropdown[open]");
      if ($("dialog[open]")) return;
      if (menu) { menu.open = false; $("summary", menu).focus(); } else if (field) field.blur(); else {
        const up = $("[data-up]");
        if (up) location.assign(up.href);
      }
      return;
    }
    if (field || $("dialog[open]")) return;
    if (Date.now() - went < 1200) {
      went = 0;
      const entry = $$("a[data-key]").find((a) => a.dataset.key === event.key);
      if (entry) { event.preventDefault(); location.assign(entry.href); }
      return;
    }
    switch (event.key) {
      case "/": event.preventDefault(); $("[data-search]")?.select(); $("[data-search]")?.focus(); break;
      case "?": location.assign(`${base}help`); break;
      case "j": select(1); break;
      case "k": select(-1); break;
      case "g": went = Date.now(); break;
      case "n": $("[data-next]")?.click(); break;
    }
  });

  document.documentElement.classList.add("script");
  prepare(document);
})();
