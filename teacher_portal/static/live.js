// Keeps the live part of a page current: listens on /portal/live, and when alerts have changed
// fetches the fragment and swaps it in. Says honestly what it is doing: updating, polling, stopped.
// Without this script the page is complete as of the moment it was loaded.

const FRAGMENT = "/portal/alerts/fragment";
const POLL_MS = 15000;
const SILENT_MS = 40000; // more than two heartbeats

const stateLine = document.getElementById("live-state");
let polling = null;
let lastHeard = performance.now();
let swapping = false;
let again = false;

function say(state) {
  if (stateLine.dataset.state === state) return;
  stateLine.dataset.state = state;
  const words = { on: "live", polling: "polling", stopped: "stopped", "signed-out": "signedOut" };
  stateLine.textContent = stateLine.dataset[words[state]];
}

function position() {
  return document.getElementById("live-part").dataset.position;
}

// Fetches the fragment; true when the page is now current. One at a time: what changes meanwhile is
// fetched once more afterwards.
async function refresh() {
  if (swapping) {
    again = true;
    return true;
  }
  swapping = true;
  try {
    const answer = await fetch(FRAGMENT, { headers: { accept: "text/html" }, redirect: "manual" });
    if (answer.type === "opaqueredirect" || answer.status === 401) {
      signedOut();
      return false;
    }
    if (!answer.ok) return false;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const fresh = page.getElementById("live-part");
    if (!fresh) return false;
    const old = document.getElementById("live-part");
    const held = old.contains(document.activeElement) ? mark(document.activeElement) : null;
    old.replaceWith(document.adoptNode(fresh));
    if (held) document.querySelector(held)?.focus();
    return true;
  } catch {
    return false;
  } finally {
    swapping = false;
    if (again) {
      again = false;
      void refresh();
    }
  }
}

// A selector that finds the focused control again after the swap.
function mark(element) {
  const form = element.closest("form");
  if (form) return `form[action="${CSS.escape(form.getAttribute("action"))}"] button`;
  const href = element.getAttribute("href");
  return href ? `a[href="${CSS.escape(href)}"]` : null;
}

function signedOut() {
  stopPolling();
  source?.close();
  say("signed-out");
}

function startPolling() {
  if (polling !== null) return;
  const look = async () => say((await refresh()) ? "polling" : "stopped");
  polling = setInterval(look, POLL_MS);
  void look();
}

function stopPolling() {
  if (polling !== null) clearInterval(polling);
  polling = null;
}

let source = null;

function listen() {
  source = new EventSource(`/portal/live?after=${encodeURIComponent(position())}`);
  const heard = () => {
    lastHeard = performance.now();
    if (stateLine.dataset.state !== "signed-out") {
      stopPolling();
      say("on");
    }
  };
  source.addEventListener("ready", heard);
  source.addEventListener("still", heard);
  source.addEventListener("alerts", () => {
    heard();
    void refresh().then((done) => {
      if (!done && stateLine.dataset.state === "on") startPolling();
    });
  });
  source.addEventListener("signed-out", () => {
    source.close();
    // The session may go on under a new token: somebody has confirmed who they are in another tab.
    void refresh().then((done) => (done ? listen() : signedOut()));
  });
  source.addEventListener("error", () => {
    if (stateLine.dataset.state === "signed-out") return;
    startPolling();
    // The browser tries again by itself unless the answer was an error; then we do.
    if (source.readyState === EventSource.CLOSED) setTimeout(listen, POLL_MS);
  });
}

// A connection can die without a word (a laptop that slept, a proxy): silence counts as an error.
setInterval(() => {
  if (source && polling === null && performance.now() - lastHeard > SILENT_MS) {
    lastHeard = performance.now();
    source.close();
    startPolling();
    listen();
  }
}, 5000);

addEventListener("pageshow", (event) => {
  if (event.persisted) void refresh();
});

if (stateLine && "EventSource" in window) listen();
else if (stateLine) startPolling();
