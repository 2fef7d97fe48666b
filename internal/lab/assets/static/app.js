// Takes frames from the lab and hands them to the parts of the page; sends what is asked for back.

import * as charts from "./charts.js";
import { moves } from "./dots.js";
import * as flow from "./flow.js";
import * as tour from "./tour.js";
import * as views from "./views.js";
import { byId, count, make, money, ms, put, text, time } from "./words.js";

const token = document.querySelector("meta[name=token]").content;
const shownResults = 25;
const say = (words) => { byId("told").textContent = words; };

const asked = new Map(); // buttons that were pressed, by the task that is not in a frame yet

/** act asks for an action. What becomes of it comes with the frames; a button shows at once that it
 * was pressed, however busy the lab is. */
async function act(id, input = {}, button) {
  button?.classList.add("asked");
  try {
    const response = await fetch(`/do/${id}`, {
      method: "POST", headers: { "X-Lab-Token": token }, body: new URLSearchParams(input),
    });
    if (!response.ok) throw new Error((await response.text()).trim());
    if (button) asked.set((await response.json()).task, button);
  } catch (error) {
    button?.classList.remove("asked");
    failed(error);
  }
}

function failed(error) {
  const item = make("li", { "data-state": "failed" },
    make("p", { class: "error" }, text("connection.failed", { error: error.message })));
  byId("tasks").prepend(item);
  say(item.textContent);
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-act]");
  if (button) act(button.dataset.act, {}, button);
});

let audit = null;
const grave = ["I2", "I3", "I1", "I8", "I5"]; // what is broken worst is said first

function showAudit(a) {
  audit = a;
  const before = byId("verdict").dataset.state;
  byId("verdict").dataset.state = a.state;
  const broken = (a.findings ?? []).filter((f) => f.violations > 0);
  broken.sort((f, g) => grave.indexOf(g.rule) - grave.indexOf(f.rule));
  const words = broken.map((f) => text(`rule.short.${f.rule}`));
  put("verdict-text", text(`audit.${a.state}`) + (words.length ? ` · ${words.join(" · ")}` : ""));
  if (before !== a.state) say(byId("verdict-text").textContent);
  byId("rule-list").replaceChildren(...(a.findings ?? []).map((f) => make("li", {
    "data-state": f.violations ? "violated" : "ok", "data-rule": f.rule,
  }, `${f.violations ? "✗" : f.incomplete ? "?" : "✓"} ${text(`rule.${f.rule}`)} `,
  make("span", { class: "quiet" }, f.violations
    ? text("audit.violations", { n: count(f.violations) })
    : text("audit.checked", { n: count(f.checked) })),
  ...(f.examples ?? []).slice(0, 3).map((e) => make("code", {}, e)))),
  ...(a.note ? [make("li", {}, make("code", {}, a.note))] : []));
}

setInterval(() => {
  if (audit) {
    const ago = Math.max(0, Math.round((Date.now() - audit.at) / 1000));
    put("verdict-ago", text("audit.ago", { s: ago }));
  }
}, 500);

function result(d) {
  const first = d.first
    ? text("results.first", { first: `@outcome.${d.first}`, at: time(d.first_at) }) : d.reason;
  return make("tr", { "data-outcome": d.outcome, "data-serial": d.serial },
    make("td", { class: "time" }, time(d.at)),
    make("td", {}, make("button", {
      class: "serial", on: () => views.story(d.serial, act).catch(failed),
    }, d.serial)),
    make("td", {}, views.tag(d.outcome), first ? make("span", { class: "quiet" }, first) : ""),
    make("td", {}, text(`by.${d.by}`)),
    make("td", {}, d.consumer + (d.attempt > 1
      ? ` (${text("results.attempt.n", { n: d.attempt })})` : "")),
    make("td", {}, views.bar(d.steps)),
    make("td", { class: "number" }, d.latency_us ? `${ms(d.latency_us)} ms` : ""));
}

function showResults(deliveries) {
  const table = byId("results");
  byId("results-empty").hidden = true;
  table.hidden = false;
  const rows = table.tBodies[0];
  rows.prepend(...deliveries.slice(-shownResults).map(result).reverse());
  while (rows.rows.length > shownResults) rows.lastElementChild.remove();
  flow.last(deliveries.at(-1));
}

