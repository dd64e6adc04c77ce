// The page without network: how many answers are still on this tablet, of the child signed in.
import { flush } from "./queue.js";

const line = document.getElementById("unsent");
globalThis.addEventListener("kizashi:unsent", ({ detail: { waiting } }) => {
  line.textContent = line.dataset.waiting.replace("%n", waiting);
  line.hidden = !waiting;
});
flush();
