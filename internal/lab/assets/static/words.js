// The catalogue of the page's language, and small things that all parts need.

const words = JSON.parse(document.getElementById("words").textContent);

export const language = document.documentElement.lang;

/** text returns the words of a key. A value that begins with @ is a key itself. */
export function text(key, args = {}) {
  const sentence = words[key] ?? key;
  return sentence.replace(/\{(\w+)\}/g, (gap, name) => {
    const value = args[name] ?? gap;
    return typeof value === "string" && value.startsWith("@") ? text(value.slice(1)) : value;
  });
}

export const byId = (id) => document.getElementById(id);

/** make builds an element. Text is always text: what senders wrote is never read as HTML. */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === false) continue;
    if (name === "on") element.addEventListener("click", value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((c) => c !== undefined && c !== ""));
  return element;
}

/** put sets a text, and touches the page only if that changes it. */
export function put(id, value) {
  const element = byId(id);
  if (element.textContent !== String(value)) element.textContent = value;
}

const whole = new Intl.NumberFormat(language);
export const count = (n) => whole.format(n);

/** money writes minor units; the lab's currencies have two digits. */
const decimal = new Intl.NumberFormat(language, {
  minimumFractionDigits: 2, maximumFractionDigits: 2,
});
export const money = (minor) => decimal.format(minor / 100);

export const ms = (us) => (us >= 100_000 ? whole.format(Math.round(us / 1000)) : (us / 1000).toFixed(1));

const clock = new Intl.DateTimeFormat(language, {
  hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3, hour12: false,
});
export const time = (at) => clock.format(new Date(at));

/** ask gets JSON from the lab, or throws what the lab says is wrong. */
export async function ask(path) {
  const response = await fetch(path);
  if (!response.ok) throw new Error((await response.text()).trim());
  return response.json();
}
