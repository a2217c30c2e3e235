/** *Remember on this computer*: one node for good, so that focus and a tick outlast every drawing. */
class RememberBox {
  chosen = null;
  refused = false;

  constructor(send) {
    const id = `ic-why-${Math.random().toString(36).slice(2)}`;
    this.box = make("input", {
      type: "checkbox",
      "data-key": "remember",
      "aria-describedby": id,
      click: (event) => this.refused && event.preventDefault(),
      change: () => {
        this.chosen = this.box.checked;
        send({ type: "remember", on: this.chosen });
      },
    });
    this.why = make("span", { id });
    this.node = make("div", { class: "ic-remember" }, make("label", {}, this.box, "Remember on this computer"), this.why);
  }

  show(remember) {
    const { on, problem, reason } = remember ?? {};
    // A picture that was on its way already does not take a tick back.
    if (!remember || problem || Boolean(on) === this.chosen) this.chosen = null;
    this.node.hidden = !remember;
    this.box.checked = !problem && (this.chosen ?? Boolean(on));
    // Not `disabled`: that could not be reached, nor its reason be heard, by key.
    this.refused = Boolean(problem);
    this.box.setAttribute("aria-disabled", String(this.refused));
    this.node.title = words(reason);
    fill(this.why, problem ? [words(problem), make("span", { class: "ic-unseen" }, `. ${words(reason)}`)] : null);
  }
}
