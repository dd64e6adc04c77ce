// Keeps the shell of the child's pages on the tablet, so that they open without network.
//
// Two caches. "child-shell": styles, scripts, drawings and the page that says there is no network;
// nothing in it is about anybody. "child-pages": the question pages of the session that is open now
// (they hold no name), thrown away when it ends. Pages come from the network first; a kept one is
// only used when that fails. Answers never pass through here: see queue.js.
const SHELL = "child-shell-2";
const PAGES = "child-pages";
const OFFLINE = "/child/offline";
const FILES = [
  OFFLINE,
  "/static/design/tokens.css",
  ...["child.css", "faces.svg", "pictures.svg", "icon.svg", "child.js", "store.js", "queue.js", "uuid7.js", "outcome.js", "questions.js", "consultation.js", "door.js", "idle.js", "offline.js"].map((name) => `/static/child/${name}`),
];
const PATIENCE = 8000;
const kept = (path) => path === "/child/consultation" || path.startsWith("/child/questionnaires/");

self.addEventListener("install", (event) => {
  event.waitUntil(
    caches
      .open(SHELL)
      .then((shell) => shell.addAll(FILES.map((file) => new Request(file, { cache: "reload" }))))
      .then(() => self.skipWaiting()),
  );
});

self.addEventListener("activate", (event) => {
  event.waitUntil(
    caches
      .keys()
      .then((names) => Promise.all(names.filter((name) => name !== SHELL && name !== PAGES).map((name) => caches.delete(name))))
      .then(() => self.clients.claim()),
  );
});

self.addEventListener("message", (event) => {
  const pages = (event.data?.keep ?? []).filter(kept);
  event.waitUntil(
    caches.open(PAGES).then((cache) =>
      Promise.all(
        pages.map(async (page) => {
          const answer = await fetch(page, { redirect: "error" });
          if (answer.ok) await cache.put(page, answer);
        }),
      ).catch(() => {}),
    ),
  );
});

async function file(request) {
  const found = await caches.match(request, { cacheName: SHELL });
  const fresh = fetch(request).then(async (answer) => {
    if (answer.ok) await (await caches.open(SHELL)).put(request, answer.clone());
    return answer;
  });
  if (!found) return fresh;
  fresh.catch(() => {});
  return found;
}

async function page(request, path) {
  try {
    return await fetch(request, { signal: AbortSignal.timeout(PATIENCE) });
  } catch {
    const found = kept(path) && (await caches.match(path, { cacheName: PAGES }));
    return found || (await caches.match(OFFLINE, { cacheName: SHELL })) || Response.error();
  }
}

self.addEventListener("fetch", (event) => {
  const url = new URL(event.request.url);
  if (url.origin !== location.origin) return;
  if (event.request.method !== "GET") {
    if (url.pathname === "/child/sign-out") event.waitUntil(caches.delete(PAGES));
    return;
  }
  if (event.request.mode === "navigate") event.respondWith(page(event.request, url.pathname));
  else if (url.pathname.startsWith("/static/child/") || url.pathname === "/static/design/tokens.css") {
    event.respondWith(file(event.request));
  }
});
