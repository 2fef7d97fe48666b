// The drawing: stations are ordinary elements, and a message is a dot that moves from one to the
// next. However the stations are laid out, wide or on a phone, dots find them.

import { byId, make, put, text, count, ms } from "./words.js";

const maxDots = 40; // more would be a fog, and a burst has thousands
const labelled = 6; // beyond so many, words would cover each other
const stage = byId("stage");
const dots = byId("dots");
const still = matchMedia("(prefers-reduced-motion: reduce)");
const arrival = new Map(); // when the sent dot of a serial is in its queue
let alive = 0;

const steps = { cache: ["cache"], database: ["cache", "find"] };
const wayOf = (by) => steps[by] ?? ["cache", "find", "commit"];

/** centre of an element within the stage; null for one that is not shown. */
function centre(element) {
  if (!element) return null;
  const box = element.getBoundingClientRect();
  const frame = stage.getBoundingClientRect();
  return [box.left - frame.left + box.width / 2, box.top - frame.top + box.height / 2];
}

function queuePoint(queue) {
  return centre(byId("queues").children[queue]) ?? centre(byId("st-broker"));
}

function consumerPoint(name) {
  return centre(byId("consumers").querySelector(`[data-name="${CSS.escape(name ?? "")}"]`))
    ?? centre(byId("st-consumers"));
}

/** run moves a dot along points. The stops are [x, y, share of the time that it stays there]. */
function run(points, duration, delay, outcome, label) {
  if (alive >= maxDots || still.matches || document.hidden) return;
  const dot = make("span", { class: "dot", "data-outcome": outcome });
  const word = label && alive < labelled ? make("span") : null;
  if (word) dot.append(word);
  dots.append(dot);
  alive++;
  const legs = points.length - 1;
  const rests = points.reduce((sum, p) => sum + (p[2] ?? 0), 0);
  const frames = [];
  let at = 0;
  points.forEach(([x, y, rest = 0], i) => {
    const transform = `translate(${x}px, ${y}px)`;
    frames.push({ transform, offset: Math.min(at, 1), easing: "ease-in-out" });
    if (rest) {
      at += rest;
      frames.push({ transform, offset: Math.min(at, 1), easing: "ease-in-out" });
    }
    if (i < legs) at += (1 - rests) / legs;
  });
  const animation = dot.animate(frames, { duration, delay, fill: "both" });
  if (word) {
    const decided = points.findIndex((p) => p[2]);
    const share = ((1 - rests) / legs) * Math.max(decided, 0);
    setTimeout(() => { word.textContent = label; }, delay + duration * share);
  }
  const end = () => { dot.remove(); alive--; };
  animation.finished.then(end, end);
}

function drawSent(move) {
  const duration = 700;
  arrival.set(move.serial, performance.now() + duration);
  setTimeout(() => arrival.delete(move.serial), duration + 200);
  run([centre(byId("st-producer")), queuePoint(move.queue)], duration, 0);
}

function drawDecided(move) {
  const delay = Math.max(0, (arrival.get(move.serial) ?? 0) - performance.now());
  const way = wayOf(move.by).map((step) => centre(byId(`st-${step}`)));
  way.at(-1)[2] = 0.25;
  run([queuePoint(move.queue), consumerPoint(move.consumer), ...way,
    centre(byId(`out-${move.outcome}`)) ?? centre(byId("st-result"))],
  1900 + 250 * way.length, delay, move.outcome, text(`outcome.${move.outcome}`));
}

function drawRejected(move) {
  const consumers = [...centre(byId("st-consumers")), 0.3];
  run([queuePoint(move.queue), consumers, centre(byId("st-quarantine"))], 1800, 300,
    move.outcome, text("outcome.rejected"));
}

const draw = { sent: drawSent, decided: drawDecided, rejected: drawRejected };

export function moves(all) {
  for (const move of all) draw[move.kind]?.(move);
}

/** lines joins the stations. It is drawn anew when their places change. */
function lines() {
  const frame = stage.getBoundingClientRect();
  const svg = byId("lines");
  svg.replaceChildren();
  for (const [from, to] of [["producer", "broker"], ["broker", "consumers"], ["consumers", "cache"],
    ["cache", "find"], ["find", "commit"], ["cache", "result"], ["find", "result"],
    ["commit", "result"], ["consumers", "quarantine"]]) {
    const a = byId(`st-${from}`).getBoundingClientRect();
    const b = byId(`st-${to}`).getBoundingClientRect();
    const below = b.top >= a.bottom;
    const middle = Math.max(a.left, b.left) < Math.min(a.right, b.right)
      ? (Math.max(a.left, b.left) + Math.min(a.right, b.right)) / 2 : null;
    const start = below ? [middle ?? a.left + a.width / 2, a.bottom] : [a.right, a.top + 24];
    const end = below ? [middle ?? b.left + b.width / 2, b.top] : [b.left, a.top + 24];
    const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
    path.setAttribute("d", `M${start[0] - frame.left},${start[1] - frame.top} `
      + `L${end[0] - frame.left},${end[1] - frame.top}`);
    svg.append(path);
  }
}

new ResizeObserver(lines).observe(stage);

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

export function consumers(all) {
  byId("consumers").replaceChildren(...all.map((c) => {
    const state = c.down?.length
      ? text("waits.for", { what: c.down.join(", ") }) : text(`state.${c.state}`);
    return make("li", { "data-name": c.name, "data-state": c.state },
      make("b", {}, c.name),
      make("span", { class: "quiet" }, `${state} · ${c.pid}`),
      make("span", { class: "quiet number" }, text("flow.handled", { n: count(c.handled) })));
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
  lock(locked);
}

let down = new Set();
let locked = false;

/** lock disables what cannot be asked for now: actions that change what runs, one at a time, and
 * to stop or start a server that is stopped or runs. */
export function lock(on) {
  locked = on;
  for (const button of document.querySelectorAll("button[data-act]")) {
    const [what, server] = button.dataset.act.split(/-(?=redis$|mysql$|broker$)/);
    const vain = server && (what === "stop") === down.has(server);
    button.disabled = vain || (on && button.dataset.exclusive !== undefined);
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
