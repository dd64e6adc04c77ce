// Sends a call for help without leaving the page, and keeps it when there is no network. Says before
// sending who will read it, by what is chosen; the page's own words stand there without script.
import { busy, watch } from "./outcome.js";
import { now, send } from "./queue.js";
import { uuid7 } from "./uuid7.js";

const form = document.getElementById("consultation");
const told = document.getElementById("told");
const readers = document.getElementById("readers");
const chosen = (name) => [...form.querySelectorAll(`input[name=${name}]:checked`)];
const duties = (text) => (text ?? "").split(" ").filter(Boolean);

const people = () => {
  const found = chosen("whom");
  return found.length ? found : [form.querySelector("input[name=whom][value=anyone]")];
};

const reading = () => {
  const found = new Set(people().flatMap((box) => duties(box.dataset.reads)));
  if (chosen("about").some((box) => "life" in box.dataset)) {
    for (const duty of duties(form.dataset.life)) found.add(duty);
  }
  return found.size ? found : new Set(duties(form.dataset.otherwise));
};

const showReaders = () => {
  if (!readers) return;
  const who = reading();
  for (const item of readers.children) item.hidden = !who.has(item.dataset.duty);
  readers.hidden = document.getElementById("reads-now").hidden = false;
};

// What the server knows is exact; what the page knew before is shown when it cannot be asked.
const confirmed = async (id, before) => {
  told.replaceChildren(...before);
  try {
    const answer = await fetch(`/child/received/${id}`, { headers: { accept: "text/html" } });
    if (!answer.ok) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    told.replaceChildren(...(page.getElementById("told")?.children ?? before));
    const lost = page.getElementById("words-lost");
    const place = document.getElementById("words-lost");
    place.hidden = !lost;
    place.replaceChildren(...(lost?.childNodes ?? []));
  } catch {
    // No network any more: what stands there is right as of when the page was loaded.
  }
};

form.addEventListener("change", showReaders);
showReaders();

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  busy(form);
  const whom = people();
  const expected = reading();
  const instant = await now();
  const id = uuid7(instant.getTime());
  watch(form, id, {
    onReceived() {
      const items = [...(readers?.children ?? [])].filter((item) => expected.has(item.dataset.duty));
      const before = items.map((item) => {
        const copy = item.cloneNode(true);
        copy.hidden = false;
        return copy;
      });
      confirmed(id, before);
      form.reset();
    },
  });
  const words = form.querySelector("textarea").value.trim();
  await send("consultations", {
    id,
    whom: whom.map((box) => box.value),
    about: chosen("about").map((box) => box.value),
    asked_at: instant.toISOString(),
    ...(words ? { words } : {}),
  });
});
