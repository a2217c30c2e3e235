const TRY_WITHIN = { loopback: 250, extension: 350, "server-proxy": 200, hosted: 500 };
const STILL_WITHIN = 5000;
const OVER_HTTP = ["opened", "cancel", "register", "paste", "answer"];

// A VS Code window is on the person's own computer, and asks nobody for leave.
const isLocal = () => isLoopback(location.hostname) || location.protocol === "vscode-webview:";

const isLoopback = (host) => host === "localhost" || host === "[::1]" || /^127(\.\d{1,3}){3}$/.test(host);

/** Where the Jupyter server of this page is: its base URL, or null where the page is of something else. */
function jupyterBase() {
  try {
    const lab = document.getElementById("jupyter-config-data");
    const base = lab ? JSON.parse(lab.textContent).baseUrl : document.body.dataset.baseUrl;
    return base ? new URL(base, location.href).pathname.replace(/\/?$/, "/") : null;
  } catch {
    return null;
  }
}

const xsrf = () => document.cookie.match(/(?:^|; )_xsrf=([^;]*)/)?.[1] ?? "";

/** The ways from this page to the kernel's listener that pass a busy kernel: tried, and then used. */
class Doors {
  door = null;
  way = null;

  constructor(model) {
    this.model = model;
    this.base = jupyterBase();
  }

  /** What the kernel says of its listener: a new one is tried, a lost one is forgotten. */
  show(door, veil = null) {
    this.veil = veil;
    this.listenFor(door?.state);
    if (door?.key === this.door?.key) return;
    this.door = door ?? null;
    this.way = null;
    if (door) this.explore(door);
  }

  forget() {
    this.show(null);
  }

  ways() {
    const ways = [];
    const { port } = this.door;
    // From any other page a browser would ask the person for leave to reach this computer.
    if (isLocal()) ways.push({ name: "loopback", url: `http://127.0.0.1:${port}/door` });
    if (this.base) {
      ways.push({ name: "extension", url: `${this.base}ic-notebook/door` });
      ways.push({ name: "server-proxy", url: `${this.base}proxy/${port}/door` });
    }
    return ways;
  }

  async explore(door) {
    const tried = [];
    for (const way of this.ways()) {
      const asking = this.ask(way, { type: "probe" }, STILL_WITHIN);
      const found = await Promise.race([asking, wait(TRY_WITHIN[way.name], { why: "no answer in time" })]);
      if (door !== this.door) return;
      tried.push(...this.entries(way, found));
      if (found.ok || found.relays) break;
      if (found.why === "no answer in time") this.awaitLate(door, way, asking, tried);
    }
    const hosted = tried.some(({ ok }) => ok) ? null : await this.hosted(door);
    if (door !== this.door) return;
    if (hosted) tried.push({ name: "hosted", ok: true });
    this.report(door, tried, hosted);
  }

  /** A hosted notebook's proxy of one port (Google Colab's), which a page cannot prove: a click has to. */
  async hosted({ port }) {
    try {
      const url = await Promise.race([google.colab.kernel.proxyPort(port, { cache: false }), wait(TRY_WITHIN.hosted)]);
      return url ? new URL(url).origin : null;
    } catch {
      return null; // not such a place
    }
  }

  entries({ name }, { ok, relays, why }) {
    if (relays) return [{ name, ok: false, why }, { name: "page", ok: true }];
    return [{ name, ok: Boolean(ok), why: ok ? "" : why }];
  }

  async awaitLate(door, way, asking, tried) {
    const found = await asking;
    if (door !== this.door || !(found.ok || found.relays)) return;
    const others = tried.filter(({ name }) => name !== way.name);
    this.report(door, [...others, ...this.entries(way, found)]);
  }

  /** To the kernel by both ways: one of them may be shut. */
  report(door, tried, hosted = null) {
    const findings = { type: "routes", tried, origin: location.origin, base_url: this.base, hosted };
    if (this.way) this.ask(this.way, findings, STILL_WITHIN);
    try {
      this.model.send(findings);
    } catch {
      // the kernel is gone; the panel says so by itself
    }
  }

  /** Sends one message by a way. Answers `{ok}`, `{relays}` (a server whose kernel is elsewhere) or `{why}`. */
  async ask(way, message, within) {
    const { key, answer } = this.door;
    const ours = way.name !== "loopback";
    const stop = new AbortController();
    const timer = setTimeout(() => stop.abort(), within);
    try {
      const response = await fetch(way.url, {
        method: "POST",
        mode: ours ? "same-origin" : "cors",
        credentials: ours ? "same-origin" : "omit",
        redirect: "error",
        cache: "no-store",
        referrerPolicy: "no-referrer",
        headers: ours ? { "X-XSRFToken": xsrf() } : {},
        body: JSON.stringify({ ...message, key, origin: location.origin }),
        signal: stop.signal,
      });
      if (!response.ok) return { why: response.status === 404 ? "not there" : "refused" };
      const text = await response.text();
      if (way.name !== "extension") return this.checked(way, text === answer);
      const said = JSON.parse(text);
      if (said.kernel) return { relays: true, why: words(said.kernel) };
      return this.checked(way, said.answer === answer);
    } catch (error) {
      return { why: stop.signal.aborted ? "no answer in time" : "not reached" };
    } finally {
      clearTimeout(timer);
    }
  }

  checked(way, right) {
    if (right) this.way = way;
    return right ? { ok: true } : { why: "another answer" };
  }

  /** Whether what was proven works no more: the kernel has ended. */
  async lost() {
    return this.way !== null && !(await this.ask(this.way, { type: "probe" }, STILL_WITHIN)).ok;
  }

  /**
   * By a way past the kernel's queue, where one is open; else as a message of the widget. False where the kernel is
   * gone, its connection closed.
   */
  async tell(content, text) {
    const said = text === undefined ? content : { ...content, text };
    if (this.way && OVER_HTTP.includes(said.type) && (await this.ask(this.way, said, STILL_WITHIN)).ok) return true;
    try {
      this.model.send(text === undefined ? content : { ...content, ...veiled(text, this.veil) });
      return true;
    } catch {
      return false;
    }
  }

  /** To the last page, which is on this origin, where its server has not found the kernel. */
  listenFor(state) {
    if (this.state === (state ?? null)) return;
    this.state = state ?? null;
    this.channel?.close();
    this.channel = state ? new BroadcastChannel(`ic-notebook ${state}`) : null;
    if (!this.channel) return;
    const { channel } = this;
    channel.onmessage = async ({ data }) => {
      if (typeof data?.query !== "string" || !(await this.tell({ type: "answer" }, data.query))) return;
      channel.postMessage({ taken: true });
    };
    channel.postMessage({ listening: true }); // a last page that was there before this panel says it again
  }
}

/** Text that a kernel's log at DEBUG is not to show, combined with the random bytes that the kernel has told. */
function veiled(text, { number, bytes }) {
  const row = Uint8Array.from(atob(bytes), (letter) => letter.charCodeAt(0));
  const plain = new TextEncoder().encode(text);
  // What is longer is no address; half of one might look like it.
  const sent = plain.subarray(0, plain.length > row.length ? 1 : plain.length).map((byte, place) => byte ^ row[place]);
  return { veil: number, text: btoa(String.fromCharCode(...sent)) };
}

const wait = (milliseconds, value) => new Promise((done) => setTimeout(done, milliseconds, value));
