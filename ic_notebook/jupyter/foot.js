/** What stands below: the field to paste into, what takes its time, the box to tick, and what else may help. */
class Foot {
  constructor(controls, { send, draw, change }) {
    this.controls = controls;
    this.send = send;
    this.draw = draw;
    this.change = change;
    this.paste = new PasteForm(send, draw);
    this.remember = new RememberBox(send);
    // Each a region of its own: where one changes, the others are not read out again.
    this.busy = make("div", { class: "ic-aside", role: "status" });
    this.notice = make("div", { class: "ic-aside", role: "status" });
    this.remark = make("div", { class: "ic-aside", role: "status" });
    this.notes = make("div", { class: "ic-notes" });
    this.line = make("div", { class: "ic-line" }, this.remember.node, this.notes);
    const asides = [this.busy, this.notice, this.remark];
    this.node = make("div", { class: "ic-foot" }, this.paste.form, this.paste.problem, asides, this.line);
  }

  show(view, pasting) {
    const { busy, notice, remark, remember } = view;
    this.paste.show(pasting, view.problem, view.paste_hint);
    this.remember.show(remember);
    fill(this.busy, busy ? underWay(busy) : null);
    fill(this.notice, notice ? underWay(notice) : null);
    fill(this.remark, remark ? aside("warn", remark) : null);
    fill(this.notes, this.notesNow(view, pasting));
    this.line.hidden = !remember && !this.notes.firstChild;
    const footed = pasting || busy || notice || remark || !this.line.hidden;
    this.node.classList.toggle("ic-none", !footed);
  }

  notesNow(view, pasting) {
    const { state, blocked, next, cells } = view;
    if (state === "waiting") {
      return [this.tabNote(view), blocked ? null : this.errorNote(view), blocked || pasting ? null : this.pasteNote()];
    }
    if (state !== "connected") return this.hostNote(view);
    return [
      next ? make("span", {}, "Next: ", make("code", {}, words(next))) : null,
      cells?.length ? make("span", { class: "ic-end" }, this.controls.toggle("Show cells", "cells")) : null,
    ];
  }

  hostNote({ state, host, way, url }) {
    const opens = ["looking", "idle", "preparing"].includes(state) || isWebAddress(url);
    const words = way ? `Opens ${host} in a new tab and ${way}` : `Opens ${host} in a new tab`;
    return opens && host ? [make("span", { class: "ic-end" }, words)] : [];
  }

  tabNote({ url }) {
    if (!isWebAddress(url)) return null;
    const copy = this.controls.copier("copy the link", "copied", "address", url, () => this.send({ type: "opened" }));
    return make("span", {}, "No tab? ", this.controls.link("Open it again", url, "ic-link", "again"), " or ", copy);
  }

  errorNote({ busy, direct_url }) {
    if (isWebAddress(direct_url)) {
      // A proxy that lets no page through: the approval still can be had, and its last address be pasted.
      const direct = this.controls.link("Go to the approval page itself", direct_url, "ic-link", "direct");
      direct.addEventListener("click", () => {
        this.controls.opened.add("paste");
        this.draw("field");
      });
      return make("span", {}, "An error there? ", direct);
    }
    const register = () => {
      this.send({ type: "register" });
      this.change({ busy: "Registering this program again…" });
    };
    const look = { class: "ic-link", "data-then": "strong", "aria-disabled": busy ? "true" : null };
    return make("span", {}, "An error there? ", this.controls.button("Register again", "register", register, look));
  }

  pasteNote() {
    const open = () => {
      this.controls.opened.add("paste");
      this.draw("field");
    };
    const button = this.controls.button("Paste its address", "paste", open, { class: "ic-link" });
    return make("span", { class: "ic-end" }, "The last page would not load? ", button);
  }
}
