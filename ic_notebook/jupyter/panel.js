const LABEL = "influencers.club sign-in";
const ANSWER_WITHIN = 3000;

const WAITING = {
  title: "Approve in the other tab",
  text: "This panel notices by itself, also while a cell is running.",
};
const PASTING = {
  title: "Approve in the other tab, then come back",
  text: "The last page will not load. That is expected: copy its address and paste it here.",
};
// Where it may well load, and a person has opened the field all the same.
const PASTING_AFTER_ALL = { ...PASTING, text: "Copy the address of the last page and paste it here." };
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
  looking: "busy",
  preparing: "busy",
  waiting: "busy",
  finishing: "busy",
  connected: "on",
  failed: "bad",
  ended: "warn",
  dead: "warn",
};

class Panel {
  view = EMPTY;
  saidNear = false;

  constructor(model, doors, publish) {
    this.model = model;
    this.doors = doors;
    this.publish = publish;
    const draw = (wanted) => this.draw(wanted);
    this.root = make("div", {
      class: "ic-notebook",
      role: "region",
      "aria-label": LABEL,
      tabindex: "-1",
      "data-lm-suppress-shortcuts": "true",
      keydown: (event) => this.onKey(event),
    });
    this.focus = new Focus(this.root);
    this.controls = new Controls(this.root, draw, () => this.onOpened());
    this.foot = new Foot(this.controls, {
      draw,
      send: (content, text) => this.send(content, text),
      change: (parts) => this.change(parts),
    });
    this.apps = new Apps(this.controls, {
      load: () => this.loadApps(),
      revoke: (id, name, key) => this.end({ type: "revoke", id }, `Disconnecting ${name}…`, key),
    });
    this.build();
    this.draw();
  }

  build() {
    this.dot = make("i", { "aria-hidden": "true" });
    this.status = make("div", { role: "status" });
    this.alert = make("div", { role: "alert" });
    this.actions = make("div", { class: "ic-do" });
    this.table = make("div", { class: "ic-apps" });
    this.cells = make("ul", { class: "ic-cells", "aria-label": "Cells to copy" });
    const say = make("div", { class: "ic-say" }, this.status, this.alert);
    const row = make("div", { class: "ic-row" }, this.dot, say, this.actions);
    this.root.append(row, this.table, this.foot.node, this.cells, this.controls.whisper);
  }

  // -- what comes in, what goes out

  show(view) {
    clearTimeout(this.silence);
    if (view.state !== this.view.state) {
      this.controls.reset();
      this.foot.paste.clear();
    }
    if (view.problem) this.controls.opened.add("paste");
    this.foot.paste.checking = false;
    this.saidNear = false;
    this.view = view;
    this.draw();
  }

  async send(content, text) {
    if (!(await this.doors.tell(content, text))) this.show(DEAD);
  }

  hello() {
    this.send({ type: "hello" });
    this.expectAnswer();
  }

  expectAnswer() {
    clearTimeout(this.silence);
    this.silence = setTimeout(() => this.show(DEAD), ANSWER_WITHIN);
  }

  /** A person comes back from the other tab: a kernel that has ended meanwhile has told nobody. */
  async lookAround() {
    if (this.view.state === "waiting" && (await this.doors.lost()) && this.view.state === "waiting") this.hello();
  }

  leave() {
    clearTimeout(this.silence);
    this.controls.leave();
    this.send({ type: "goodbye" });
  }

  // -- the picture

  get pasting() {
    const { state, blocked, paste_only } = this.view;
    if (blocked) return false;
    return state === "waiting" ? Boolean(paste_only) || this.controls.opened.has("paste") : state === "ready" && Boolean(paste_only);
  }

  draw(wanted = null) {
    const before = this.focus.place();
    this.dot.className = `ic-dot ${DOTS[this.view.state] ?? ""}`;
    this.drawWords();
    fill(this.actions, this.actionsNow());
    fill(this.table, this.apps.now(this.view));
    this.foot.show(this.view, this.pasting);
    fill(this.cells, cellRows(this.view, this.controls));
    this.focus.keep(before, wanted);
  }

  drawWords() {
    const loud = ["failed", "ended"].includes(this.view.state);
    const { profile, paste_only, state } = this.view;
    const pasting = paste_only ? PASTING : PASTING_AFTER_ALL;
    const { title, text } = this.pasting && state === "waiting" ? pasting : this.view;
    fill(loud ? this.status : this.alert);
    fill(
      loud ? this.alert : this.status,
      make("b", {}, words(title), profile ? ` · ${words(profile)}` : null),
      make("span", {}, this.foot.paste.checking ? "Checking the address…" : words(text)),
    );
  }

