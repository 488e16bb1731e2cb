
// Time that a call runs before the page gets its turn, in milliseconds.
const SLICE = 12;

const find = (id) => document.getElementById(id);
const engine = new Engine();
let plugin = null;
let facts = null;
// The call that runs, if one does.
let running = null;
let output = new Uint8Array();

await Engine.compile();
await engine.start();
document.body.dataset.ready = "yes";

// Runs work in the engine. If it traps, as when memory or the stack is used up, a new one takes its place, with the plugin.
async function guarded(work) {
  try {
    return await work();
  } catch (error) {
    await engine.start();
    const message = `the engine stopped: ${error.message}. It was started anew: call with lower limits.`;
    return { error: { code: "engine-stopped", message } };
  }
}

const told = ({ code, message }) => `${code}: ${message}`;

function row(...cells) {
  const tr = document.createElement("tr");
  for (const cell of cells) {
    const td = document.createElement("td");
    td.textContent = cell ?? "";
    tr.append(td);
  }
  return tr;
}

async function load(file) {
  if (!file) return;
  cancel();
  await running;
  const bytes = new Uint8Array(await file.arrayBuffer());
  const found = await guarded(() => engine.json("load", bytes));
  const failed = found.error !== undefined;
  find("load-error").textContent = failed ? `${file.name}: ${told(found.error)}` : "";
  for (const id of ["facts", "call"]) find(id).hidden = failed;
  find("result").hidden = true;
  plugin = failed ? null : { name: file.name, bytes };
  if (failed) return;
  facts = found;
  show();
}

function show() {
  find("facts-title").textContent = plugin.name;
  const memory = facts.memory ? `, ${facts.memory.bytes.toLocaleString("en")} bytes of memory at the start` : "";
  const kind = facts.kind === "component" ? "Component" : `Module, convention ${facts.convention}`;
  find("summary").textContent = `${kind}, ${facts.bytes.toLocaleString("en")} bytes${memory}`;
  find("imports").replaceChildren(...facts.imports.map(({ name, type, grant }) => {
    const tr = row(name, type, grant ? `grant ${grant}` : "not supplied");
    if (!grant) tr.lastChild.className = "missing";
    return tr;
  }));
  find("exports").replaceChildren(...facts.exports.map(({ name, type, takes }) => row(name, type, takes)));
  find("contract-part").hidden = !facts.contract;
  find("contract").textContent = facts.contract ?? "";
  const names = facts.exports.filter(({ takes }) => takes && takes !== "operation").map(({ name }) => name);
  find("functions").replaceChildren(...names.map((name) => new Option(name, name)));
  find("function").value = names.includes("process") ? "process" : names[0] ?? "process";
  find("profile").disabled = facts.kind === "component";
  describe();
  find("facts-title").focus();
}

const TAKES = {
  bytes: "The function takes the input as bytes.",
  numbers: "Write the numbers with spaces between.",
  arguments: "Write one argument in each line.",
  operation: "The function is an operation, which takes the input as bytes.",
  values: "Write the arguments as values of the contract, with commas between.",
};

function takes() {
  const name = find("function").value;
  const { takes } = facts.exports.find((it) => it.name === name) ?? {};
  return takes ?? (facts.convention === "wapc" ? "operation" : "bytes");
}

function describe() {
  find("takes").textContent = TAKES[takes()];
}

async function inputs() {
  const [file] = find("input-file").files;
  if (file) return [new Uint8Array(await file.arrayBuffer())];
  const text = find("input").value;
  if (takes() !== "arguments") return [text];
  return text === "" ? [] : text.split("\n");
}

function request(profile) {
  const number = (id) => {
    const { value, parentElement } = find(id);
    const digits = value.replaceAll(/[\s_,]/g, "");
    if (digits === "" && id === "deadline") return null;
    if (!/^[0-9]{1,15}$/.test(digits)) throw new Error(`${parentElement.firstChild.data.trim()}: expected a whole number, found ${value}`);
    return Number(digits);
  };
  const lines = find("settings").value.split("\n").filter((line) => line.includes("="));
  const settings = lines.map((line) => [line.slice(0, line.indexOf("=")), line.slice(line.indexOf("=") + 1)]);
  return JSON.stringify({
    function: find("function").value,
    settings: Object.fromEntries(settings),
    fuel: number("fuel"),
    memory_bytes: Math.min(number("memory"), 4096) * 2 ** 20,
    deadline_ms: number("deadline"),
    stub: find("stub").checked,
    profile,
    now: now(),
  });
}