function showMoney(m) {
  const rows = (m.accounts ?? []).map((a) => {
    const change = a.balance - a.opening;
    return make("tr", {}, make("th", { scope: "row" }, a.id),
      make("td", { class: "number" }, money(a.balance)),
      make("td", { class: "number quiet" }, `${change > 0 ? "+" : ""}${money(change)}`));
  });
  rows.push(make("tr", { class: "all" },
    make("th", { scope: "row" }, text("money.all", { n: count(m.count) })),
    make("td", { class: "number" }, money(m.balance)),
    make("td", { class: "number quiet" }, money(m.balance - m.opening))));
  byId("money").replaceChildren(...rows);
}

let running = new Set();

function showTasks(all) {
  byId("happened-empty").hidden = all.length > 0;
  byId("tasks").replaceChildren(...[...all].reverse().map((t) => make("li", {
    "data-task": t.id, "data-action": t.action, "data-state": t.state,
  }, make("h3", {}, text(`act.${t.action}.name`),
    make("span", { class: "quiet" }, text(`task.${t.state}`)
      + (t.ended ? ` · ${((t.ended - t.begun) / 1000).toFixed(1)} s` : ""))),
  ...t.lines.map((l) => make("p", {}, text(l.key, l.args))),
  t.error ? make("p", { class: "error" }, t.error) : "")));
  tour.did(all.at(-1));
  const now = new Set(all.filter((t) => t.state === "running").map((t) => t.id));
  for (const t of all) {
    if (running.has(t.id) && !now.has(t.id)) {
      const last = t.lines.at(-1);
      say(`${text(`act.${t.action}.name`)}: ${t.error ?? (last ? text(last.key, last.args) : "")}`);
    }
  }
  running = now;
  const busy = all.filter((t) => now.has(t.id)).map((t) => t.action);
  for (const button of document.querySelectorAll("button[data-act]")) {
    button.classList.toggle("busy", busy.includes(button.dataset.act));
  }
  for (const [id, button] of asked) {
    if (id > all.at(-1).id) continue;
    asked.delete(id);
    button.classList.remove("asked");
  }
  flow.lock(busy);
}

function fresh(frame) {
  put("order", text(`order.${frame.order}`));
  byId("order").dataset.order = frame.order;
  byId("results").tBodies[0].replaceChildren();
  byId("results").hidden = true;
  byId("results-empty").hidden = false;
  byId("verdict").dataset.state = "never";
  put("verdict-text", text("audit.never"));
  audit = null;
  charts.clear();
}

function show(frame) {
  if (frame.fresh) fresh(frame);
  if (frame.servers) flow.servers(frame.servers);
  if (frame.consumers) flow.consumers(frame.consumers);
  if (frame.machine) flow.machine(frame.machine);
  if (frame.moves) moves(frame.moves);
  if (frame.counts) flow.counts(frame.counts);
  if (frame.deliveries) showResults(frame.deliveries);
  if (frame.money) showMoney(frame.money);
  if (frame.audit) showAudit(frame.audit);
  if (frame.seconds) charts.add(frame.seconds);
  if (frame.tasks) showTasks(frame.tasks);
  if (frame.quarantine !== undefined) {
    put("open", text("flow.open", { n: count(frame.quarantine) }));
    views.quarantine(act, failed).catch(failed);
  }
}

function listen() {
  const events = new EventSource("/events");
  events.onopen = () => { byId("lost").hidden = true; };
  events.onerror = () => { byId("lost").hidden = false; }; // the browser tries again by itself
  events.onmessage = (event) => show(JSON.parse(event.data));
}

byId("verdict").addEventListener("click", () => {
  const rules = byId("rules");
  rules.hidden = !rules.hidden;
  byId("verdict").setAttribute("aria-expanded", String(!rules.hidden));
});

const theme = byId("theme");
theme.value = document.documentElement.dataset.theme;
theme.addEventListener("change", () => {
  document.documentElement.dataset.theme = theme.value;
  localStorage.setItem("theme", theme.value);
});

tour.begin();
listen();
