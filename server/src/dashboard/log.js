// The log

let reading = null;
let seen = "";
let paused = [];

async function follow() {
  reading?.abort();
  const control = (reading = new AbortController());
  while (!control.signal.aborted) {
    try {
      const headers = seen ? { "last-event-id": seen } : {};
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
  seen = fields.id;
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
