/** The table of connected apps. */
class Apps {
  constructor(controls, { load, revoke }) {
    this.controls = controls;
    this.load = load;
    this.revoke = revoke;
  }

  toggle() {
    return this.controls.toggle("Apps", "apps", this.load);
  }

  now({ state, apps, busy }) {
    if (state !== "connected" || !this.controls.opened.has("apps")) return [];
    const { loading, problem, rows } = apps ?? { loading: true };
    if (problem) {
      const again = this.controls.button("Try again", "apps-again", this.load, { class: "ic-link" });
      return [make("p", { role: "alert" }, make("span", {}, words(problem)), again)];
    }
    if (loading) return [make("p", { role: "status" }, underWay("Loading the connected apps…"))];
    if (!rows?.length) return [make("p", {}, "No app is connected.")];
    return [this.table(rows, busy)];
  }

  // Roles in full: at 320 px the rows are laid out as a grid, which takes them from a table in some browsers.
  table(rows, busy) {
    const head = ["App", "Connected"].map((name) => make("th", { role: "columnheader", scope: "col" }, name));
    const last = make("th", { role: "columnheader", scope: "col" }, make("span", { class: "ic-unseen" }, "Action"));
    return make(
      "table",
      { role: "table", "aria-label": "Connected apps" },
      make("thead", { role: "rowgroup" }, make("tr", { role: "row" }, head, last)),
      make("tbody", { role: "rowgroup" }, rows.map((row) => this.row(row, busy))),
    );
  }

  row({ id, name, connected, own, can_revoke }, busy) {
    return make(
      "tr",
      { role: "row" },
      make("td", { role: "cell" }, words(name), own ? make("span", { class: "ic-tag" }, "this one") : null),
      make("td", { role: "cell" }, words(connected)),
      make("td", { role: "cell" }, can_revoke ? this.control(id, words(name), busy) : null),
    );
  }

  control(id, name, busy) {
    const key = `app ${id}`;
    if (this.controls.asking === key) {
      return this.controls.question(`Disconnect ${name}?`, () => this.revoke(id, name, key));
    }
    return this.controls.button("Disconnect", key, () => this.controls.ask(key), {
      class: "ic-link",
      "aria-label": `Disconnect ${name}`,
      "aria-disabled": busy ? "true" : null,
    });
  }
}

/** The cells that a person can copy, a line each. */
function cellRows({ state, cells }, controls) {
  if (state !== "connected" || !controls.opened.has("cells")) return [];
  return (cells ?? []).map(({ name, title, code }) =>
    make(
      "li",
      {},
      make("span", {}, words(title)),
      make("code", {}, words(code)),
      controls.copier("Copy", "Copied", `cell ${name}`, words(code), () => {}, `Copy ${words(title)}`),
    ),
  );
}
