// A tablet of the class, put down by a child: asks whether anybody is there, counts down, signs out.
//
// The server ends such a session by itself some minutes after the last page (data-idle); this is
// sooner, and visible. Whoever is writing gets more time, and each use of the page tells the server
// now and then that the child is still there, so that nobody loses what they are writing.
import * as store from "./store.js";

const box = document.getElementById("idle");
const left = document.getElementById("idle-left");
const limit = Number(box.dataset.idle) * 1000;
const COUNTDOWN = 30_000;
const QUIET = Math.min(120_000, limit / 2);
const QUIET_WRITING = Math.max(QUIET, limit - COUNTDOWN - 60_000);
const TELL_EVERY = Math.min(60_000, limit / 4);

let used = performance.now();
let told = used;

const post = (path) =>
  fetch(path, {
    method: "POST",
    headers: { "X-Kizashi-CSRF": box.dataset.csrf, Accept: "application/json" },
    redirect: "manual",
    signal: AbortSignal.timeout(8000),
  });

function use() {
  used = performance.now();
  box.hidden = true;
  if (used - told < TELL_EVERY) return;
  told = used;
  post("/child/stay").catch(() => {}); // without network there is nothing to prolong
}

async function leave() {
  clearInterval(timer);
  document.body.replaceChildren(); // nothing of the child stays, whatever the network does
  await post("/child/sign-out").catch(() => {});
  await store.signOut().catch(() => {});
  await globalThis.caches?.delete("child-pages");
  location.replace("/child/sign-in");
}

function look() {
  const writing = Boolean(document.getElementById("words")?.value);
  const rest = used + (writing ? QUIET_WRITING : QUIET) + COUNTDOWN - performance.now();
  if (rest <= 0) {
    leave();
  } else if (rest <= COUNTDOWN) {
    left.textContent = Math.ceil(rest / 1000);
    if (!box.hidden) return;
    box.hidden = false;
    document.getElementById("idle-stay").focus({ preventScroll: true });
  }
}

const timer = setInterval(look, 500);
for (const kind of ["pointerdown", "keydown", "input", "touchstart"]) {
  addEventListener(kind, use, { passive: true });
}
document.getElementById("idle-stay").addEventListener("click", use);
// Back after signing out: a page the browser had kept is asked for again, and leads to the door.
addEventListener("pageshow", (event) => event.persisted && location.reload());
