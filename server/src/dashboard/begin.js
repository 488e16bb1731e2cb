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
  inFleet = true;
  poll();
  follow();
}

put(id("host"), location.host);
begin();
