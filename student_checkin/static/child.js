// On every page of a signed-in child: keeps the shell on the tablet, sends what is still unsent, and
// says honestly how much that is.
import { flush } from "./queue.js";

const line = document.getElementById("unsent");
const cards = [...document.querySelectorAll("[data-questionnaire].due")];
let before = [];

// What an earlier page left behind: the server did not know of it when it made this page.
globalThis.addEventListener("kizashi:found", ({ detail: { entries } }) => {
  before = entries;
});

globalThis.addEventListener("kizashi:unsent", ({ detail: { waiting, refused, entries } }) => {
  const about = (list, card) =>
    list.some((entry) => entry.state === "waiting" && entry.body.questionnaire === card.dataset.questionnaire);
  for (const card of cards) {
    const here = about(entries, card);
    card.querySelector(".waiting-here").hidden = !here;
    card.querySelector(".button").hidden = here;
    card.hidden = !here && about(before, card); // it has arrived meanwhile
  }
  if (!line) return;
  const text = [];
  if (waiting) text.push(line.dataset.waiting.replace("%n", waiting));
  if (refused) text.push(line.dataset.refused.replace("%n", refused));
  const delivered = before.length > 0 && !waiting && !refused;
  if (delivered) text.push(line.dataset.delivered);
  line.textContent = text.join(" ");
  line.hidden = !text.length;
  line.classList.toggle("good", delivered);
});

if ("serviceWorker" in navigator) {
  navigator.serviceWorker.register("/child/sw.js", { scope: "/child" }).catch(() => {});
  navigator.serviceWorker.ready.then((found) => {
    const pages = Array.from(document.querySelectorAll(".due a.button"), (link) => link.getAttribute("href"));
    found.active?.postMessage({ keep: ["/child/consultation", ...pages] });
  });
}

flush();
