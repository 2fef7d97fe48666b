// The figures of the drawing: what is in its boxes. What moves between them is in dots.js.

import { wayOf } from "./dots.js";
import { byId, make, put, text, count, ms } from "./words.js";

const stage = byId("stage");

const deciders = {
  cache: ["cache"], find: ["database"], commit: ["transaction", "batch", "unique_key"],
};

export function counts(c) {
  put("sent", count(c.sent));
  put("waiting", c.waiting ? text("flow.waiting", { n: count(c.waiting) }) : "");
  for (const [step, names] of Object.entries(deciders)) {
    put(`by-${step}`, count(names.reduce((sum, name) => sum + (c.by[name] ?? 0), 0)));
    put(`median-${step}`, c.median[step] ? text("flow.median", { ms: ms(c.median[step]) }) : "");
  }
  for (const outcome of ["paid", "declined", "duplicate", "conflict", "rejected"]) {
    put(`out-${outcome}`, count(c.outcomes[outcome] ?? 0));
  }
}

/** last says in words what became of the last message. */
export function last(d) {
  const args = {
    serial: d.serial, outcome: `@outcome.${d.outcome}`, by: `@by.${d.by}`, step: wayOf(d.by).length,
  };
  put("last", text(d.outcome === "paid" ? "flow.last.paid" : "flow.last.text", args));
}

/** consumers keeps the elements of those that stay: a message that is with one lights it up. */
export function consumers(all) {
  const list = byId("consumers");
  const shown = new Map([...list.children].map((item) => [item.dataset.name, item]));
  list.replaceChildren(...all.map((c) => {
    const item = shown.get(c.name) ?? make("li", { "data-name": c.name }, make("b", {}, c.name),
      make("span", { class: "quiet" }), make("span", { class: "quiet number" }));
    const state = c.down?.length
      ? text("waits.for", { what: c.down.join(", ") }) : text(`state.${c.state}`);
    item.dataset.state = c.state;
    item.children[1].textContent = text("flow.process", { state, pid: c.pid });
    item.children[2].textContent = text("flow.handled", { n: count(c.handled) });
    return item;
  }));
}

export function servers(all) {
  const state = Object.fromEntries(all.map((s) => [s.name, s.state]));
  for (const station of stage.querySelectorAll("[data-server]")) {
    const is = state[station.dataset.server] ?? "up";
    station.dataset.state = is;
    station.querySelector("h3").dataset.word = text(`state.${is}`);
  }
  down = new Set(all.filter((s) => s.state === "down").map((s) => s.name));
  lock(running);
}

let down = new Set();
let running = [];

/** lock disables what cannot be asked for now, and says why: the lab would refuse it. */
export function lock(actions) {
  running = actions;
  const buttons = [...document.querySelectorAll("button[data-act]")];
  const under = buttons.filter((b) => b.closest(".group") && actions.includes(b.dataset.act));
  const anew = under.some((b) => b.dataset.anew !== undefined);
  const exclusive = under.filter((b) => b.dataset.exclusive !== undefined);
  const starting = exclusive.some((b) => b.closest('[data-group="servers"]'));
  const many = actions.length - exclusive.length >= Number(byId("controls").dataset.most);
  for (const button of buttons) {
    const { act, needs = "", exclusive: alone, single } = button.dataset;
    const [what, server] = act.split(/-(?=redis$|mysql$|broker$)/);
    const missing = needs.split(" ").find((name) => down.has(name));
    let why = "";
    if (server && (what === "stop") === down.has(server)) why = `why.${what}`;
    else if (missing) why = `why.${missing}`;
    else if (anew) why = "why.anew";
    else if (button.dataset.anew !== undefined) why = starting ? "why.exclusive" : "";
    else if (exclusive.length && alone !== undefined) why = "why.exclusive";
    else if (many && alone === undefined) why = "why.many";
    else if (single !== undefined && actions.includes(act)) why = "why.single";
    button.disabled = why !== "";
    button.title = why && text(why);
  }
}

export function machine(m) {
  const backlog = m.backlog ?? [];
  const queues = byId("queues");
  if (queues.children.length !== backlog.length && backlog.length) {
    queues.replaceChildren(...backlog.map(() => make("i")));
  }
  const most = Math.max(10, ...backlog);
  backlog.forEach((n, i) => { queues.children[i].style.height = `${(100 * n) / most}%`; });
  put("batch", m.batch ? text("flow.batch", { n: m.batch.toFixed(1) }) : "");
  const waiting = count(backlog.reduce((sum, n) => sum + n, 0));
  const settled = m.readers === undefined || m.readers >= backlog.length;
  put("backlog", settled ? text("flow.backlog", { n: waiting })
    : text("flow.readers", { n: m.readers, of: backlog.length }));
}
