// The portal's service worker: shows a notice when one comes, and opens its alert when it is tapped.
// It keeps no page and answers no request, so nothing about anybody is stored on the device. The
// child's pages have one of their own, with another scope (/child).

self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));

// A path of the portal, or the portal itself: what came could be anything.
function inside(path) {
  const wanted = new URL(typeof path === "string" ? path : "", self.location.origin);
  const ours = wanted.origin === self.location.origin && wanted.pathname.startsWith("/portal/");
  return ours ? wanted.pathname : "/portal";
}

self.addEventListener("push", (event) => {
  let said = {};
  try {
    said = event.data?.json() ?? {};
  } catch {
    // A push that cannot be read still says that there is something.
  }
  const title = typeof said.title === "string" && said.title ? said.title : "確認してください";
  event.waitUntil(
    self.registration.showNotification(title, {
      body: typeof said.mark === "string" ? said.mark : "",
      tag: typeof said.tag === "string" ? said.tag : "kizashi",
      renotify: said.quiet !== true && typeof said.tag === "string",
      silent: said.quiet === true,
      icon: "/static/design/icon.svg",
      lang: "ja",
      data: { path: inside(said.path) },
    }),
  );
});

self.addEventListener("notificationclick", (event) => {
  event.notification.close();
  const path = inside(event.notification.data?.path);
  event.waitUntil(
    self.clients.matchAll({ type: "window" }).then((windows) => {
      const open = windows.find((one) => new URL(one.url).pathname === path);
      return open ? open.focus() : self.clients.openWindow(path);
    }),
  );
});
