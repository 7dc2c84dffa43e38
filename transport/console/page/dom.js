// dom.js: elements, made of names, properties and text.
//
// What comes from a job (its name, its output) becomes a text node and nothing else: there is no way from here to markup.

/** `h('a.row', { href, onclick, hidden }, 'text', element)`. Children that are undefined, null or false are left out. */
export function h(what, properties = {}, ...children) {
  const [tag, ...classes] = what.split('.');
  const element = document.createElement(tag);
  if (classes.length > 0) element.className = classes.join(' ');
  for (const [name, value] of Object.entries(properties)) set(element, name, value);
  element.append(...kept(children));
  return element;
}

function set(element, name, value) {
  if (value === undefined || value === false) return;
  if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
  else if (value === true) element.setAttribute(name, '');
  else element.setAttribute(name, String(value));
}

const kept = children =>
  children.flat(Infinity).filter(child => child !== undefined && child !== null && child !== false);

export const fill = (element, ...children) => element.replaceChildren(...kept(children));

/** Changes a text only when it differs, so that selections and screen readers are not disturbed. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/**
 * Makes `parent` hold one element per item, in order. An element stays for as long as its key does: a button under a
 * finger is not replaced because something beside it changed. `update(element, item)` is called each time.
 */
export function keyed(parent, items, keyOf, make, update = () => undefined) {
  const old = new Map([...parent.children].map(child => [child.dataset.key, child]));
  let place = parent.firstElementChild;
  for (const item of items) {
    const key = keyOf(item);
    let element = old.get(key);
    old.delete(key);
    if (element === undefined) {
      element = make(item);
      element.dataset.key = key;
    }
    update(element, item);
    if (element === place) place = place.nextElementSibling;
    else parent.insertBefore(element, place);
  }
  for (const element of old.values()) element.remove();
}
