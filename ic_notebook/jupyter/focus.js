/** Focus never falls to the page's body, and is never taken from elsewhere. */
class Focus {
  moving = false;

  constructor(root) {
    this.root = root;
  }

  controls(part) {
    return [...part.querySelectorAll("a[href], button, input")].filter((node) => !node.closest("[hidden]"));
  }

  place() {
    const node = this.root.getRootNode().activeElement;
    if (!node || !this.root.contains(node)) return null;
    const part = node.closest(".ic-do, .ic-apps, .ic-foot, .ic-cells") ?? this.root;
    return { node, part, index: this.controls(part).indexOf(node) };
  }

  /** After a drawing: to the control that is wanted, or where it was, or as near to that as there is anything. */
  keep(before, wanted) {
    if (wanted && this.toKey(wanted)) return;
    if (!before || (before.node.isConnected && !before.node.closest("[hidden]"))) return;
    if (this.toKey(before.node.dataset.key) || this.toKey(before.node.dataset.then)) return;
    const here = this.controls(before.part);
    this.to(here[Math.min(before.index, here.length - 1)] ?? this.controls(this.root)[0] ?? this.root);
  }

  toKey(key) {
    const node = key && this.controls(this.root).find((control) => control.dataset.key === key);
    if (node) this.to(node);
    return Boolean(node);
  }

  to(node) {
    this.moving = true;
    node.focus({ preventScroll: true });
    this.moving = false;
  }
}
