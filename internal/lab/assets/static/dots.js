// The dots of the drawing: each is a message on its way. A dot keeps to the track, a line along the
// top of every box, and to the gaps between the boxes, so that it covers no figure. However the
// boxes are laid out, wide or on a phone, dots find their way.

import { byId, make, text } from "./words.js";

const maxDots = 40; // more would be a fog, and a burst has thousands
const labelled = 6; // beyond so many, words would cover each other
const track = 11; // pixels below the top of a box; parts.css draws it there
const stage = byId("stage");
const dots = byId("dots");
const still = matchMedia("(prefers-reduced-motion: reduce)");
const arrival = new Map(); // when the sent dot of a serial is in its queue
let alive = 0;

const steps = { cache: ["cache"], database: ["cache", "find"] };
export const wayOf = (by) => steps[by] ?? ["cache", "find", "commit"];

/** spot is the place on a box's track above an element, or above the box's middle. */
function spot(box, above) {
  const frame = stage.getBoundingClientRect();
  const outer = byId(box).getBoundingClientRect();
  const { left, width } = (above ?? byId(box)).getBoundingClientRect();
  return {
    x: left - frame.left + width / 2, y: outer.top - frame.top + track,
    left: outer.left - frame.left, right: outer.right - frame.left,
  };
}

/** between returns the corners of the way from one spot to another: along the track of a row, and
 * through the gap beside the first box to the row below. */
function between(a, b) {
  if (Math.abs(a.y - b.y) < 2) return [];
  const half = (parseFloat(getComputedStyle(stage).columnGap) || 16) / 2;
  const [left, right] = [a.left - half, a.right + half];
  const x = Math.abs(left - b.x) <= Math.abs(right - b.x) ? left : right;
  return [{ x, y: a.y }, { x, y: b.y }];
}

function corners(spots) {
  return spots.flatMap((s, i) => (i ? [...between(spots[i - 1], s), s] : [s]));
}

/** timed gives each point the time in milliseconds at which a dot comes there and leaves. */
function timed(points, travel) {
  const far = points.map((p, i) => (
    i ? Math.hypot(p.x - points[i - 1].x, p.y - points[i - 1].y) : 0));
  const whole = far.reduce((sum, d) => sum + d, 0) || 1;
  let at = 0;
  return points.map((p, i) => {
    const comes = at + travel * (far[i] / whole);
    at = comes + (p.rest ?? 0);
    return { ...p, comes, leaves: at };
  });
}

/** run moves a dot from spot to spot. A spot has a rest, in milliseconds, and perhaps something to
 * do when the dot comes there. */
function run({ spots, travel, delay = 0, outcome, label }) {
  const way = timed(corners(spots), travel);
  const duration = way.at(-1).leaves;
  const dot = make("span", { class: "dot", "data-outcome": outcome });
  dots.append(dot);
  alive++;
  const frames = way.flatMap(({ x, y, comes, leaves }) => [comes, leaves].map((at) => (
    { transform: `translate(${x}px, ${y}px)`, offset: Math.min(at / duration, 1) })));
  const animation = dot.animate(frames, { duration, delay, fill: "both" });
  for (const { rest, comes, leaves, then } of way) {
    if (then) setTimeout(then, delay + comes);
    if (!rest || !label || alive > labelled) continue;
    const word = make("span", {}, label); // only where it rests: beside the track there are figures
    setTimeout(() => dot.append(word), delay + comes);
    setTimeout(() => word.remove(), delay + leaves);
  }
  const end = () => { dot.remove(); alive--; };
  animation.finished.then(end, end);
}

const queue = (n) => spot("st-broker", byId("queues").children[n]);

/** flash lights up a consumer for as long as its message is with it. */
function flash(name) {
  byId("consumers").querySelector(`[data-name="${CSS.escape(name ?? "")}"]`)
    ?.animate([{ background: "var(--lit)" }, { background: "transparent" }], 900);
}

function drawSent(move) {
  const travel = 700;
  arrival.set(move.serial, performance.now() + travel);
  setTimeout(() => arrival.delete(move.serial), travel + 200);
  return { spots: [spot("st-producer"), queue(move.queue)], travel };
}

function drawDecided(move) {
  const delay = Math.max(0, (arrival.get(move.serial) ?? 0) - performance.now());
  const way = wayOf(move.by).map((step) => spot(`st-${step}`));
  way.at(-1).rest = 700;
  const consumers = { ...spot("st-consumers"), then: () => flash(move.consumer) };
  const result = spot("st-result", byId(`out-${move.outcome}`));
  return {
    spots: [queue(move.queue), consumers, ...way, result], travel: 1500 + 250 * way.length, delay,
    outcome: move.outcome, label: text(`outcome.${move.outcome}`),
  };
}

function drawRejected(move) {
  const consumers = { ...spot("st-consumers"), rest: 600 };
  return {
    spots: [queue(move.queue), consumers, spot("st-quarantine")], travel: 1200, delay: 300,
    outcome: move.outcome, label: text("outcome.rejected"),
  };
}

const draw = { sent: drawSent, decided: drawDecided, rejected: drawRejected };

/** moves starts a dot for each move, as far as there is room. All places are looked up before the
 * first dot is there: each look after a change would lay out the page anew. */
export function moves(all) {
  if (still.matches || document.hidden) return;
  const ways = all.slice(0, maxDots - alive).map((move) => draw[move.kind]?.(move));
  for (const way of ways) if (way) run(way);
}

/** lines draws the ways between the boxes. It is drawn anew when their places change. */
function lines() {
  const svg = byId("lines");
  const first = byId("st-result").querySelector("dd");
  svg.replaceChildren(...[["producer", "broker"], ["broker", "consumers"], ["consumers", "cache"],
    ["cache", "find"], ["find", "commit"], ["cache", "result"], ["find", "result"],
    ["commit", "result"], ["consumers", "quarantine"]].map(([from, to]) => {
    const ends = [spot(`st-${from}`), spot(`st-${to}`, to === "result" ? first : null)];
    const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
    path.setAttribute("d", `M${corners(ends).map(({ x, y }) => `${x},${y}`).join(" L")}`);
    return path;
  }));
}

new ResizeObserver(lines).observe(stage);
