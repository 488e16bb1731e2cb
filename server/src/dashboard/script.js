
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
  } catch {
    live("no connection", "lost");
  }
}

// One plugin

async function choose(name) {
  state.chosen = name;
  state.shown = null;
  id("detail").hidden = name === null;
  id("answer").hidden = true;
  for (const [known, { row, cells }] of rows) {
    row.classList.toggle("chosen", known === name);
    cells.choose.setAttribute("aria-pressed", String(known === name));
  }
  filterLines();
  if (name === null) return;
  put(id("detail-title"), name);
  // Nothing of another plugin is shown, or called, meanwhile.
  for (const part of ["function", "facts", "errors", "versions"]) id(part).replaceChildren();
  delete id("versions").dataset.shown;
  await refresh();
  id("detail-title").focus();
}

// Reads again what is shown of the chosen plugin.
async function refresh() {
  const name = state.chosen;
  const [shown, described] = await Promise.all([
    ask(plugin(name)).then((response) => (response.ok ? response.json() : null)),
    ask(`/v1/openapi/${encodeURIComponent(name)}`).then((response) => (response.ok ? response.json() : null)),
  ]).catch(() => [null, null]);
  if (name !== state.chosen || !shown) return;
  const same = state.shown?.sha256 === shown.sha256;
  state.shown = shown;
  put(id("detail-kind"), shown.abi);
  if (!same) functions(shown, described);
  facts(shown);
  await versions(name);
}

function functions(shown, described) {
  const chosen = id("function");
  const callable = shown.exports.filter((it) => it.takes !== "resources" && !["memory", "allocate", "deallocate"].includes(it.name));
  const before = chosen.value;
  chosen.replaceChildren(...callable.map((it) => make("option", { value: it.name, textContent: it.name })));
  const first = callable.find((it) => it.name === before) ?? callable.find((it) => it.name === "process") ?? callable[0];
  if (first) chosen.value = first.name;
  state.examples = {};
  for (const it of callable) state.examples[it.name] = example(described, shown.name, it);
  functionChosen();
}

