// The reviewer's acts that the server has not confirmed yet, and the requests that send them; deck and grid share it.
// Until it is confirmed, each act has its own entry in the browser's storage, so that no reload, crash or absent
// server loses it. Each act has an id, so one that is sent twice counts once. Two windows of one browser share the
// storage and may both send an act, which is harmless.

class Outbox {
  constructor(project, generation) {
    this.prefix = `sid/unsent/${project}/`;
    this.generation = generation;
    this.last = 0;
    this.inMemory = new Map(); // if storage is full or forbidden, acts last as long as the page
  }

  // Return the unconfirmed acts in the order in which they were done.
  list() {
    const entries = [...this.inMemory];
    for (let at = 0; at < localStorage.length; at++) {
      const key = localStorage.key(at);
      if (key.startsWith(this.prefix)) entries.push([key, localStorage.getItem(key)]);
    }
    return entries.sort(([a], [b]) => (a < b ? -1 : 1)).map(([, text]) => JSON.parse(text));
  }

  add(act) {
    // Never the same microsecond twice, so that the keys sort in the order of the acts.
    this.last = Math.max(this.last + 1, Math.round((performance.timeOrigin + performance.now()) * 1000));
    const key = `${this.prefix}${this.generation}/${String(this.last).padStart(17, "0")}/${act.id}`;
    try {
      localStorage.setItem(key, JSON.stringify(act));
    } catch {
      this.inMemory.set(key, JSON.stringify(act));
    }
  }

  confirm(ids) {
    const gone = new Set(ids);
    for (const key of [...Object.keys(localStorage), ...this.inMemory.keys()]) {
      if (key.startsWith(this.prefix) && gone.has(key.slice(key.lastIndexOf("/") + 1))) {
        localStorage.removeItem(key);
        this.inMemory.delete(key);
      }
    }
  }
}

// Send requests one at a time, so that acts arrive in the order in which they were done; repeat those that fail.
class Sender {
  constructor({ url, request, answered, failed }) {
    Object.assign(this, { url, request, answered, failed });
    this.busy = false;
    this.again = false;
    this.fails = 0;
    this.timer = null;
    this.closed = false;
  }

  soon(milliseconds = 120) {
    if (this.closed) return;
    if (this.timer !== null && this.due <= performance.now() + milliseconds) return;
    clearTimeout(this.timer);
    this.due = performance.now() + milliseconds;
    this.timer = setTimeout(() => this.send(), milliseconds);
  }

  async send() {
    this.timer = null;
    if (this.busy) {
      this.again = true;
      return;
    }
    this.busy = true;
    try {
      const asked = this.request();
      const answer = await post(this.url, asked);
      this.fails = 0;
      if (!this.closed) this.answered(answer, asked);
    } catch (error) {
      this.fails += 1;
      if (!this.closed) {
        this.failed(error);
        this.soon(Math.min(5000, 250 * 2 ** this.fails));
      }
    } finally {
      this.busy = false;
      if (this.again) {
        this.again = false;
        this.soon(0);
      }
    }
  }

  close() {
    this.closed = true;
    clearTimeout(this.timer);
  }
}

async function post(url, asked) {
  const patience = AbortSignal.timeout(20000);
  const answer = await fetch(url, {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(asked), signal: patience,
  });
  const told = answer.status < 500 || answer.status === 503; // 503: a problem of the machine, which may pass
  if (!answer.ok) throw new Error(told ? await answer.text() : `error ${answer.status}`);
  return answer.json();
}

// Not crypto.randomUUID: without https, browsers offer that on localhost only.
function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

// The name by which the server knows this window; it survives a reload.
function browserName() {
  let name = sessionStorage.getItem("sid/browser");
  if (!name) {
    name = newId();
    sessionStorage.setItem("sid/browser", name);
  }
  return name;
}
