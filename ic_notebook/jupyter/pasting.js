/** The field for the address of the last page. What is pasted is sent and not kept. */
class PasteForm {
  checking = false;

  constructor(send, draw) {
    this.send = send;
    this.draw = draw;
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
    const button = make("button", { type: "submit", class: "go", "data-key": "submit" }, "Paste");
    this.form = make("form", { submit, novalidate: "" }, this.field, button);
  }

  show(open, problem, hint) {
    const wrong = open && !this.checking ? words(problem) : "";
    this.form.hidden = !open;
    fill(this.problem, wrong || null);
    this.field.placeholder = words(hint);
    this.field.setAttribute("aria-invalid", String(Boolean(wrong)));
  }

  clear() {
    this.field.value = "";
  }

  onPaste(event) {
    if (this.submit(event.clipboardData?.getData("text"))) event.preventDefault();
  }

  submit(text) {
    if (!text?.trim()) return false;
    this.clear();
    this.checking = true;
    this.draw();
    this.send({ type: "paste" }, text);
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
}