// An input to begin with, made of the schema of the function's arguments.
function example(described, name, called) {
  if (called.takes === "bytes") return "hello world";
  const segment = encodeURIComponent(called.name).replace(/[!'()*]/g, (it) => "%" + it.charCodeAt(0).toString(16).toUpperCase());
  const body = described?.paths?.[`/v1/plugins/${encodeURIComponent(name)}/${segment}`]?.post?.requestBody;
  const schema = body?.content?.["application/json"]?.schema;
  return schema ? JSON.stringify(valueOf(schema, described.components.schemas, { left: 500 }), null, 2) : "";
}

// Types that are small as a graph may be long as a tree: after some parts, null stands for all others.
function valueOf(schema, known, parts) {
  parts.left -= 1;
  if (parts.left < 0) return null;
  const next = (inner) => valueOf(inner, known, parts);
  if (schema.$ref) return next(known[schema.$ref.split("/").at(-1)] ?? {});
  if ("const" in schema) return schema.const;
  if (schema.enum) return schema.enum[0];
  const any = schema.oneOf ?? schema.anyOf;
  if (any) return next(any[0]);
  switch (schema.type) {
    case "object": return Object.fromEntries(Object.entries(schema.properties ?? {}).map(([key, inner]) => [key, next(inner)]));
    case "array": return schema.prefixItems ? schema.prefixItems.map(next)
      : Array.from({ length: Math.min(schema.minItems ?? 1, 16) }, () => next(schema.items ?? {}));
    case "string": return schema.contentEncoding === "base64" ? "aGVsbG8=" : schema.maxLength === 1 ? "a" : "hello";
    case "boolean": return true;
    case "null": return null;
    default: return 1;
  }
}

function functionChosen() {
  const name = id("function").value;
  const called = state.shown.exports.find((it) => it.name === name);
  put(id("type"), called ? called.type : "");
  put(id("input-label"), called?.takes === "json" ? "Arguments, as JSON" : called?.takes === "numbers" ? "Numbers, as a JSON array" : "Input, as text");
  id("input").value = state.examples[name] ?? "";
  id("answer").hidden = true;
}

function facts(shown) {
  const { budget, limits, figures } = shown;
  const list = [
    ["Version", `#${shown.version}`],
    ["SHA-256", shown.sha256],
    ["Grants", shown.grants.join(", ") || "none"],
    ["Deadline", budget.deadline_ms === null ? "none" : seconds(budget.deadline_ms / 1000)],
    ["Fuel of a call", short(budget.fuel)],
    ["Memory", `${bytes(figures.memory_bytes_max)} used at most, of ${bytes(limits.memory_bytes)}`],
    ["Calls", `${short(figures.succeeded + figures.failed)}, ${short(figures.failed)} of them failed`],
    ["Pool", `${short(figures.resets)} resets, ${short(figures.discards)} discarded`],
  ];
  if (shown.rate) list.push(["Rate", `${shown.rate.calls} each ${seconds(shown.rate.per_ms / 1000)}, ${shown.rate.burst} at once`]);
  if (shown.fuel) list.push(["Fuel by time", `${short(shown.fuel.left)} left of ${short(shown.fuel.units)} each ${seconds(shown.fuel.per_ms / 1000)}`]);
  id("facts").replaceChildren(...list.flatMap(([name, value]) => [
    make("dt", { textContent: name }), make("dd", { textContent: value, className: name === "SHA-256" ? "sha" : "" })]));
  const errors = Object.entries(figures.errors);
  id("errors").replaceChildren(...(errors.length
    ? errors.map(([code, count]) => make("li", { textContent: `${code} · ${short(count)}` }))
    : [make("li", { className: "no", textContent: "none" })]));
}

async function versions(name) {
  const part = id("versions-part");
  part.hidden = state.role !== "admin";
  if (part.hidden) return;
  const response = await ask(`/v1/versions/${encodeURIComponent(name)}`).catch(() => null);
  if (!response?.ok || name !== state.chosen) { part.hidden = true; return; }
  const text = await response.text();
  const list = id("versions");
  // Without a change, the buttons stay, and one of them may have the focus.
  if (list.dataset.shown === name + text) return;
  list.dataset.shown = name + text;
  const kept = JSON.parse(text).versions;
  const items = kept.toReversed().map((it) => {
    const about = it.loaded ? make("span", { className: "loaded", textContent: "loaded" })
      : make("button", { type: "button", textContent: "Roll back", "aria-label": `Roll back to version ${it.number}` });
    if (!it.loaded) about.addEventListener("click", () => askBack(name, it));
    return make("li", {}, make("span", { textContent: `${it.number}` }), make("span", { className: "sha", textContent: it.sha256.slice(0, 16) }), about);
  });
  if (!items.length) items.push(make("li", { className: "none", textContent: "Kept from the first change on." }));
  list.replaceChildren(...items);
}

async function call(event) {
  event.preventDefault();
  const name = id("function").value;
  const called = state.shown?.exports.find((it) => it.name === name);
  if (!called) return;
  const json = called.takes !== "bytes";
  const headers = { "content-type": json ? "application/json" : "application/octet-stream" };
  const button = id("call").querySelector("button.main");
  button.disabled = true;
  const began = performance.now();
  try {
    const response = await ask(plugin(state.chosen, "/" + encodeURIComponent(name)), { method: "POST", headers, body: id("input").value });
    const body = new Uint8Array(await response.arrayBuffer());
    const took = (performance.now() - began) / 1000;
    answer(response, body, took);
  } catch {
    answer({ ok: false, status: "no answer", headers: new Headers() }, new Uint8Array(), 0);
  }
  button.disabled = false;
  button.focus();
  poll();
  refresh();
}

function answer(response, body, took) {
  const kind = (response.headers.get("content-type") ?? "").split(";")[0];
  put(id("answer-status"), `${response.status}`);
  put(id("answer-about"), [seconds(took), bytes(body.length), kind].filter(Boolean).join(" · "));
  put(id("answer-body"), readable(body, kind));
  id("answer").className = response.ok ? "answer" : "answer failed";
  id("answer").hidden = false;
}

// Bytes as JSON with breaks, as text, or as hexadecimal digits.
function readable(body, kind) {
  const MOST = 65536;
  if (body.length === 0) return "(empty)";
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(body);
    if (kind.endsWith("json") && text.length < MOST) {
      // A number above 53 bits would be another one.
      return /\d{16}/.test(text) ? text : JSON.stringify(JSON.parse(text), null, 2);
    }
    return text.length > MOST ? text.slice(0, MOST) + "…" : text;
  } catch {
    const digits = Array.from(body.slice(0, 1024), (byte) => byte.toString(16).padStart(2, "0"));
    return digits.join(" ") + (body.length > 1024 ? " …" : "");
  }
}

// Changes

function toast(text) {
  put(id("toast"), text);
  id("toast").hidden = false;
  clearTimeout(toast.timer);
  toast.timer = setTimeout(() => { id("toast").hidden = true; }, 5000);
}

function open(dialog) {
  for (const wrong of dialog.querySelectorAll(".wrong")) put(wrong, "");
  if (!dialog.open) dialog.showModal();
}

async function change(name, form, wrong, request, done) {
  const button = form.querySelector("button.main");
  button.disabled = true;
  try {
    const response = await request();
    if (response.ok) {
      form.closest("dialog").close();
      toast(done(await response.json()));
      await poll();
      if (state.chosen === name) await refresh();
    } else {
      put(wrong, await problem(response));
    }
  } catch {
    put(wrong, "The server does not answer.");
  }
  button.disabled = false;
}

function upload(event) {
  event.preventDefault();
  const name = id("upload-name").value;
  const file = id("upload-file").files[0];
  const headers = { "content-type": "application/wasm" };
  change(name, id("upload-form"), id("upload-wrong"),
    () => ask(plugin(name), { method: "PUT", headers, body: file }), (shown) => `${name} is version #${shown.version} now.`);
}

function askBack(name, version) {
  state.back = { name, version };
  put(id("back-what"), `Load version ${version.number} of ${name}, ${version.sha256.slice(0, 16)}, in place of the loaded one? Calls that run end as they began.`);
  open(id("back-dialog"));
}

function rollBack(event) {
  event.preventDefault();
  const { name, version } = state.back;
  change(name, id("back-form"), id("back-wrong"),
    () => ask(`/v1/versions/${encodeURIComponent(name)}/rollback?to=${version.sha256}`, { method: "POST" }),
    () => `${name} was rolled back to version ${version.number}.`);
}

// Tokens

function signIn(why) {
  id("token").value = "";
  open(id("sign-dialog"));
  if (state.token) put(id("sign-wrong"), why);
}

async function signed(event) {
  event.preventDefault();
  state.token = id("token").value.trim();
  const response = await ask("/v1/plugins").catch(() => null);
  if (!response?.ok) {
    put(id("sign-wrong"), response ? await problem(response) : "The server does not answer.");
    state.token = sessionStorage.getItem(TOKEN);
    return;
  }
  sessionStorage.setItem(TOKEN, state.token);
  id("sign-dialog").close();
  begin();
}

function signOut() {
  state.token = null;
  sessionStorage.removeItem(TOKEN);
  choose(null);
  for (const { row } of rows.values()) row.remove();
  rows.clear();
  history.clear();
  id("lines").replaceChildren();
  begin();
}

// The log

let reading = null;
let seen = 0;
let paused = [];

async function follow() {
  reading?.abort();
  const control = (reading = new AbortController());
  while (!control.signal.aborted) {
    try {
      const headers = seen ? { "last-event-id": String(seen) } : {};
      const response = await ask("/v1/logs", { headers, signal: control.signal });
      if (response.status === 401 || response.status === 403) { put(id("logs-state"), ""); return; }
      if (!response.ok) throw new Error();
      put(id("logs-state"), "");
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      let rest = "";
      for (;;) {
        const { value, done } = await reader.read();
        if (done) break;
        const events = (rest + value).split("\n\n");
        rest = events.pop();
        add(events.flatMap(parsed));
      }
    } catch {
      if (control.signal.aborted) return;
    }
    put(id("logs-state"), "no connection");
    await new Promise((wake) => setTimeout(wake, INTERVAL));
  }
}

function parsed(event) {
  const fields = Object.fromEntries(event.split("\n").map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 2)]));
  if (fields.event === "missed") return [{ missed: Number(fields.data) }];
  if (!fields.data) return [];
  seen = Number(fields.id);
  return [JSON.parse(fields.data)];
}

