// Finds names as they are typed. "/" goes to the field; arrows, Enter and Escape do what they do in lists.
"use strict";
const field = document.getElementById("search");
const list = document.getElementById("found");
const count = document.getElementById("count");
const most = 40;
let chosen = -1;

// The lower, the better; nothing if the words are not there.
function distance([name, kind, , text], words) {
  const whole = name.toLowerCase();
  const last = whole.slice(whole.lastIndexOf("::") + 1).replace(/^:/, "");
  let sum = kind === "enumerator" || kind === "member" ? 0.5 : 0;
  for (const word of words) {
    if (last === word || whole === word) continue;
    if (last.startsWith(word)) sum += 1;
    else if (whole.startsWith(word)) sum += 2;
    else if (whole.includes(word)) sum += 3;
    else if (text.toLowerCase().includes(word)) sum += 8;
    else return undefined;
  }
  return sum + name.length / 1000;
}

function choose(at) {
  const items = list.children;
  items[chosen]?.setAttribute("aria-selected", "false");
  chosen = items.length === 0 ? -1 : (at + items.length) % items.length;
  const item = items[chosen];
  item?.setAttribute("aria-selected", "true");
  item?.scrollIntoView({ block: "nearest" });
  if (item) field.setAttribute("aria-activedescendant", item.id);
  else field.removeAttribute("aria-activedescendant");
}

function part(name, text) {
  const element = document.createElement("span");
  element.className = name;
  element.textContent = text;
  return element;
}

function show() {
  const words = field.value.toLowerCase().replace(/\bnet::/g, "").split(/\s+/).filter(Boolean);
  const found = words.length === 0 ? [] : names
    .map((row) => ({ row, far: distance(row, words) }))
    .filter(({ far }) => far !== undefined)
    .sort((one, other) => one.far - other.far);
  list.replaceChildren(...found.slice(0, most).map(({ row: [name, kind, url, text] }, at) => {
    const item = document.createElement("li");
    item.id = `found-${at}`;
    item.setAttribute("role", "option");
    item.setAttribute("aria-selected", "false");
    const link = document.createElement("a");
    link.href = url;
    link.tabIndex = -1;
    link.append(part("name", name), part("kind", kind), part("text", text.replaceAll("`", "")));
    item.append(link);
    return item;
  }));
  list.hidden = found.length === 0;
  field.setAttribute("aria-expanded", String(!list.hidden));
  count.textContent = words.length === 0 ? "" : found.length === 0 ? "Nothing found" : `${found.length} found`;
  count.classList.toggle("nothing", words.length !== 0 && found.length === 0);
  choose(0);
}

function close() {
  field.value = "";
  show();
}

field.addEventListener("input", show);
field.addEventListener("focus", show);
field.addEventListener("keydown", (event) => {
  if (event.key === "ArrowDown") choose(chosen + 1);
  else if (event.key === "ArrowUp") choose(chosen - 1);
  else if (event.key === "Enter") list.children[chosen]?.firstChild.click();
  else if (event.key === "Escape") close();
  else return;
  event.preventDefault();
});
list.addEventListener("click", () => { close(); field.blur(); });
document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || document.activeElement === field) return;
  field.focus();
  event.preventDefault();
});
document.addEventListener("click", (event) => {
  if (!event.target.closest("search")) list.hidden = true;
});
// What is wider than its box can be scrolled by keys.
for (const box of document.querySelectorAll("pre")) {
  if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
}
