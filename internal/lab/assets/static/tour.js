// The guided tour: one stop at a time, above the drawing, so that both are in sight.

import { byId, put, text } from "./words.js";

const panel = byId("tour");
const stops = [...panel.querySelectorAll("[data-stop]")];
let at = 0;

function go(to, focus) {
  at = Math.min(Math.max(to, 0), stops.length - 1);
  put("tour-did", "");
  stops.forEach((stop, i) => { stop.hidden = i !== at; });
  byId("tour-back").disabled = at === 0;
  byId("tour-next").disabled = at === stops.length - 1;
  put("tour-step", text("tour.step", { n: at + 1, of: stops.length }));
  if (focus) stops[at].querySelector("h2").focus();
}

/** did shows what has come of the action that this stop asks to try. */
export function did(task) {
  if (panel.hidden || !task || !stops[at].querySelector(`[data-act="${task.action}"]`)) return;
  const lines = task.lines.map((l) => text(l.key, l.args));
  put("tour-did", [...lines, task.error ?? ""].join(" "));
}

function open(shown) {
  panel.hidden = !shown;
  byId("tour-open").setAttribute("aria-expanded", String(shown));
  if (shown) {
    go(at, true);
    scrollTo({ top: 0 });
  } else {
    byId("tour-open").focus();
  }
}

export function begin() {
  byId("tour-open").addEventListener("click", () => open(panel.hidden));
  byId("tour-end").addEventListener("click", () => open(false));
  byId("tour-back").addEventListener("click", () => go(at - 1, true));
  byId("tour-next").addEventListener("click", () => go(at + 1, true));
}