const now = () => performance.timeOrigin + performance.now();

async function call(profile) {
  if (running || !plugin) return;
  const work = { cancelled: false };
  busy(true);
  running = guarded(() => run(work, profile)).then(ended);
  running.work = work;
  await running;
  running = null;
  busy(false);
}

function busy(on) {
  for (const id of ["run", "profile"]) find(id).disabled = on || (id === "profile" && facts.kind === "component");
  find("cancel").disabled = !on;
  if (!on) return;
  find("result").hidden = false;
  find("flame-part").hidden = find("save").hidden = true;
  find("state").className = "";
  find("state").textContent = "Running";
  for (const id of ["error", "output", "log"]) find(id).textContent = "";
}

// Steps a call until it ends, and gives the page its turn between.
async function run(work, profile) {
  let begun;
  try {
    begun = request(profile);
  } catch (error) {
    return { error: { code: "usage", message: error.message } };
  }
  const given = await inputs();
  // Loads it anew, since the engine may have been.
  engine.call("load", plugin.bytes);
  for (const input of given) engine.call("argument", input);
  const failed = engine.json("call", begun);
  if (failed.error) return failed;
  for (;;) {
    const until = performance.now() + SLICE;
    let at;
    do {
      at = engine.json("step", String(now()));
      for (const record of at.log) logged(record);
    } while (!at.done && performance.now() < until);
    figures(at);
    if (at.done) {
      output = engine.call("output", "");
      at.flame = profile && { svg: decode(engine.call("flame_graph", plugin.name)), folded: decode(engine.call("folded", "")) };
      return at;
    }
    await new Promise((next) => setTimeout(next));
    if (work.cancelled) {
      engine.call("cancel", "");
      return { error: { code: "cancelled", message: "the call was cancelled" } };
    }
  }
}

function figures({ fuel, memory, host_calls }) {
  find("used").textContent = fuel.toLocaleString("en");
  find("held").textContent = `${memory.toLocaleString("en")} bytes`;
  find("host-calls").textContent = host_calls.toLocaleString("en");
}

function logged({ level, speaker, text }) {
  const li = document.createElement("li");
  li.className = level;
  li.textContent = speaker === "host" ? `[host] ${text}` : level === "info" ? text : `[${level}] ${text}`;
  find("log").append(li);
}

function ended({ error, exit, flame }) {
  const good = !error && !exit;
  find("state").className = good ? "good" : "";
  find("state").textContent = error ? "Failed" : exit === undefined ? "Done" : `Exited with code ${exit}`;
  find("error").textContent = error ? told(error) : "";
  if (!error) find("output").textContent = decode(output);
  find("save").hidden = Boolean(error) || output.length === 0;
  find("flame-part").hidden = !flame;
  if (flame) draw(flame);
}

// The picture's own colours are left out: the page has its own, and its policy permits no others.
function draw({ svg, folded }) {
  const plain = svg.replace(/<style>.*?<\/style>/s, "");
  find("flame").replaceChildren(new DOMParser().parseFromString(plain, "image/svg+xml").documentElement);
  find("save-svg").onclick = () => save(`${plugin.name}.svg`, svg);
  find("save-folded").onclick = () => save(`${plugin.name}.folded`, folded);
}

function save(name, contents) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([contents]));
  link.download = name;
  link.click();
  URL.revokeObjectURL(link.href);
}

function cancel() {
  if (running) running.work.cancelled = true;
}

const drop = find("drop");
for (const type of ["dragover", "drop"]) {
  addEventListener(type, (event) => {
    event.preventDefault();
    drop.classList.toggle("over", type === "dragover");
    if (type === "drop") load(event.dataTransfer.files[0]);
  });
}
addEventListener("dragleave", () => drop.classList.remove("over"));
find("file").addEventListener("change", ({ target }) => load(target.files[0]));
find("function").addEventListener("input", describe);
find("call").addEventListener("submit", (event) => {
  event.preventDefault();
  call(false);
});
find("profile").addEventListener("click", () => call(true));
find("cancel").addEventListener("click", cancel);
find("save").addEventListener("click", () => save("output", output));
addEventListener("keydown", (event) => {
  if (event.key === "Escape") cancel();
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) call(false);
});
