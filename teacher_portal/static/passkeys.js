// Passkeys: asks the browser's authenticator and hands its answer to the server. WebAuthn speaks
// bytes, the server JSON with base64url; this only translates. Without this script the page offers
// the app's digits and recovery codes.

const trouble = document.getElementById("passkey-trouble");

function bytes(text) {
  const plain = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  return Uint8Array.from(plain, (letter) => letter.charCodeAt(0));
}

function text(buffer) {
  const plain = String.fromCharCode(...new Uint8Array(buffer));
  return btoa(plain).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

async function post(button, path, body) {
  const answer = await fetch(path, {
    method: "POST",
    headers: { "content-type": "application/json", "x-kizashi-csrf": button.dataset.csrf },
    body: JSON.stringify(body),
    redirect: "error",
  });
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  return answer.json();
}

function withBytes(list) {
  return (list ?? []).map((one) => ({ ...one, id: bytes(one.id) }));
}

function plain(credential) {
  const response = { clientDataJSON: text(credential.response.clientDataJSON) };
  for (const part of ["attestationObject", "authenticatorData", "signature", "userHandle"]) {
    if (credential.response[part]) response[part] = text(credential.response[part]);
  }
  return { id: credential.id, rawId: text(credential.rawId), type: credential.type, response };
}

async function show(button) {
  const asked = await post(button, "/portal/passkeys/ask", {});
  const credential = await navigator.credentials.get({
    publicKey: {
      ...asked,
      challenge: bytes(asked.challenge),
      allowCredentials: withBytes(asked.allowCredentials),
    },
  });
  return post(button, "/portal/passkeys/show", {
    answer: plain(credential),
    next: button.dataset.next,
  });
}

async function make(button) {
  const asked = await post(button, "/portal/passkeys/ask-new", {});
  const credential = await navigator.credentials.create({
    publicKey: {
      ...asked,
      challenge: bytes(asked.challenge),
      user: { ...asked.user, id: bytes(asked.user.id) },
      excludeCredentials: withBytes(asked.excludeCredentials),
    },
  });
  return post(button, "/portal/passkeys/new", {
    answer: plain(credential),
    name: document.getElementById("passkey-name").value,
    next: button.dataset.next,
  });
}

const ways = { show, new: make };

for (const button of document.querySelectorAll("[data-passkey]")) {
  if (!window.PublicKeyCredential) continue;
  button.hidden = false;
  button.addEventListener("click", async () => {
    trouble.hidden = true;
    button.disabled = true;
    try {
      location.assign((await ways[button.dataset.passkey](button)).next);
    } catch {
      // Cancelled, timed out, or refused: the person sees one sentence and chooses again.
      trouble.hidden = false;
      button.disabled = false;
    }
  });
}
