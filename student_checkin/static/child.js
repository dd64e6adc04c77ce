// On every page of a signed-in child: keeps the shell on the tablet, sends what is still unsent, and
// says honestly how much that is.
import { flush } from "./queue.js";

const line = document.getElementById("unsent");
const atStart = { waiting: 0 };

globalThis.addEventListener("kizashi:unsent", ({ detail: { waiting, refused, entries } }) => {
  for (const card of document.querySelectorAll("[data-questionnaire].due")) {
    const here = entries.some((entry) => entry.state === "waiting" && entry.body.questionnaire === card.dataset.questionnaire);
    card.querySelector(".waiting-here").hidden = !here;
    card.querySelector(".button").hidden = here;
  }
  if (!line) return;
  const text = [];
  if (waiting) text.push(line.dataset.waiting.replace("%n", waiting));
  if (refused) text.push(line.dataset.refused.replace("%n", refused));
  const delivered = !waiting && atStart.waiting > 0;
  if (delivered) text.push(line.dataset.delivered);
  atStart.waiting = delivered ? 0 : Math.max(waiting, atStart.waiting);
  line.textContent = text.join(" ");
  line.hidden = !text.length;
  line.classList.toggle("good", delivered && !refused);
  if (delivered && document.querySelector(".due [hidden].button")) location.reload();
});

if ("serviceWorker" in navigator) {
  navigator.serviceWorker.register("/child/sw.js", { scope: "/child" }).catch(() => {});
  navigator.serviceWorker.ready.then((found) => {
    const pages = Array.from(document.querySelectorAll(".due a.button"), (link) => link.getAttribute("href"));
    found.active?.postMessage({ keep: ["/child/consultation", ...pages] });
  });
}

flush();
