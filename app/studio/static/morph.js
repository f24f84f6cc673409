// Changes a part of a page into a newer version of it, and keeps the elements that both have, with their state.

/** Attributes that belong to the user or to scripts once the page is shown. */
const LOCAL_ATTRIBUTES = ["aria-live", "checked", "open"];

/**
 * Change `current` into `target`, which is used up, and return the rows that have changed or are new.
 *
 * Elements that stay keep their focus, selection, scroll position and open popovers. Those with an `id`, or a
 * `data-key` that is unique among their siblings, are recognized wherever they have moved. Rows are elements with
 * `data-row`.
 */
export function morph(current, target) {
  const focused = document.activeElement;
  const hadFocus = current.contains(focused);
  const rows = new Set();
  morphElement(current, target, rows);
  if (hadFocus && document.activeElement !== focused) restoreFocus(current, focused);
  return [...rows];
}

/** Focus an element again that was moved; if it has gone, what scrolls the list, or the content of the page. */
function restoreFocus(current, focused) {
  const place = current.contains(focused) ? focused : current.querySelector("[tabindex]");
  (place ?? document.querySelector("main")).focus({ preventScroll: true });
}

function morphElement(current, target, rows) {
  if (current.isEqualNode(target)) return;
  if (current.matches("[data-row]")) rows.add(current);
  morphAttributes(current, target);
  morphChildren(current, target, rows);
}

function morphAttributes(current, target) {
  for (const { name } of [...current.attributes]) {
    if (!target.hasAttribute(name) && !LOCAL_ATTRIBUTES.includes(name)) current.removeAttribute(name);
  }
  for (const { name, value } of target.attributes) {
    if (current.getAttribute(name) !== value && !LOCAL_ATTRIBUTES.includes(name)) current.setAttribute(name, value);
  }
}

function morphChildren(current, target, rows) {
  const wanted = new Set([...target.childNodes].map(keyOf));
  const known = new Map();
  for (const child of [...current.childNodes]) {
    const key = keyOf(child);
    if (key === null) continue;
    if (wanted.has(key)) known.set(key, child);
    else child.remove();
  }
  let next = current.firstChild;
  for (const child of [...target.childNodes]) {
    const match = keyOf(child) === null ? nextAlike(next, child) : known.get(keyOf(child));
    if (!match) {
      current.insertBefore(child, next);
      collectRows(child, rows);
      continue;
    }
    if (match === next) next = next.nextSibling;
    else move(current, match, next);
    if (match.nodeName !== child.nodeName) {
      match.replaceWith(child);
      collectRows(child, rows);
    } else if (match instanceof Element) {
      morphElement(match, child, rows);
    } else if (match.data !== child.data) {
      match.data = child.data;
    }
  }
  while (next) {
    const after = next.nextSibling;
    next.remove();
    next = after;
  }
}

/** Return what tells an element from its siblings, null for nodes that have no such thing. */
function keyOf(node) {
  return node instanceof Element ? node.dataset.key || node.id || null : null;
}

/** Return the next node of the same kind that has no key, from `node` on. */
function nextAlike(node, wanted) {
  let next = node;
  while (next && (next.nodeName !== wanted.nodeName || keyOf(next) !== null)) next = next.nextSibling;
  return next;
}

/** Move a child before another one; browsers that cannot keep its state lose its focus. */
function move(parent, child, next) {
  if (parent.moveBefore) parent.moveBefore(child, next);
  else parent.insertBefore(child, next);
}

function collectRows(node, rows) {
  if (!(node instanceof Element)) return;
  for (const row of [node, ...node.querySelectorAll("[data-row]")]) {
    if (row.matches("[data-row]")) rows.add(row);
  }
}
