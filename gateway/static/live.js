// Keeps the page of a run up to date. The server draws it; here is only when to ask for it anew:
// after events, at most every so often, and again after the network or the tablet slept.
"use strict";

(() => {
  const PAUSE_MS = 500;
  const RETRY_MS = [1000, 2000, 4000, 8000];
  const STALE_MS = 75_000; // longer than any heartbeat: the stream is dead, and nobody said so
  const DRAFTS = "stellwerk-draft-";
  const progress = new Map(); // by output: what was last told of it
  let source = null;
  let failures = 0;
  let timer = 0;
  let asking = false;
  let wanted = false;
  let editingSince = 0;
  let heard = 0;

  const panel = () => document.getElementById("run");
  const isOver = () => panel().dataset.over === "yes";
  const tell = (name) => document.dispatchEvent(new CustomEvent(`stellwerk:${name}`));

  function refresh() {
    wanted = true;
    if (timer || asking || !navigator.onLine) return;
    timer = setTimeout(ask, PAUSE_MS);
  }

  async function ask() {
    timer = 0;
    asking = true;
    wanted = false;
    const { id, version } = panel().dataset;
    const address = `/make/${encodeURIComponent(id)}/panel?seen=${encodeURIComponent(version)}`;
    try {
      await htmx.ajax("GET", address, { target: "#run", swap: "morph:outerHTML" });
    } catch {
      setTimeout(refresh, RETRY_MS[0]); // lost on the way; without a network that waits for one
    } finally {
      asking = false;
      if (wanted) refresh();
    }
  }

  function connect() {
    if (source || isOver()) return;
    source = new EventSource(`/api/executions/${encodeURIComponent(panel().dataset.id)}/events`);
    heard = Date.now();
    source.onopen = () => {
      failures = 0;
      tell("back");
      refresh();
    };
    source.onerror = () => {
      tell("lost");
      if (source && source.readyState === EventSource.CLOSED) reconnect();
    };
    const listen = (name, act) => source.addEventListener(name, (event) => {
      heard = Date.now();
      act(event);
    });
    listen("heartbeat", () => {});
    for (const name of ["state_changed", "stage_started", "stage_finished", "text_delta",
      "item_recorded", "output_ready", "content_blocked", "work_failed"]) {
      listen(name, refresh);
    }
    listen("queue_updated", (event) => note(JSON.parse(event.data).queue_updated));
    listen("progress_made", (event) => note(JSON.parse(event.data).progress_made));
    listen("done", () => {
      close();
      refresh();
      // Streams are of limited length; a run may be longer.
      setTimeout(() => !isOver() && connect(), 2 * PAUSE_MS);
    });
  }

  function close() {
    if (source) source.close();
    source = null;
  }

  function reconnect() {
    close();
    setTimeout(connect, RETRY_MS[Math.min(failures++, RETRY_MS.length - 1)]);
  }

  function note(told) {
    progress.set(String(told.loop_iteration), told);
    show();
  }

  // Position and progress are told by events alone, so they are put back after each redraw.
  function show() {
    const words = panel().dataset;
    for (const box of document.querySelectorAll("[data-output]")) {
      const told = progress.get(box.dataset.output);
      const bar = box.querySelector("[data-part=bar]");
      const line = box.querySelector("[data-part=words]");
      if (!told || !bar) continue;
      if ("percent" in told) {
        bar.value = told.percent;
        line.textContent = words.done.replace("{p}", Math.round(told.percent));
      } else if (!("node" in told)) {
        const about = told.estimate_duration >= 1
          ? `, ${words.about.replace("{s}", Math.round(told.estimate_duration))}` : "";
        const place = told.position ? words.waiting.replace("{n}", told.position) : words.next;
        line.textContent = place + about;
      }
      if (told.preview) preview(box, told);
    }
  }

  function preview(box, told) {
    const place = box.querySelector(".coming");
    const picture = place.querySelector("img") || place.appendChild(new Image());
    picture.alt = "";
    picture.src = `data:${told.preview_mime_type};base64,${told.preview}`;
  }

  // What is being typed survives a reload of this tab, and goes when it was sent.
  function restoreDrafts() {
    for (const area of document.querySelectorAll("textarea[data-draft]")) {
      const kept = sessionStorage.getItem(DRAFTS + area.dataset.draft);
      if (kept !== null && area.value !== kept) area.value = kept;
    }
  }

  document.addEventListener("input", (event) => {
    const draft = event.target.dataset.draft;
    if (!draft) return;
    editingSince = editingSince || Date.now();
    sessionStorage.setItem(DRAFTS + draft, event.target.value);
    const seconds = event.target.form.elements.editing_seconds;
    seconds.value = ((Date.now() - editingSince) / 1000).toFixed(1);
  });

  document.body.addEventListener("htmx:afterRequest", (event) => {
    if (!event.detail.successful || event.detail.requestConfig.verb !== "post") return;
    for (const key of Object.keys(sessionStorage)) {
      if (key.startsWith(DRAFTS)) sessionStorage.removeItem(key);
    }
    editingSince = 0;
    refresh();
  });

  document.body.addEventListener("htmx:afterSwap", (event) => {
    if (event.detail.target.id !== "run") return;
    document.title = panel().dataset.title;
    show();
    if (isOver()) close();
    else connect();
    document.dispatchEvent(new CustomEvent("stellwerk:drawn"));
  });

  // Back from sleep, from another page or from no network: look at once, do not wait for a timeout.
  function wake() {
    if (document.hidden) {
      close(); // browsers allow few streams to one site, and nobody sees this tab
      return;
    }
    refresh();
    if (!isOver() && (!source || source.readyState !== EventSource.OPEN)) {
      close();
      connect();
    }
  }
  setInterval(() => {
    if (!source || Date.now() - heard < STALE_MS) return;
    tell("lost");
    close();
    connect();
  }, STALE_MS / 5);
  window.addEventListener("online", wake);
  window.addEventListener("pageshow", (event) => event.persisted && wake());
  document.addEventListener("visibilitychange", wake);
  window.addEventListener("pagehide", close);

  restoreDrafts();
  connect();
})();
