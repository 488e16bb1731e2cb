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
