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

/** A sentence behind a dot, which says of what kind it is. */
function aside(look, sentence) {
  return [make("i", { class: `ic-dot ${look}`, "aria-hidden": "true" }), make("span", {}, words(sentence))];
}

const underWay = (sentence) => aside("busy", sentence);
