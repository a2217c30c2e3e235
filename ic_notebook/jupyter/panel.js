const LABEL = "influencers.club sign-in";
const ANSWER_WITHIN = 3000;
const COPIED_FOR = 2000;

const WAITING = {
  title: "Approve in the other tab",
  text: "This panel notices by itself, also while a cell is running.",
};
const PASTING = {
  title: "Approve in the other tab, then come back",
  text: "The last page will not load. That is expected: copy its address and paste it here.",
};
const PREPARING = { state: "preparing", title: "influencers.club", text: "Getting ready…" };
const EMPTY = { state: "empty", title: "influencers.club", text: "" };
const DEAD = {
  state: "dead",
  title: "influencers.club",
  text:
    "This panel is not connected to a running kernel. " +
    "Run its cell again (%load_ext ic_notebook), or wait until the running cell ends.",
};
const DOTS = {
  preparing: "busy",
  waiting: "busy",
  finishing: "busy",
  connected: "on",
  failed: "bad",
  ended: "warn",
  dead: "warn",
};

/** An element. A function is a listener, a string child a text node: nothing is ever parsed as HTML. */
function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") node.addEventListener(name, value);
    else if (value !== null && value !== undefined && value !== false) node.setAttribute(name, value);
  }
  node.append(...children.flat().filter((child) => child !== null));
  return node;
}

const words = (value) => String(value ?? "");

/** Replaces what `part` holds, unless it looks the same: then focus, selection and live regions stay as they are. */
function fill(part, ...children) {
  const fresh = part.cloneNode(false);
  fresh.append(...children.flat().filter((child) => child !== null));
  if (!fresh.isEqualNode(part)) part.replaceChildren(...fresh.childNodes);
}

function isWebAddress(url) {
  try {
    return ["https:", "http:"].includes(new URL(url).protocol);
  } catch {
    return false;
  }
}

async function toClipboard(text, near) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copyBySelection(text, near);
  }
}

// navigator.clipboard exists only on https and localhost; many a Hub is neither.
function copyBySelection(text, near) {
  const focused = near.getRootNode().activeElement;
  const area = make("textarea", { class: "ic-unseen", readonly: "", "aria-hidden": "true" });
  area.value = text;
  near.append(area);
  area.select();
  const copied = document.execCommand("copy");
  area.remove();
  focused?.focus();
  return copied;
}

class Panel {
  view = EMPTY;
  opened = new Set();
  asking = null;
  checking = false;
  saidNear = false;
  copied = null;

  constructor(model, publish) {
    this.model = model;
    this.publish = publish;
    this.dot = make("i", { "aria-hidden": "true" });
    this.status = make("div", { role: "status" });
    this.alert = make("div", { role: "alert" });
    this.actions = make("div", { class: "ic-do" });
    this.apps = make("div", { class: "ic-apps" });
    this.form = this.pasteForm();
    this.notes = make("div", { class: "ic-notes" });
    this.busy = make("div", { class: "ic-busy", role: "status" });
    this.foot = make("div", { class: "ic-foot" }, this.form, this.problem, this.busy, this.notes);
    this.cells = make("ul", { class: "ic-cells", "aria-label": "Cells to copy" });
    this.whisper = make("span", { class: "ic-unseen", role: "status" });
    const say = make("div", { class: "ic-say" }, this.status, this.alert);
    this.root = make(
      "div",
      {
        class: "ic-notebook",
        role: "region",
        "aria-label": LABEL,
        tabindex: "-1",
        "data-lm-suppress-shortcuts": "true",
        keydown: (event) => this.onKey(event),
      },
      make("div", { class: "ic-row" }, this.dot, say, this.actions),
      this.apps,
      this.foot,
      this.cells,
      this.whisper,
    );
    this.draw();
  }

  // -- what comes in, what goes out

  show(view) {
    clearTimeout(this.silence);
    if (view.state !== this.view.state) {
      this.asking = null;
      this.opened.clear();
      this.field.value = "";
    }
    if (view.problem) this.opened.add("paste");
    this.checking = false;
    this.saidNear = false;
    this.view = view;
    this.draw();
  }

  send(content, buffers) {
    try {
      this.model.send(content, undefined, buffers);
    } catch {
      this.show(DEAD); // the kernel is gone, its connection is closed
    }
  }

  hello() {
    clearTimeout(this.silence);
    this.silence = setTimeout(() => this.show(DEAD), ANSWER_WITHIN);
    this.send({ type: "hello" });
  }

  leave() {
    clearTimeout(this.silence);
    clearTimeout(this.fading);
    this.send({ type: "goodbye" });
  }

