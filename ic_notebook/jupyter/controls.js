const COPIED_FOR = 2000;

/** Buttons of a panel, and what they remember: what is open, what is being asked, what has just been copied. */
class Controls {
  opened = new Set();
  asking = null;
  copied = null;

  constructor(root, draw, onOpened) {
    this.root = root;
    this.draw = draw;
    this.onOpened = onOpened;
    this.whisper = make("span", { class: "ic-unseen", role: "status" });
  }

  reset() {
    this.asking = null;
    this.opened.clear();
  }

  leave() {
    clearTimeout(this.fading);
  }

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

  ask(key) {
    this.asking = key;
    this.draw("no");
  }

  unask() {
    const key = this.asking;
    this.asking = null;
    this.draw(key);
  }
}
