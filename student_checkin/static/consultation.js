// Sends a call for help without leaving the page, and keeps it when there is no network.
import { busy, watch } from "./outcome.js";
import { now, send } from "./queue.js";
import { uuid7 } from "./uuid7.js";

const form = document.getElementById("consultation");
const told = document.getElementById("told");
const chosen = (name) => [...form.querySelectorAll(`input[name=${name}]:checked`)];

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  busy(form);
  const people = chosen("whom");
  if (!people.length) people.push(form.querySelector("input[name=whom][value=anyone]"));
  const instant = now();
  const id = uuid7(instant.getTime());
  watch(form, id, {
    onReceived() {
      told.replaceChildren(
        ...people.map((box) => {
          const item = document.createElement("li");
          item.append(...box.nextElementSibling.cloneNode(true).childNodes);
          return item;
        }),
      );
      form.reset();
    },
  });
  const words = form.querySelector("textarea").value.trim();
  await send("consultations", {
    id,
    whom: people.map((box) => box.value),
    about: chosen("about").map((box) => box.value),
    asked_at: instant.toISOString(),
    ...(words ? { words } : {}),
  });
});