  actionsNow() {
    const { state, blocked, can_go_on } = this.view;
    if (can_go_on) return [this.controls.button("Go on without", "without", () => this.send({ type: "without" }))];
    if (state === "waiting") return blocked ? [] : [this.controls.button("Cancel", "cancel", () => this.send({ type: "cancel" }))];
    if (state === "connected") return this.connectedActions();
    return ["finishing", "empty", "dead"].includes(state) ? [] : [this.strong()];
  }

  strong() {
    const { state, url, action } = this.view;
    const label = words(action ?? "Connect");
    if (isWebAddress(url)) return this.controls.link(label, url, "go", "strong");
    if (state === "failed" || state === "ended") return this.controls.button(label, "strong", () => this.retry());
    if (state !== "idle") return this.controls.button(label, "strong", null, { class: "go", "aria-disabled": "true" });
    const near = () => this.near();
    return this.controls.button(label, "strong", () => this.connectSoon(), { class: "go", pointerenter: near, focus: near });
  }

  connectedActions() {
    const { controls } = this;
    const disconnect = () => this.end({ type: "disconnect" }, "Disconnecting…", "panel");
    if (!this.view.can_disconnect) return this.view.can_list === false ? [] : [this.apps.toggle()];
    if (controls.asking === "panel") return [this.apps.toggle(), controls.question("Disconnect?", disconnect)];
    const look = this.view.busy ? { "aria-disabled": "true" } : {};
    return [this.apps.toggle(), controls.button("Disconnect", "panel", () => controls.ask("panel"), look)];
  }

  // -- what a person does

  onOpened() {
    this.send({ type: "opened" });
    const { state, blocked, text } = this.view;
    if (state === "waiting") return;
    this.change({ ...WAITING, state: "waiting", text: blocked ? text : WAITING.text, problem: null });
    if (this.pasting) this.foot.paste.field.focus();
  }

  /** What a person will see anyway, before the kernel has heard of it. */
  change(parts) {
    this.publish({ ...this.view, ...parts });
  }

  near() {
    if (this.saidNear || this.focus.moving) return;
    this.saidNear = true;
    this.send({ type: "near" });
  }

  connectSoon() {
    this.near();
    this.change(PREPARING);
    this.expectAnswer();
  }

  retry() {
    this.send({ type: "retry" });
    this.change({ ...PREPARING, action: "Connect" });
    this.expectAnswer();
  }

  loadApps() {
    this.change({ apps: { loading: true } });
    this.send({ type: "apps" });
  }

  end(intent, sentence, key) {
    this.controls.asking = null;
    this.change({ busy: sentence });
    this.focus.toKey(key);
    this.send(intent);
  }

  onKey(event) {
    const plain = !(event.ctrlKey || event.metaKey || event.altKey);
    const inField = event.target === this.foot.paste.field;
    if (plain || inField) event.stopPropagation(); // "dd" here must not delete the cell
    if (event.key !== "Escape") return;
    if (this.controls.asking) this.controls.unask();
    else if (inField && this.controls.opened.delete("paste")) this.draw("paste");
  }
}

// A function, so that each model has its own: front ends hand `initialize` and `render` different proxies of one model.
export default () => {
  const panels = new Set();
  let latest = null;
  let doors = null;

  function publish(view) {
    latest = view;
    for (const panel of panels) panel.show(view);
  }

  return {
    initialize({ model }) {
      doors = new Doors(model);
      model.on("msg:custom", (content) => {
        if (content?.type !== "view") return;
        doors.show(content.view.door, content.view.veil);
        publish(content.view);
      });
      model.on("comm_live_update", () => {
        doors.forget();
        latest = null; // the kernel was restarted, or lost and found: what it said last may be untrue
        for (const panel of panels) panel.hello();
      });
    },
    render({ model, el }) {
      const panel = new Panel(model, doors, publish);
      const back = () => panel.lookAround();
      window.addEventListener("focus", back);
      panels.add(panel);
      el.append(panel.root);
      panel.hello();
      if (latest) panel.show(latest);
      return () => {
        window.removeEventListener("focus", back);
        panels.delete(panel);
        panel.leave();
        panel.root.remove();
      };
    },
  };
};
