// The tablet's own small store (IndexedDB): unsent answers, and the key of the child signed in.
//
// A tablet is shared. An unsent answer is kept encrypted under its child's key, which the server
// gives to that child's session alone; it is imported non-extractable and thrown away at sign-out.
// So an answer survives a change of child unread, and goes out when its own child is back.
// Without IndexedDB or WebCrypto (an address without https) nothing is written: see queue.js.

const NAME = "kizashi-child";

export const usable = () => Boolean(globalThis.indexedDB && globalThis.crypto?.subtle);

const result = (request) =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });

async function open() {
  const request = indexedDB.open(NAME, 1);
  request.onupgradeneeded = () => {
    request.result.createObjectStore("unsent", { keyPath: "id" });
    request.result.createObjectStore("keys", { keyPath: "child" });
  };
  return result(request);
}

async function within(store, mode, work) {
  const database = await open();
  try {
    const transaction = database.transaction(store, mode, { durability: "strict" });
    const found = await work(transaction.objectStore(store));
    await new Promise((resolve, reject) => {
      transaction.oncomplete = resolve;
      transaction.onabort = transaction.onerror = () => reject(transaction.error);
      if (mode === "readonly") resolve();
    });
    return found;
  } finally {
    database.close();
  }
}

export const unsent = () => within("unsent", "readonly", (store) => result(store.getAll()));
export const keep = (entry) => within("unsent", "readwrite", (store) => result(store.put(entry)));
export const drop = (id) => within("unsent", "readwrite", (store) => result(store.delete(id)));

export async function signedIn() {
  const [first] = await within("keys", "readonly", (store) => result(store.getAll()));
  return first ?? null;
}

export async function signIn({ child, key, csrf, offset }) {
  const raw = Uint8Array.from(key.match(/../g), (pair) => Number.parseInt(pair, 16));
  const cryptoKey = await crypto.subtle.importKey("raw", raw, "AES-GCM", false, ["encrypt", "decrypt"]);
  const entry = { child, key: cryptoKey, csrf, offset };
  await within("keys", "readwrite", async (store) => {
    await result(store.clear());
    await result(store.put(entry));
  });
  return entry;
}

export const signOut = () => within("keys", "readwrite", (store) => result(store.clear()));

export async function seal(key, value) {
  const iv = crypto.getRandomValues(new Uint8Array(12));
  const clear = new TextEncoder().encode(JSON.stringify(value));
  return { iv, data: await crypto.subtle.encrypt({ name: "AES-GCM", iv }, key, clear) };
}

export async function unseal(key, { iv, data }) {
  const clear = await crypto.subtle.decrypt({ name: "AES-GCM", iv }, key, data);
  return JSON.parse(new TextDecoder().decode(clear));
}
