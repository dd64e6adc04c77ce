// Shows what became of what was just sent: arrived, not yet, or refused. Never more than is known.
export function watch(form, id, { onReceived } = {}) {
  const parts = Object.fromEntries(
    ["received", "not-yet", "refused"].map((name) => [name, document.getElementById(name)]),
  );
  const show = (name) => {
    form.hidden = true;
    for (const [key, part] of Object.entries(parts)) part.hidden = key !== name;
    parts[name].focus({ preventScroll: true });
    globalThis.scrollTo(0, 0);
  };
  globalThis.addEventListener("kizashi:outcome", ({ detail }) => {
    if (detail.id !== id) return;
    if (detail.outcome === "received") {
      onReceived?.();
      show("received");
    } else if (detail.outcome === "refused") {
      show("refused");
    } else {
      const when = detail.outcome === "signed-out" ? "signed-out" : detail.kept;
      for (const note of parts["not-yet"].querySelectorAll("[data-when]")) {
        note.hidden = note.dataset.when !== when && !(note.dataset.when === "kept" && when === "signed-out" && detail.kept === "kept");
      }
      show("not-yet");
    }
  });
}

export function busy(form) {
  const button = form.querySelector("button[data-busy]");
  button.disabled = true;
  button.textContent = button.dataset.busy;
}
