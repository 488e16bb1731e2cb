"use strict";

// What is shown comes from plugins and their authors: it is put in place as text, never as HTML.
const id = (name) => document.getElementById(name);
const TOKEN = "hostel-token";
const INTERVAL = 2000;
const SAMPLES = 60;
const WINDOW = 30000;
const MOST_LINES = 500;
const LEVELS = ["trace", "debug", "info", "warn", "error"];

const state = { token: sessionStorage.getItem(TOKEN), role: "", chosen: null, shown: null, examples: {}, plugins: [] };
const history = new Map();
const rows = new Map();

function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in element) element[name] = value; else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

function drawing(tag, attributes = {}) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

function put(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

// Numbers

function short(number) {
  if (!(number > 0)) return "0";
  const units = ["", "k", "M", "G", "T", "P"];
  let at = 0;
  while (number >= 999.5 && at < units.length - 1) { number /= 1000; at += 1; }
  return (number >= 99.95 || (at === 0 && Number.isInteger(number)) ? number.toFixed(0) : number.toFixed(number >= 9.995 ? 1 : 2)) + units[at];
}

function seconds(time) {
  if (time === null) return "–";
  if (time < 0.001) return Math.round(time * 1e6) + " µs";
  return time < 1 ? Number((time * 1e3).toPrecision(3)) + " ms" : Number(time.toPrecision(3)) + " s";
}

function bytes(number) {
  const units = ["B", "KiB", "MiB", "GiB"];
  let at = 0;
  while (number >= 1024 && at < units.length - 1) { number /= 1024; at += 1; }
  return (Number.isInteger(number) ? number : number.toFixed(1)) + " " + units[at];
}

// The time within which a part of the calls ended, from counts by time.
function quantile(took, bounds, part) {
  const all = took.reduce((sum, count) => sum + count, 0);
  if (all === 0) return null;
  let left = all * part;
  for (let at = 0; at < took.length; at += 1) {
    if (took[at] >= left && took[at] > 0) {
      const low = at === 0 ? 0 : bounds[at - 1];
      const high = at < bounds.length ? bounds[at] : bounds[bounds.length - 1];
      return low + (high - low) * (left / took[at]);
    }
    left -= took[at];
  }
  return bounds[bounds.length - 1];
}

function spark(svg, values, height = 32) {
  const most = Math.max(...values, 1e-9);
  const step = 120 / (SAMPLES - 1);
  const from = 120 - (values.length - 1) * step;
  const points = values.map((value, at) => `${(from + at * step).toFixed(1)},${(height - 2 - (value / most) * (height - 6)).toFixed(1)}`);
  if (svg.childElementCount === 0) svg.append(drawing("path", { class: "area" }), drawing("path"));
  const line = points.length > 1 ? "M" + points.join("L") : "";
  svg.children[1].setAttribute("d", line);
  svg.children[0].setAttribute("d", line && `${line}L120,${height}L${from.toFixed(1)},${height}Z`);
}

// Requests

function ask(path, options = {}) {
  const headers = new Headers(options.headers);
  if (state.token) headers.set("authorization", "Bearer " + state.token);
  return fetch(path, { ...options, headers, cache: "no-store", credentials: "omit", redirect: "error" });
}

async function problem(response) {
  try {
    const { title, detail } = await response.json();
    return detail ? `${title}: ${detail}` : title;
  } catch {
    return `The server answered with ${response.status}.`;
  }
}

const plugin = (name, rest = "") => `/v1/plugins/${encodeURIComponent(name)}${rest}`;

// Figures

const FIGURES = ["calls", "errors", "fuel", "flight", "p99"];

function sample(name, now, figures) {
  const kept = history.get(name) ?? { points: [], series: Object.fromEntries(FIGURES.map((figure) => [figure, []])) };
  history.set(name, kept);
  const point = {
    at: now, calls: figures.succeeded + figures.failed, errors: figures.failed, fuel: figures.fuel,
    took: figures.took, flight: figures.in_flight,
  };
  const before = kept.points.at(-1);
  kept.points.push(point);
  while (kept.points.length > 2 && now - kept.points[1].at > WINDOW) kept.points.shift();
  const since = before ? (now - before.at) / 1000 : 0;
  // A server that was started anew counts from the beginning.
  const by = (name) => (since > 0 ? Math.max(0, point[name] - before[name]) / since : 0);
  const first = kept.points[0];
  const took = point.took.map((count, at) => Math.max(0, count - first.took[at]));
  const calls = Math.max(0, point.calls - first.calls);
  const result = {
    calls: by("calls"), errors: by("errors"), fuel: by("fuel"), flight: point.flight,
    p50: quantile(took, figures.took_seconds, 0.5), p99: quantile(took, figures.took_seconds, 0.99),
    failed: calls > 0 ? Math.max(0, point.errors - first.errors) / calls : null, took,
  };
  for (const figure of FIGURES) {
    const series = kept.series[figure];
    series.push(result[figure] ?? 0);
    if (series.length > SAMPLES) series.shift();
  }
  result.series = kept.series;
  return result;
}

function rowOf(name) {
  if (rows.has(name)) return rows.get(name);
  const cells = {};
  const cell = (key, ...children) => (cells[key] = make("td", {}, ...children));
  const number = (key) => { cell(key).className = "number"; return cells[key]; };
  cells.choose = make("button", { type: "button", textContent: name });
  cells.choose.addEventListener("click", () => choose(name));
  cells.kind = make("span", { className: "kind" });
  cells.number = make("span");
  cells.sha = make("span", { className: "sha" });
  cells.spark = drawing("svg", { class: "spark", viewBox: "0 0 120 22", preserveAspectRatio: "none", "aria-hidden": "true" });
  const meter = drawing("svg", { viewBox: "0 0 100 6", preserveAspectRatio: "none", "aria-hidden": "true" });
  cells.bar = drawing("rect", { width: 0, height: 6 });
  meter.append(cells.bar);
  cells.use = make("span");
  const row = make("tr", {},
    make("th", { scope: "row" }, cells.choose, cells.kind), cell("version", cells.number, " ", cells.sha),
    number("calls"), make("td", {}, cells.spark), number("p50"), number("p99"), number("errors"), number("fuel"),
    make("td", {}, make("span", { className: "use" }, meter, cells.use)), number("queue"));
  rows.set(name, { row, cells });
  return rows.get(name);
}

function show(listed) {
  const now = performance.now();
  state.plugins = listed.plugins.map((it) => it.name);
  const sum = { calls: 0, errors: 0, fuel: 0, flight: 0 };
  let took = null, bounds = [];
  const order = [];
  for (const it of listed.plugins) {
    const figures = sample(it.name, now, it.figures);
    for (const name of Object.keys(sum)) sum[name] += figures[name];
    took = took ? took.map((count, at) => count + figures.took[at]) : figures.took;
    bounds = it.figures.took_seconds;
    const { row, cells } = rowOf(it.name);
    row.classList.toggle("chosen", it.name === state.chosen);
    cells.choose.setAttribute("aria-pressed", String(it.name === state.chosen));
    put(cells.kind, it.abi);
    put(cells.number, "#" + it.version);
    put(cells.sha, it.sha256.slice(0, 8));
    put(cells.calls, short(figures.calls));
    put(cells.p50, seconds(figures.p50));
    put(cells.p99, seconds(figures.p99));
    put(cells.errors, figures.failed === null ? "–" : (figures.failed * 100).toFixed(figures.failed > 0 && figures.failed < 0.1 ? 1 : 0) + " %");
    cells.errors.className = "number" + (figures.failed > 0 ? " some" : figures.failed === null ? " none" : "");
    put(cells.fuel, short(figures.fuel));
    const used = it.figures.instances_in_use;
    cells.bar.setAttribute("width", Math.min(100, (used / Math.max(1, it.concurrency)) * 100).toFixed(1));
    put(cells.use, `${used} of ${it.concurrency}, ${it.figures.instances_idle} idle`);
    put(cells.queue, `${it.figures.waiting} of ${it.queue}`);
    spark(cells.spark, figures.series.calls, 22);
    order.push(row);
  }
  for (const name of rows.keys()) {
    if (!state.plugins.includes(name)) { rows.get(name).row.remove(); rows.delete(name); history.delete(name); }
  }
  order.forEach((row, at) => {
    if (id("rows").children[at] !== row) id("rows").insertBefore(row, id("rows").children[at] ?? null);
  });
  filterRows();
  const all = totals(sum, took, bounds);
  put(id("all-calls"), short(sum.calls));
  put(id("all-errors"), short(sum.errors));
  put(id("all-p99"), seconds(all.p99));
  put(id("all-fuel"), short(sum.fuel));
  put(id("all-flight"), String(sum.flight));
  put(id("all-count"), `in ${order.length} ${order.length === 1 ? "plugin" : "plugins"}`);
  for (const figure of FIGURES) spark(id("spark-" + figure), all.series[figure]);
  role(listed.client);
  if (state.chosen && !state.plugins.includes(state.chosen)) choose(null);
}

function filterRows() {
  const wanted = id("search").value.trim().toLowerCase();
  for (const [name, { row }] of rows) row.hidden = !name.toLowerCase().includes(wanted);
  id("empty").hidden = [...rows.values()].some(({ row }) => !row.hidden);
  put(id("empty"), rows.size ? "No plugin has such a name." : "No plugins yet: put NAME.wasm into the directory that is served.");
}

const whole = Object.fromEntries(FIGURES.map((figure) => [figure, []]));

function totals(sum, took, bounds) {
  const p99 = took ? quantile(took, bounds, 0.99) : null;
  for (const figure of FIGURES) {
    whole[figure].push(figure === "p99" ? p99 ?? 0 : sum[figure]);
    if (whole[figure].length > SAMPLES) whole[figure].shift();
  }
  return { p99, series: whole };
}

function role(client) {
  state.role = client.role;
  put(id("who"), client.name ? `${client.name}, ${client.role}` : "");
  put(id("sign"), state.token ? "Sign out" : "Sign in");
  id("upload").hidden = client.role !== "admin";
}

// The fleet

// Whether the server is part of one, and the client may see it: known after the first answer.
let inFleet = true;

async function pollFleet() {
  if (!inFleet) return;
  const response = await ask("/v1/fleet");
  inFleet = response.ok || response.status >= 500;
  id("fleet").hidden = !response.ok;
  if (response.ok) showFleet(await response.json());
}

function showFleet({ fleet, releases, workers, jobs }) {
  put(id("fleet-title"), `Fleet ${fleet}`);
  const about = [`release #${releases.active.number}`, `${workers.length} ${workers.length === 1 ? "worker" : "workers"}`,
    `${short(jobs.waiting)} jobs wait or run`, `${short(jobs.dead)} dead letters`];
  if (releases.candidate) about.splice(1, 0, `release #${releases.candidate.number} is voted on`);
  put(id("fleet-about"), about.join(" · "));
  const number = (value, bad) => make("td", { className: bad && value > 0 ? "number some" : "number", textContent: short(value) });
  id("workers").replaceChildren(...workers.map(({ address, started, serves, vote, behind, figures }) => {
    const calls = Object.values(figures.plugins).reduce(([done, failed], it) => [done + it[0], failed + it[1]], [0, 0]);
    const [word, kind] = behind ? [behind, "some"] : vote?.refusal ? [`refuses #${vote.release}: ${vote.refusal}`, "some"] : ["ready", ""];
    return make("tr", {},
      make("th", { scope: "row", textContent: address }), make("td", { textContent: new Date(started).toLocaleString("en-GB") }),
      make("td", { textContent: "#" + serves }), make("td", { className: kind, textContent: word }),
      number(calls[0] + calls[1]), number(calls[1], true), number(figures.running),
      number(figures.jobs[0]), number(figures.jobs[1], true), number(figures.repeats));
  }));
}

function live(text, kind) {
  put(id("state"), text);
  id("state").className = "state " + kind;
}

let timer = 0;

async function poll() {
  clearTimeout(timer);
  timer = setTimeout(poll, INTERVAL);
  if (document.hidden) return;
  try {
    const response = await ask("/v1/plugins");
    if (response.status === 401 || response.status === 403) {
      live("signed out", "lost");
      clearTimeout(timer);
      signIn(await problem(response));
      return;
    }
    if (!response.ok) throw new Error(await problem(response));
    show(await response.json());
    live("live", "live");
    await pollFleet();
  } catch {
    live("no connection", "lost");
  }
}
