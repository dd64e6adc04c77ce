// The door: the keypad, and picking three pictures without a page for each. Whoever stands here is
// signed out, so what a session left on the tablet (its key, its kept pages) is thrown away.
import * as store from "./store.js";

if (store.usable()) store.signOut().catch(() => {});
globalThis.caches?.delete("child-pages");

const code = document.getElementById("code");
const keypad = document.querySelector(".keypad");
if (code && keypad) {
  keypad.hidden = false;
  keypad.addEventListener("click", (event) => {
    const key = event.target.closest("button")?.dataset.key;
    if (key === "erase") code.value = code.value.slice(0, -1);
    else if (key) code.value += key;
  });
}

const form = document.getElementById("pictures");
if (form) {
  const length = Number(form.dataset.length);
  const slots = [...form.querySelectorAll(".slots li")];
  const empty = slots.at(-1).innerHTML;
  const picked = form.chosen.value ? form.chosen.value.split("-") : [];
  form.addEventListener("submit", (event) => {
    const button = event.submitter;
    if (!button || button.value === "again") {
      event.preventDefault();
      picked.length = 0;
      for (const slot of slots) slot.innerHTML = empty;
    } else if (picked.length < length - 1) {
      event.preventDefault();
      const slot = slots[picked.length];
      picked.push(button.value);
      slot.replaceChildren(button.querySelector("svg").cloneNode(true));
      const name = document.createElement("span");
      name.className = "sr";
      name.textContent = button.textContent;
      slot.append(name);
    } else {
      form.chosen.value = picked.join("-"); // the last picture goes with its button
      return;
    }
    form.chosen.value = picked.join("-");
  });
}