  // -- the picture

  get pasting() {
    const { state, blocked, paste_only } = this.view;
    if (blocked) return false;
    return state === "waiting" ? Boolean(paste_only) || this.opened.has("paste") : state === "ready" && Boolean(paste_only);
  }

  draw(wanted = null) {
    const before = this.placeOfFocus();
    const { state, problem, busy } = this.view;
    this.dot.className = `ic-dot ${DOTS[state] ?? ""}`;
    this.drawWords();
    fill(this.actions, this.actionsNow());
    fill(this.apps, this.appsNow());
    fill(this.notes, this.notesNow());
    fill(this.cells, this.cellsNow());
    this.form.hidden = !this.pasting;
    const wrong = this.pasting && !this.checking ? words(problem) : "";
    fill(this.problem, wrong || null);
    this.field.placeholder = words(this.view.paste_hint);
    this.field.setAttribute("aria-invalid", String(Boolean(wrong)));
    fill(this.busy, busy ? [make("i", { class: "ic-dot busy", "aria-hidden": "true" }), words(busy)] : null);
    const footed = this.pasting || busy || this.notes.firstChild;
    this.foot.classList.toggle("ic-none", !footed);
    this.keepFocus(before, wanted);
  }

  drawWords() {
    const loud = ["failed", "ended"].includes(this.view.state);
    const { title, text } = this.pasting && this.view.state === "waiting" ? PASTING : this.view;
    fill(loud ? this.status : this.alert);
    fill(
      loud ? this.alert : this.status,
      make("b", {}, words(title)),
      make("span", {}, this.checking ? "Checking the address…" : words(text)),
    );
  }

  actionsNow() {
    const { state, blocked } = this.view;
    if (state === "waiting") return blocked ? [] : [this.button("Cancel", "cancel", () => this.send({ type: "cancel" }))];
    if (state === "connected") return this.connectedActions();
    return ["finishing", "empty", "dead"].includes(state) ? [] : [this.strong()];
  }

  strong() {
    const { state, url, action } = this.view;
    const label = words(action ?? "Connect");
    if (isWebAddress(url)) return this.link(label, url, "go", "strong");
    if (state === "failed" || state === "ended") return this.button(label, "strong", () => this.retry());
    if (state !== "idle") return this.button(label, "strong", null, { class: "go", "aria-disabled": "true" });
    const near = () => this.near();
    return this.button(label, "strong", () => this.connectSoon(), { class: "go", pointerenter: near, focus: near });
  }

  connectedActions() {
    const apps = this.toggle("Apps", "apps", () => this.loadApps());
    if (!this.view.can_disconnect) return [apps];
    if (this.asking === "panel") return [apps, this.question("Disconnect?", () => this.disconnect())];
    return [apps, this.button("Disconnect", "panel", () => this.ask("panel"), this.whileBusy())];
  }

  notesNow() {
    const { state, host, blocked, next, cells } = this.view;
    if (["idle", "preparing", "ready"].includes(state) && host) {
      return [make("span", { class: "ic-end" }, `Opens ${host} in a new tab`)];
    }
    if (state === "waiting") return [this.tabNote(), blocked || this.pasting ? null : this.pasteNote()];
    if (state !== "connected") return [];
    return [
      next ? make("span", {}, "Next: ", make("code", {}, words(next))) : null,
      cells?.length ? make("span", { class: "ic-end" }, this.toggle("Show cells", "cells")) : null,
    ];
  }

  tabNote() {
    const { url } = this.view;
    if (!isWebAddress(url)) return null;
    const copy = this.copier("copy the link", "copied", "address", url, () => this.send({ type: "opened" }));
    return make("span", {}, "No tab? ", this.link("Open it again", url, "ic-link", "again"), " or ", copy);
  }

  pasteNote() {
    const open = this.button("Paste its address", "paste", () => this.openPaste(), { class: "ic-link" });
    return make("span", { class: "ic-end" }, "The last page would not load? ", open);
  }

  appsNow() {
    if (this.view.state !== "connected" || !this.opened.has("apps")) return [];
    const { loading, problem, rows } = this.view.apps ?? { loading: true };
    if (problem) {
      const again = this.button("Try again", "apps-again", () => this.loadApps(), { class: "ic-link" });
      return [make("p", { role: "alert" }, make("span", {}, words(problem)), again)];
    }
    if (loading) return [make("p", { role: "status" }, make("i", { class: "ic-dot busy", "aria-hidden": "true" }), "Loading the connected apps…")];
    if (!rows?.length) return [make("p", {}, "No app is connected.")];
    return [this.appTable(rows)];
  }

