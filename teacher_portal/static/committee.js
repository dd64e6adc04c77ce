// Keys for the meeting: a class's letter chooses it, Enter decides, the arrows move between
// children, Z takes the last decision back, and a clock runs for the child on the screen. Nothing
// here is needed: the page is plain forms and links.

const form = document.getElementById("decide");

addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  const typing = event.target.matches("textarea, input[type=text]");
  if (typing) return;
  if (event.key === "ArrowLeft" || event.key === "ArrowRight") {
    const link = document.querySelector(event.key === "ArrowLeft" ? "a[rel=prev]" : "a[rel=next]");
    if (link) {
      event.preventDefault();
      link.click();
    }
    return;
  }
  if (event.key === "Enter") {
    // On a link or button Enter already means something.
    if (event.target.matches("a, button, summary")) return;
    event.preventDefault();
    form.requestSubmit();
    return;
  }
  if (event.key.toLowerCase() === "z") {
    const undo = document.getElementById("undo");
    if (undo) {
      event.preventDefault();
      undo.click();
    }
    return;
  }
  const choice = form.querySelector(`input[data-key="${CSS.escape(event.key.toLowerCase())}"]`);
  if (choice) {
    event.preventDefault();
    choice.checked = true;
    choice.focus();
  }
});

// The clock: how long this child has been on the screen, beside the time planned for it. It is not
// read out, and it never goes on by itself.
const clock = document.querySelector("[data-clock]");
if (clock) {
  const planned = Number(clock.dataset.clock);
  const began = performance.now();
  const shown = document.createElement("b");
  shown.setAttribute("aria-hidden", "true");
  clock.prepend(shown, " ");
  const tick = () => {
    const seconds = Math.floor((performance.now() - began) / 1000);
    shown.textContent = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
    clock.classList.toggle("over", seconds > planned);
  };
  tick();
  setInterval(tick, 1000);
}
