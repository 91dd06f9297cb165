// Creates elements. Text is only ever set as text, so that no value can become markup.

/** Returns the element with this id. */
export const byId = (id) => document.getElementById(id);

/** Creates an element with a class and children, which are elements or texts. */
export function element(name, className, ...children) {
  const created = document.createElement(name);
  if (className) created.className = className;
  created.append(...children);
  return created;
}
