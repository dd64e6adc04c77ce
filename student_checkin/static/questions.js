// One question at a time: choosing goes on by itself, "back" goes back, the last step sends.
import { busy, watch } from "./outcome.js";
import { now, send } from "./queue.js";
import { uuid7 } from "./uuid7.js";

const form = document.getElementById("questions");
const steps = [...form.querySelectorAll(".question"), document.getElementById("finish")];
const progress = document.getElementById("progress");
const bar = form.querySelector(".bar");
const nav = form.querySelector(".steps");
const [back, next] = nav.querySelectorAll("button");
const last = steps.length - 1;
let at = 0;
let id = "";
let goOn = 0;

const chosen = (step) => step.querySelector("input:checked");

function show(number, { focus = true } = {}) {
  clearTimeout(goOn);
  at = number;
  steps.forEach((step, n) => (step.hidden = n !== at));
  back.hidden = at === 0;
  next.hidden = at === last || !chosen(steps[at]);
  progress.textContent = at === last ? "" : form.dataset.progress.replace("%n", at + 1).replace("%all", last);
  progress.setAttribute("aria-label", at === last ? "" : form.dataset.progressLabel.replace("%n", at + 1).replace("%all", last));
  bar.firstElementChild.value = at;
  if (focus) steps[at].focus({ preventScroll: true });
  globalThis.scrollTo(0, 0);
}

form.addEventListener("change", () => (next.hidden = at === last || !chosen(steps[at])));
// A finger or a mouse goes on at once; arrow keys only choose (they have "next" and Enter).
form.addEventListener("click", (event) => {
  if (event.target.matches?.(".answer input") && event.detail > 0) {
    clearTimeout(goOn);
    goOn = setTimeout(() => show(Math.min(at + 1, last)), 350);
  }
});
form.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && event.target.matches(".answer input")) {
    event.preventDefault();
    if (chosen(steps[at])) show(Math.min(at + 1, last));
  }
});
nav.addEventListener("click", (event) => {
  const step = Number(event.target.closest("button")?.dataset.step ?? 0);
  if (step) show(Math.max(0, Math.min(last, at + step)));
});

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const answers = {};
  for (const step of steps.slice(0, last)) {
    const value = chosen(step)?.value;
    if (value !== undefined) answers[step.dataset.question] = value === "skip" ? null : Number(value);
  }
  const empty = steps.slice(0, last).findIndex((step) => !chosen(step));
  if (empty >= 0) return show(empty);
  busy(form);
  const instant = await now();
  id ||= uuid7(instant.getTime());
  watch(form, id);
  await send("check-ins", {
    id,
    questionnaire: form.dataset.questionnaire,
    version: Number(form.dataset.version),
    answers,
    answered_at: instant.toISOString(),
  });
});

for (const part of form.querySelectorAll("[data-script]")) part.hidden = false;
progress.hidden = bar.hidden = nav.hidden = false;
show(0, { focus: false });
