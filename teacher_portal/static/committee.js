// Keys for the meeting: a class's letter chooses it, Enter decides, the arrows move between
// children. Nothing here is needed: the page is plain forms and links.

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
  const choice = form.querySelector(`input[data-key="${CSS.escape(event.key.toLowerCase())}"]`);
  if (choice) {
    event.preventDefault();
    choice.checked = true;
    choice.focus();
  }
});
