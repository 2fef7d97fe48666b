// Two small charts of the last three minutes, a point a second.

import { byId, put, text, count, ms } from "./words.js";

const kept = 180;
const height = 140;
const floor = height - 14; // room for the words below
let seconds = [];

const namespace = "http://www.w3.org/2000/svg";
function shape(tag, attributes, words) {
  const element = document.createElementNS(namespace, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  if (words !== undefined) element.textContent = words;
  return element;
}

/** decades is a scale of powers of ten: an answer takes milliseconds, or a minute of an outage. */
const least = 1000; // microseconds
const decades = (us) => Math.log10(Math.max(us, least) / least);

/** top is the next number that is round, so that the scale does not tremble. */
function top(most) {
  const magnitude = 10 ** Math.floor(Math.log10(Math.max(most, 1)));
  return [1, 2, 5, 10].map((n) => n * magnitude).find((n) => n >= most);
}

function frame(svg, most, unit) {
  const width = svg.clientWidth || 400;
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  const x = (i) => width - ((seconds.length - i) / kept) * width;
  const y = (value) => floor - (value / most) * (floor - 12);
  svg.replaceChildren(
    shape("line", { class: "grid", x1: 0, x2: width, y1: y(0), y2: y(0) }),
    shape("line", { class: "grid", x1: 0, x2: width, y1: y(most), y2: y(most) }),
    shape("text", { x: 0, y: y(most) - 3 }, unit(most)),
    shape("text", { x: 0, y: height - 2 }, text("chart.begin")),
    shape("text", { x: width, y: height - 2, class: "end" }, text("chart.end")),
  );
  return { x, y, bar: Math.max(width / kept, 1) };
}

function rate() {
  const svg = byId("chart-rate");
  const most = top(Math.max(10, ...seconds.map((s) => s.all)));
  const { x, y, bar } = frame(svg, most, (n) => count(n));
  seconds.forEach((s, i) => {
    for (const [name, value] of [["all", s.all], ["paid", s.paid]]) {
      if (!value) continue;
      svg.append(shape("rect", {
        class: name, x: x(i), y: y(value), width: bar, height: floor - y(value),
      }));
    }
  });
}

function latency() {
  const svg = byId("chart-latency");
  const most = Math.ceil(decades(Math.max(100 * least, ...seconds.map((s) => s.p99))));
  const { x, y: place } = frame(svg, most, (n) => `${count(10 ** n)} ms`);
  const y = (us) => place(decades(us));
  for (let n = 1; n < most; n++) {
    svg.append(shape("line", {
      class: "grid faint", x1: 0, x2: svg.clientWidth, y1: place(n), y2: place(n),
    }));
  }
  for (const name of ["p99", "p50"]) {
    let path = "";
    seconds.forEach((s, i) => {
      if (!s.known) return;
      const joined = seconds[i - 1]?.known;
      path += `${joined ? "L" : "M"}${x(i)},${y(s[name])}`;
      if (joined || seconds[i + 1]?.known) return;
      svg.append(shape("circle", { class: name, cx: x(i), cy: y(s[name]), r: 2 }));
    });
    svg.append(shape("path", { class: name, d: path }));
  }
}

function now() {
  const s = seconds.at(-1);
  put("rate-now", s?.all ? text("chart.rate.now", { n: count(s.all), paid: count(s.paid) })
    : text("chart.none"));
  put("latency-now", s?.known ? text("chart.latency.now", { p50: ms(s.p50), p99: ms(s.p99) })
    : text("chart.none"));
}

export function add(more) {
  seconds = [...seconds, ...more].slice(-kept);
  if (document.hidden) return;
  rate();
  latency();
  now();
}

export function clear() { seconds = []; }
