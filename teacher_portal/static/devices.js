// Switches notices on in this browser, and says how things stand: on, off, refused by the browser,
// not possible here. The server has the list; which line of it is this browser is found by the same
// hash of its address.

const part = document.getElementById("device");
const words = part.dataset;
const state = document.getElementById("device-state");
const button = document.getElementById("device-on");

function bytes(text) {
  const plain = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  return Uint8Array.from(plain, (letter) => letter.charCodeAt(0));
}

function text(buffer) {
  const plain = String.fromCharCode(...new Uint8Array(buffer));
  return btoa(plain).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

async function idOf(endpoint) {
  const hash = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(endpoint));
  return [...new Uint8Array(hash)].map((one) => one.toString(16).padStart(2, "0")).join("").slice(0, 32);
}

function say(which, { offer = false } = {}) {
  part.dataset.state = which;
  state.textContent = words[which];
  button.hidden = !offer;
  button.disabled = false;
}

// The subscription of this browser, if it was made with our present key.
async function subscription() {
  const worker = await navigator.serviceWorker.getRegistration("/portal/");
  const found = await worker?.pushManager.getSubscription();
  if (!found) return null;
  const key = found.options.applicationServerKey;
  if (key && text(key) === words.key) return found;
  await found.unsubscribe();
  return null;
}

async function look() {
  if (!("serviceWorker" in navigator) || !("PushManager" in window) || !("Notification" in window)) {
    return say("unsupported");
  }
  if (Notification.permission === "denied") return say("denied");
  const found = await subscription();
  const here = found && document.querySelector(`[data-device="${await idOf(found.endpoint)}"]`);
  if (!here) return say("off", { offer: true });
  here.querySelector(".this-device").hidden = false;
  return say("on");
}

async function switchOn() {
  button.disabled = true;
  if ((await Notification.requestPermission()) !== "granted") return look();
  await navigator.serviceWorker.register("/portal/sw.js", { scope: "/portal/" });
  const worker = await navigator.serviceWorker.ready;
  const found =
    (await subscription()) ??
    (await worker.pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: bytes(words.key) }));
  const form = new URLSearchParams({
    csrf: words.csrf,
    endpoint: found.endpoint,
    p256dh: text(found.getKey("p256dh")),
    auth: text(found.getKey("auth")),
  });
  const answer = await fetch("/portal/devices", { method: "POST", body: form, redirect: "error" });
  if (!answer.ok) {
    await found.unsubscribe();
    throw new Error(`${answer.status}`);
  }
  location.assign("/portal/devices?done=on");
}

button.addEventListener("click", () => {
  switchOn().catch(() => say("trouble", { offer: true }));
});

// Taking this browser off the list ends its subscription as well.
for (const form of document.querySelectorAll("[data-device] form")) {
  form.addEventListener("submit", async (event) => {
    if (form.closest("[data-device]").querySelector(".this-device").hidden) return;
    event.preventDefault();
    await (await subscription())?.unsubscribe();
    form.submit();
  });
}

look().catch(() => say("trouble", { offer: true }));