  // Roles in full: at 320 px the rows are laid out as a grid, which takes them from a table in some browsers.
  appTable(rows) {
    const head = ["App", "Connected"].map((name) => make("th", { role: "columnheader", scope: "col" }, name));
    const last = make("th", { role: "columnheader", scope: "col" }, make("span", { class: "ic-unseen" }, "Action"));
    return make(
      "table",
      { role: "table", "aria-label": "Connected apps" },
      make("thead", { role: "rowgroup" }, make("tr", { role: "row" }, head, last)),
      make("tbody", { role: "rowgroup" }, rows.map((row) => this.appRow(row))),
    );
  }

  appRow({ id, name, connected, own, can_revoke }) {
    const key = `app ${id}`;
    const control = () =>
      this.asking === key
        ? this.question(`Disconnect ${words(name)}?`, () => this.revoke(id, name, key))
        : this.button("Disconnect", key, () => this.ask(key), {
            class: "ic-link",
            "aria-label": `Disconnect ${words(name)}`,
            ...this.whileBusy(),
          });
    return make(
      "tr",
      { role: "row" },
      make("td", { role: "cell" }, words(name), own ? make("span", { class: "ic-tag" }, "this one") : null),
      make("td", { role: "cell" }, words(connected)),
      make("td", { role: "cell" }, can_revoke ? control() : null),
    );
  }

  cellsNow() {
    if (this.view.state !== "connected" || !this.opened.has("cells")) return [];
    return (this.view.cells ?? []).map(({ name, title, code }) =>
      make(
        "li",
        {},
        make("span", {}, words(title)),
        make("code", {}, words(code)),
        this.copier("Copy", "Copied", `cell ${name}`, words(code), () => {}, `Copy ${words(title)}`),
      ),
    );
  }

  // -- controls

  button(label, key, act, attributes = {}) {
    const click = () => act?.();
    const guarded = attributes["aria-disabled"] ? {} : { click };
    return make("button", { type: "button", "data-key": key, ...guarded, ...attributes }, label);
  }

  link(label, url, look, key) {
    const opened = (event) => {
      if (event.type === "click" || event.button === 1) this.onOpened();
    };
    return make(
      "a",
      { class: look, href: url, target: "_blank", rel: "noopener noreferrer", "data-key": key, click: opened, auxclick: opened },
      label,
    );
  }

  toggle(label, key, onOpen) {
    const open = this.opened.has(key);
    const flip = () => {
      if (open) this.opened.delete(key);
      else this.opened.add(key);
      this.draw();
      if (!open) onOpen?.();
    };
    return this.button(label, `${key}-toggle`, flip, { class: "ic-link ic-toggle", "aria-expanded": String(open) });
  }

  copier(label, done, key, text, onCopied, name = null) {
    const act = async () => {
      const copied = await toClipboard(text, this.root);
      if (copied) onCopied();
      this.noteCopy(key, copied);
    };
    const told = this.copied?.key === key ? (this.copied.done ? done : "not copied") : label;
    return this.button(told, key, act, { class: "ic-link ic-copy", "aria-label": told === label ? name : null });
  }

  question(sentence, yes) {
    const look = { class: "ic-link" };
    return make(
      "span",
      { class: "ic-question", role: "group", "aria-label": sentence },
      make("span", {}, "Disconnect?"),
      this.button("Yes", "yes", yes, look),
      this.button("No", "no", () => this.unask(), look),
    );
  }

  whileBusy() {
    return this.view.busy ? { "aria-disabled": "true" } : {};
  }

  pasteForm() {
    const id = `ic-problem-${Math.random().toString(36).slice(2)}`;
    this.problem = make("div", { class: "ic-problem", role: "alert", id });
    this.field = make("input", {
      type: "text",
      inputmode: "url",
      autocomplete: "off",
      autocapitalize: "off",
      spellcheck: "false",
      "data-key": "field",
      "aria-label": "Address of the last page, or the code",
      "aria-describedby": id,
      paste: (event) => this.onPaste(event),
    });
    const submit = (event) => {
      event.preventDefault();
      if (!this.submit(this.field.value)) this.readClipboard();
    };
    return make("form", { submit, novalidate: "" }, this.field, make("button", { type: "submit", class: "go", "data-key": "submit" }, "Paste"));
  }

  // -- what a person does

  onOpened() {
    this.send({ type: "opened" });
    const { state, blocked, text } = this.view;
    if (state === "waiting") return;
    this.publish({ ...this.view, ...WAITING, state: "waiting", text: blocked ? text : WAITING.text, problem: null });
    if (this.pasting) this.field.focus();
  }