function add(events) {
  if (id("pause").getAttribute("aria-pressed") === "true") {
    paused = [...paused, ...events].slice(-MOST_LINES);
    put(id("logs-state"), `${paused.length} new`);
    return;
  }
  const list = id("lines");
  const follows = list.scrollHeight - list.scrollTop - list.clientHeight < 40;
  list.append(...events.slice(-MOST_LINES).map(line));
  while (list.childElementCount > MOST_LINES) list.firstChild.remove();
  if (follows) list.scrollTop = list.scrollHeight;
}

function line(event) {
  if (event.missed) return make("li", { className: "gap", textContent: `${event.missed} lines were not kept` });
  const when = new Date(event.time * 1000);
  const clock = when.toLocaleTimeString("en-GB") + "." + String(when.getMilliseconds()).padStart(3, "0");
  const item = make("li", { className: event.level },
    make("span", { className: "when", textContent: clock, title: when.toISOString() }),
    make("span", { className: "rank", textContent: event.level }),
    make("span", { className: "from", textContent: event.plugin || event.speaker, title: event.speaker }),
    make("span", { className: "text", textContent: event.text }),
    make("span", { className: "request", textContent: (event.request ?? "").slice(0, 8), title: event.request ? "request " + event.request : "" }));
  item.dataset.plugin = event.plugin;
  item.hidden = isFiltered(item);
  return item;
}

