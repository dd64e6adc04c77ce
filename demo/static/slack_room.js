// Looks every second whether there is something new, and shows it without moving the reader
// unless they are at the end. Without this script the page works by reloading.
const list = document.getElementById("messages");

async function look() {
  const query = new URLSearchParams({ seen: list.dataset.revision, channel: list.dataset.channel });
  try {
    const answer = await fetch(`${list.dataset.source}?${query}`);
    if (answer.status === 200) {
      const room = document.documentElement;
      const atEnd = room.scrollHeight - room.scrollTop - room.clientHeight < 120;
      list.innerHTML = await answer.text();
      list.dataset.revision = answer.headers.get("X-Revision");
      if (atEnd) window.scrollTo(0, room.scrollHeight);
    }
  } catch {
    // The service is starting again; the next look will tell.
  }
  setTimeout(look, 1000);
}

window.scrollTo(0, document.documentElement.scrollHeight);
setTimeout(look, 1000);