  near() {
    if (this.saidNear || this.movingFocus) return;
    this.saidNear = true;
    this.send({ type: "near" });
  }

  connectSoon() {
    this.near();
    this.publish({ ...this.view, ...PREPARING });
  }

  retry() {
    this.send({ type: "retry" });
    this.publish({ ...this.view, ...PREPARING, action: "Connect" });
  }

  openPaste() {
    this.opened.add("paste");
    this.draw("field");
  }

  onPaste(event) {
    if (this.submit(event.clipboardData?.getData("text"))) event.preventDefault();
  }

  submit(text) {
    if (!text?.trim()) return false;
    this.field.value = "";
    this.checking = true;
    this.draw();
    // Beside the message, not in it: a kernel's log at DEBUG prints what is in it.
    this.send({ type: "paste" }, [new TextEncoder().encode(text).buffer]);
    return true;
  }

  async readClipboard() {
    try {
      if (this.submit(await navigator.clipboard.readText())) return;
    } catch {
      // not allowed, or not there: the person pastes into the field
    }
    this.field.focus();
  }

  loadApps() {
    this.publish({ ...this.view, apps: { loading: true } });
    this.send({ type: "apps" });
  }

  ask(key) {
    this.asking = key;
    this.draw("no");
  }

  unask() {
    const key = this.asking;
    this.asking = null;
    this.draw(key);
  }

  revoke(id, name, key) {
    this.asking = null;
    this.publish({ ...this.view, busy: `Disconnecting ${words(name)}…` });
    this.focusKey(key);
    this.send({ type: "revoke", id });
  }

  disconnect() {
    this.asking = null;
    this.publish({ ...this.view, busy: "Disconnecting…" });
    this.focusKey("panel");
    this.send({ type: "disconnect" });
  }

  noteCopy(key, done) {
    clearTimeout(this.fading);
    this.copied = { key, done };
    this.whisper.textContent = done ? "Copied" : "Not copied";
    this.draw();
    this.fading = setTimeout(() => {
      this.copied = null;
      this.whisper.textContent = "";
      this.draw();
    }, COPIED_FOR);
  }

  onKey(event) {
    const plain = !(event.ctrlKey || event.metaKey || event.altKey);
    if (plain || event.target === this.field) event.stopPropagation(); // "dd" here must not delete the cell
    if (event.key !== "Escape") return;
    if (this.asking) this.unask();
    else if (event.target === this.field && this.opened.delete("paste")) this.draw("paste");
  }

  // -- focus: it never falls to the page's body, and is never taken from elsewhere

  controls(part) {
    return [...part.querySelectorAll("a[href], button, input")].filter((node) => !node.closest("[hidden]"));
  }

  placeOfFocus() {
    const node = this.root.getRootNode().activeElement;
    if (!node || !this.root.contains(node)) return null;
    const part = node.closest(".ic-do, .ic-apps, .ic-foot, .ic-cells") ?? this.root;
    return { node, part, index: this.controls(part).indexOf(node) };
  }

  keepFocus(before, wanted) {
    if (wanted && this.focusKey(wanted)) return;
    if (!before || (before.node.isConnected && !before.node.closest("[hidden]"))) return;
    if (this.focusKey(before.node.dataset.key)) return;
    const here = this.controls(before.part);
    this.focusOn(here[Math.min(before.index, here.length - 1)] ?? this.controls(this.root)[0] ?? this.root);
  }

  focusKey(key) {
    const node = this.controls(this.root).find((control) => control.dataset.key === key);
    if (node) this.focusOn(node);
    return Boolean(node);
  }

  focusOn(node) {
    this.movingFocus = true;
    node.focus({ preventScroll: true });
    this.movingFocus = false;
  }
}

// A function, so that each model has its own: front ends hand `initialize` and `render` different proxies of one model.
export default () => {
  const panels = new Set();
  let latest = null;

  function publish(view) {
    latest = view;
    for (const panel of panels) panel.show(view);
  }

  return {
    initialize({ model }) {
      model.on("msg:custom", (content) => {
        if (content?.type === "view") publish(content.view);
      });
      model.on("comm_live_update", () => {
        latest = null; // the kernel was restarted, or lost and found: what it said last may be untrue
        for (const panel of panels) panel.hello();
      });
    },
    render({ model, el }) {
      const panel = new Panel(model, publish);
      panels.add(panel);
      el.append(panel.root);
      panel.hello();
      if (latest) panel.show(latest);
      return () => {
        panels.delete(panel);
        panel.leave();
        panel.root.remove();
      };
    },
  };
};