function isFiltered(item) {
  const other = id("only").checked && state.chosen !== null && item.dataset.plugin !== state.chosen;
  return other || LEVELS.indexOf(item.className) < Number(id("level").value);
}

function filterLines() {
  for (const item of id("lines").children) if (!item.classList.contains("gap")) item.hidden = isFiltered(item);
  id("lines").scrollTop = id("lines").scrollHeight;
}

// Events

id("call").addEventListener("submit", call);
id("input").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); id("call").requestSubmit(); }
});
id("function").addEventListener("change", functionChosen);
id("search").addEventListener("input", filterRows);
id("close").addEventListener("click", () => {
  const name = state.chosen;
  choose(null);
  rows.get(name)?.cells.choose.focus();
});
id("rows").addEventListener("keydown", (event) => {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (!step) return;
  const all = [...id("rows").querySelectorAll("tr:not([hidden]) button")];
  const next = all[all.indexOf(document.activeElement) + step];
  if (next) { event.preventDefault(); next.focus(); }
});
id("upload").addEventListener("click", () => {
  id("upload-form").reset();
  id("upload-name").value = state.chosen ?? "";
  open(id("upload-dialog"));
});
id("upload-form").addEventListener("submit", upload);
id("back-form").addEventListener("submit", rollBack);
id("sign-form").addEventListener("submit", signed);
id("sign").addEventListener("click", () => (state.token ? signOut() : signIn("")));
for (const name of ["sign", "upload", "back"]) id(name + "-cancel").addEventListener("click", () => id(name + "-dialog").close());
id("pause").addEventListener("click", () => {
  const pauses = id("pause").getAttribute("aria-pressed") !== "true";
  id("pause").setAttribute("aria-pressed", String(pauses));
  if (!pauses) { put(id("logs-state"), ""); add(paused.splice(0)); }
});
id("clear").addEventListener("click", () => id("lines").replaceChildren());
id("only").addEventListener("change", filterLines);
id("level").addEventListener("change", filterLines);
document.addEventListener("visibilitychange", () => { if (!document.hidden) poll(); });
setInterval(() => { if (state.chosen && !document.hidden && state.shown) refresh(); }, 5 * INTERVAL);

function begin() {
  seen = 0;
  poll();
  follow();
}

put(id("host"), location.host);
begin();
