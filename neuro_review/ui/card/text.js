// Text of others on the screen: always as text nodes, never as markup; what would deceive the eye is marked.

const el = (name, props = {}, ...inside) => {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(props)) {
    if (key === "class") made.className = value;
    else if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (value === true) made.setAttribute(key, "");
    else if (value !== false && value != null) made.setAttribute(key, value);
  }
  made.append(...inside.filter((one) => one != null && one !== false));
  return made;
};

const fill = (box, ...inside) => box.replaceChildren(...inside.filter((one) => one != null && one !== false && one !== ""));

// They turn the reading direction around, or cannot be seen at all.
const DECEIVING = /[\u061C\u200B\u200E\u200F\u202A-\u202E\u2060-\u2069\uFEFF\u00AD\u{E0000}-\u{E007F}]/u;
const DECEIVING_ALL = new RegExp(DECEIVING, "gu");
const CHUNK = 4000;
const LONG = 1500;

const marked = (text) => {
  if (!DECEIVING.test(text)) return [text];
  const parts = [];
  let from = 0;
  for (const found of text.matchAll(DECEIVING_ALL)) {
    parts.push(text.slice(from, found.index));
    const code = "U+" + found[0].codePointAt(0).toString(16).toUpperCase().padStart(4, "0");
    parts.push(el("span", {class: "mark", title: "An invisible character stands here"}, code));
    from = found.index + found[0].length;
  }
  return [...parts, text.slice(from)].filter((part) => part !== "");
};

// A long text is laid out piece by piece, as it comes into sight: a megabyte must not stop the screen.
const plain = (text) => {
  const box = el("div", {class: "plain", dir: "auto"});
  if (text.length <= 4 * CHUNK) box.append(...marked(text));
  else {
    box.classList.add("pieces");
    for (let at = 0; at < text.length;) {
      let end = Math.min(text.length, at + CHUNK);
      const line = text.lastIndexOf("\n", end);
      if (end < text.length && line > at) end = line + 1;
      else if (end < text.length && /[\uD800-\uDBFF]/.test(text[end - 1])) end += 1;
      box.append(el("div", {class: "piece"}, ...marked(text.slice(at, end))));
      at = end;
    }
  }
  return box;
};

const count = (number) => number.toLocaleString("en");

const folded = (text) => {
  if (text.length <= LONG) return plain(text);
  const box = el("details", {class: "fold"}, el("summary", {}, ...marked(`${text.slice(0, 300).replace(/\s+/g, " ")}… `),
    el("span", {class: "link"}, `show all ${count(text.length)} characters`)));
  box.addEventListener("toggle", () => box.childElementCount === 1 && box.append(plain(text)));
  return box;
};

const parsed = (text) => {
  const first = text.trimStart()[0];
  if (first !== "{" && first !== "[") return undefined;
  try { return JSON.parse(text); } catch { return undefined; }
};

// A number longer than the browser's, or a name given twice: there a tree would show something else than what is sent.
const TOKENS = /"[^"\\]*(?:\\.[^"\\]*)*"|[^\s"]+/g;

const exact = (text, value) => {
  try {
    const said = text.match(TOKENS).map((token) => token[0] === '"' ? JSON.stringify(JSON.parse(token)) : token);
    return said.join("") === JSON.stringify(value);
  } catch { return false; }
};

const MOST_SHOWN = 200;

const tree = (value, name = null, depth = 0) => {
  const label = name === null ? [] : [el("span", {class: "name"}, ...marked(String(name))), ": "];
  if (value === null || typeof value !== "object") {
    const kind = value === null ? "null" : typeof value;
    const shown = kind === "string" ? marked(JSON.stringify(value)) : [String(value)];
    return el("div", {class: "leaf"}, ...label, el("span", {class: kind}, ...shown));
  }
  const entries = Object.entries(value);
  const size = Array.isArray(value) ? `[${entries.length}]` : `{${entries.length}}`;
  const box = el("details", {class: "node"}, el("summary", {}, ...label, el("span", {class: "size"}, size)));
  const fill = () => {
    if (box.childElementCount > 1) return;
    for (const [key, one] of entries.slice(0, MOST_SHOWN)) box.append(tree(one, key, depth + 1));
    const more = entries.length - MOST_SHOWN;
    if (more > 0) box.append(el("div", {class: "leaf quiet"}, `${count(more)} more, in the plain view`));
  };
  box.addEventListener("toggle", fill);
  if (depth < 4) { box.open = true; fill(); }   // as deep as a tool's name in a call of it
  return box;
};

const SAFE = new Set(["div", "p", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "li", "blockquote", "table",
  "thead", "tbody", "tr", "th", "td", "strong", "em", "s", "code", "pre", "hr", "br"]);
const HEADING = /^h[1-6]$/;

const grown = ([name, ...inside]) => {
  // A heading of a model is no heading of the page.
  const element = !SAFE.has(name) ? "span" : HEADING.test(name) ? "p" : name;
  return el(element, HEADING.test(name) ? {class: "heading"} : {},
    ...inside.flatMap((one) => typeof one === "string" ? marked(one) : [grown(one)]));
};

// Word diff: the longest common run of words, after what both begin and end with.
const MOST_CELLS = 4e6;
const words = (text) => text.match(/\s+|[\p{L}\p{N}_]+|[^\s\p{L}\p{N}_]/gu) ?? [];

const changes = (before, after) => {
  const a = words(before), b = words(after);
  let start = 0, end = 0;
  while (start < a.length && start < b.length && a[start] === b[start]) start++;
  while (end < a.length - start && end < b.length - start && a[a.length - 1 - end] === b[b.length - 1 - end]) end++;
  const x = a.slice(start, a.length - end), y = b.slice(start, b.length - end);
  const parts = [["same", a.slice(0, start).join("")]];
  const add = (kind, text) => {
    const last = parts[parts.length - 1];
    if (last[0] === kind) last[1] += text; else parts.push([kind, text]);
  };
  if (x.length * y.length > MOST_CELLS) {
    add("gone", x.join("")); add("new", y.join(""));
  } else {
    const wide = y.length + 1, best = new Uint16Array((x.length + 1) * wide);
    for (let i = x.length - 1; i >= 0; i--) for (let j = y.length - 1; j >= 0; j--)
      best[i * wide + j] = x[i] === y[j] ? best[(i + 1) * wide + j + 1] + 1
        : Math.max(best[(i + 1) * wide + j], best[i * wide + j + 1]);
    let i = 0, j = 0;
    while (i < x.length || j < y.length) {
      if (i < x.length && j < y.length && x[i] === y[j]) { add("same", x[i]); i++; j++; }
      else if (j === y.length || (i < x.length && best[(i + 1) * wide + j] >= best[i * wide + j + 1])) add("gone", x[i++]);
      else add("new", y[j++]);
    }
  }
  add("same", end ? a.slice(a.length - end).join("") : "");
  return parts.filter(([, text]) => text);
};

const NEAR = 60;

const shownChanges = (before, after) => {
  const parts = changes(before, after);
  if (parts.every(([kind]) => kind === "same")) return [el("span", {class: "quiet"}, "Nothing yet.")];
  return parts.flatMap(([kind, text], place) => {
    if (kind !== "same") return [el(kind === "new" ? "ins" : "del", {}, ...marked(text))];
    const head = place === 0 ? "" : text.slice(0, NEAR), tail = place === parts.length - 1 ? "" : text.slice(-NEAR);
    return text.length <= 2 * NEAR + 10 ? marked(text) : [...marked(head), " … ", ...marked(tail)];
  });
};
