// The story of one serial, and the quarantine. Both are asked for when somebody looks.

import { ask, byId, count, make, money, ms, text, time } from "./words.js";

const dialog = byId("story");
const body = byId("story-body");

function open(title, ...content) {
  byId("story-title").textContent = title;
  body.replaceChildren(...content);
  if (!dialog.open) dialog.showModal();
}

export function tag(outcome) {
  return make("span", { class: "tag", "data-outcome": outcome }, text(`outcome.${outcome}`));
}

/** bar shows where the time went: it is as wide as the steps' shares. */
export function bar(steps) {
  const all = Object.entries(steps).filter(([, us]) => us > 0);
  if (!all.length) return ""; // a consumer out of a textbook does not say
  const words = all.map(([step, us]) => `${text(`steps.${step}`)}: ${ms(us)} ms`).join("; ");
  const bars = make("span", { class: "times", role: "img", "aria-label": words, title: words });
  for (const [step, us] of all) {
    const part = make("i", { "data-step": step });
    part.style.flexGrow = us;
    bars.append(part);
  }
  return bars;
}

function payment(why) {
  const p = why.database.payment;
  if (!p) return make("p", {}, text("story.none"));
  return make("p", {}, text(`story.${p.status}`, {
    amount: `${money(p.amount_minor)} ${p.currency}`, payer: p.payer, payee: p.payee,
    order: p.order_id, at: time(p.created_at), reason: p.reason ?? "", first: p.first_serial ?? "",
  }));
}

function cache(c) {
  if (c.verified) {
    return text("story.cache.holds", {
      outcome: `@outcome.${c.answer.outcome ?? ""}`, expires: c.expires_in ?? "∞",
    });
  }
  if (c.present) return text("story.cache.unbelieved", { problem: c.problem });
  return c.problem ? text("story.cache.problem", { problem: c.problem }) : text("story.cache.none");
}

function list(all, item) {
  return make("ul", {}, ...all.map((one) => make("li", {}, ...item(one))));
}

function heads(...keys) {
  return make("thead", {}, make("tr", {},
    ...keys.map((k) => make("th", { scope: "col" }, text(k)))));
}

function deliveries(all) {
  if (!all.length) return make("p", { class: "quiet" }, text("story.deliveries.none"));
  const rows = all.map((d) => make("tr", {},
    make("td", {}, time(d.at)), make("td", {}, tag(d.outcome)), make("td", {}, text(`by.${d.by}`)),
    make("td", {}, text("results.attempt.n", { n: d.attempt })), make("td", {}, d.consumer),
    make("td", {}, make("code", {}, `…${d.message.slice(-8)}`)), make("td", {}, bar(d.steps))));
  const scroll = {
    class: "scroll", tabindex: 0, role: "group", "aria-label": text("story.deliveries"),
  };
  return make("div", scroll, make("table", {},
    heads("results.at", "results.outcome", "results.by", "results.attempt", "results.consumer",
      "story.message", "results.steps"), make("tbody", {}, ...rows)));
}

/** story tells everything that is known about a serial, as payment-consumer why does. */
export async function story(serial, act) {
  const told = await ask(`/story/${encodeURIComponent(serial)}`);
  const { why } = told;
  const content = [payment(why)];
  if (why.database.entries?.length) {
    content.push(make("h3", {}, text("story.entries")), list(why.database.entries,
      (e) => [`${e.account_id}  ${e.amount_minor > 0 ? "+" : ""}${money(e.amount_minor)}`]));
  }
  content.push(make("h3", {}, text("story.cache")), make("p", {}, cache(why.cache)));
  content.push(make("h3", {}, text("story.deliveries")), deliveries(told.deliveries));
  if (why.database.siblings?.length) {
    content.push(make("h3", {}, text("story.siblings")), list(why.database.siblings,
      (p) => [make("code", {}, p.serial_no), " ", tag(p.status)]));
  }
  if (why.quarantine?.length) {
    content.push(make("h3", {}, text("story.quarantine")), list(why.quarantine,
      (q) => [`${q.kind} (${q.reason}), ${q.state}: ${q.detail}`]));
  }
  content.push(make("p", { class: "quiet" }, text("story.same", { serial })));
  content.push(make("p", { class: "try" }, ...["again", "altered"].map((id) => make("button",
    { on: () => { act(id, { serial }); dialog.close(); } }, text(`act.${id}.name`)))));
  open(text("story.title", { serial }), ...content);
}

/** decode reads base64 as text; bytes that are none show as what they are not. */
function decode(base64) {
  return new TextDecoder().decode(Uint8Array.from(atob(base64), (c) => c.codePointAt(0)));
}

async function look(id) {
  const q = await ask(`/quarantine/${id}`);
  const rows = [["quarantine.kind", `${q.kind}, ${q.state}`], ["quarantine.reason", q.reason],
    ["quarantine.detail", q.detail], ["quarantine.origin", `${q.topic}, ${q.origin}`],
    ["quarantine.key", q.key], ["quarantine.came", count(q.deliveries)]];
  open(text("quarantine.message", { id }),
    make("table", {}, make("tbody", {}, ...rows.map(([key, value]) => make("tr", {},
      make("th", { scope: "row" }, text(key)), make("td", {}, value))))),
    make("h3", {}, text("quarantine.body")), make("pre", {}, decode(q.body_base64 ?? "")));
}

let looks = 0;

/** quarantine lists what is open. Of two that were asked for, the later one is shown, whichever
 * answer comes first. */
export async function quarantine(act, failed) {
  const mine = ++looks;
  const all = await ask("/quarantine") ?? [];
  if (mine !== looks) return;
  byId("quarantine-empty").hidden = all.length > 0;
  byId("aside").hidden = all.length === 0;
  byId("aside").tBodies[0].replaceChildren(...all.map((q) => make("tr", { "data-id": q.id },
    make("td", {}, tag(q.kind === "conflict" ? "conflict" : "rejected")),
    make("td", {}, q.reason),
    make("td", {}, q.serial_no ? make("button", {
      class: "serial", on: () => story(q.serial_no, act).catch(failed),
    }, q.serial_no) : "–"),
    make("td", { class: "number" }, count(q.deliveries)),
    make("td", {}, make("button", { on: () => look(q.id).catch(failed) }, text("quarantine.look")),
      make("button", { on: () => act("quarantine-replay", { id: q.id }) },
        text("quarantine.replay")),
      make("button", { on: () => act("quarantine-discard", { id: q.id }) },
        text("quarantine.discard"))))));
}
