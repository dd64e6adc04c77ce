// Sends what a child has answered, and keeps it until the server says that it is durable.
//
// `send` first keeps, then sends. Only a 202 counts as arrived; whatever else happens the entry
// stays, is tried again with growing pauses and jitter (so that a school does not come back all at
// once), and keeps its id, so that a try whose answer was lost does no harm. Entries of other
// children on the same tablet are left alone.
import * as store from "./store.js";

const LONGEST_PAUSE = 60_000;
const TIMEOUT = 10_000;
const memory = new Map(); // what could not be kept on the tablet: lost when the page is closed
let me = null; // { child, key, csrf, offset }
let tries = 0;
let timer = 0;
let running = null;
let found = false;

const tell = (name, detail) => globalThis.dispatchEvent(new CustomEvent(`kizashi:${name}`, { detail }));

async function ask(path, init = {}) {
  return fetch(path, { ...init, credentials: "same-origin", cache: "no-store", signal: AbortSignal.timeout(TIMEOUT) });
}

// Whose session this tablet has: from the server, or, without network, from the store.
async function whoami() {
  try {
    const answer = await ask("/child/api/session", { headers: { Accept: "application/json" } });
    if (answer.status === 401) {
      me = null;
      if (store.usable()) await store.signOut();
      return "signed-out";
    }
    if (answer.ok) {
      const seen = await answer.json();
      const fresh = { child: seen.child, csrf: seen.csrf, offset: Date.parse(seen.now) - Date.now() };
      me = store.usable() ? await store.signIn({ ...fresh, key: seen.key }) : { ...fresh, key: null };
      return "online";
    }
  } catch {
    // no network, or too slow: go on with what the tablet knows
  }
  if (!me && store.usable()) me = await store.signedIn();
  return "offline";
}

// Tablets' clocks are often wrong; the server's is what counts. A child may send before this page has
// asked for it: then what the tablet knew before serves, and only without that is the server waited for.
export async function now() {
  let known = me ?? (store.usable() ? await store.signedIn() : null);
  if (!known) {
    await whoami();
    known = me;
  }
  return new Date(Date.now() + (known?.offset ?? 0));
}

export async function mine() {
  const kept = [];
  if (me && store.usable()) {
    for (const entry of await store.unsent()) {
      if (entry.child !== me.child) continue;
      try {
        kept.push({ ...(await store.unseal(me.key, entry)), id: entry.id, state: entry.state });
      } catch {
        kept.push({ id: entry.id, state: "refused", kind: "", body: {} });
      }
    }
  }
  return [...kept, ...memory.values()];
}

async function keep(entry) {
  try {
    if (!me?.key) throw new Error("no key");
    const sealed = await store.seal(me.key, { kind: entry.kind, body: entry.body });
    await store.keep({ id: entry.id, child: me.child, state: entry.state, ...sealed });
    memory.delete(entry.id);
    return "kept";
  } catch {
    memory.set(entry.id, entry);
    return "open";
  }
}

async function forget(id) {
  memory.delete(id);
  if (store.usable()) await store.drop(id);
}

// One try for one entry. Returns received, later (with ms to wait at least), refused or signed-out.
async function attempt(entry) {
  let answer;
  try {
    answer = await ask(`/child/api/${entry.kind}`, {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-Kizashi-CSRF": me?.csrf ?? "" },
      body: JSON.stringify(entry.body),
    });
  } catch {
    return { outcome: "later", wait: 0 };
  }
  if (answer.status === 202) {
    const said = await answer.json().catch(() => ({}));
    return said.received === entry.id ? { outcome: "received" } : { outcome: "later", wait: 0 };
  }
  if (answer.status === 401) return { outcome: "signed-out" };
  if (answer.status === 403) return { outcome: "later", wait: 0 }; // an old page: whoami renews it
  if (answer.status >= 400 && answer.status < 500 && answer.status !== 408 && answer.status !== 429) {
    return { outcome: "refused" };
  }
  return { outcome: "later", wait: 1000 * Number(answer.headers.get("Retry-After") ?? 0) };
}

async function flushOnce() {
  const place = await whoami();
  const entries = (await mine()).filter((entry) => entry.state === "waiting");
  if (!found) tell("found", { entries }); // what an earlier page left behind
  found = true;
  let wait = 0;
  let late = 0;
  for (const entry of entries) {
    const { outcome, wait: asked = 0 } =
      place === "signed-out" ? { outcome: "signed-out" } : await attempt(entry);
    if (outcome === "received") await forget(entry.id);
    else if (outcome === "refused") await keep({ ...entry, state: "refused" });
    else late += 1;
    wait = Math.max(wait, asked);
    tell("outcome", { id: entry.id, outcome, kept: memory.has(entry.id) ? "open" : "kept" });
  }
  const left = await mine();
  tell("unsent", {
    waiting: left.filter((entry) => entry.state === "waiting").length,
    refused: left.filter((entry) => entry.state === "refused").length,
    entries: left,
  });
  clearTimeout(timer);
  if (late && place !== "signed-out") {
    const pause = Math.min(LONGEST_PAUSE, 1000 * 2 ** tries);
    tries += 1;
    timer = setTimeout(flush, Math.max(pause, wait) * (0.75 + Math.random() / 2));
  } else {
    tries = 0;
  }
}

export function flush() {
  running ??= flushOnce().finally(() => (running = null));
  return running;
}

// Keep, then send. Resolves with how it was kept; what becomes of it is told by "kizashi:outcome".
export async function send(kind, body) {
  if (running) await running;
  if (!me) await whoami();
  const kept = await keep({ id: body.id, kind, body, state: "waiting" });
  tries = 0;
  flush();
  return kept;
}

globalThis.addEventListener("online", () => {
  tries = 0;
  flush();
});
