// The page: what keys and buttons do, and what the server is told and tells.
import { ask, scanPath } from "./server.js";
import { Desk } from "./desk.js";
import { Brush } from "./brush.js";
import { List, fate, sure } from "./list.js";

const byId = (id) => document.getElementById(id);
const stage = byId("stage"), viewer = byId("viewer"), status = byId("status");
const desk = new Desk(viewer, byId("overlay"), () => placeDivider());
const brush = new Brush(desk, stage, (kind, points, radius) => act({ kind, points, radius }));
const list = new List(byId("list"), byId("rows"), (mark) => chosen(mark));
let scan = null, batch = [], busy = Promise.resolve(), suggestion = null;
const LOOKS = ["plain", "levels", "positive"], NAMES = { paint: "painting", erase: "erasing" };

const say = (text) => { status.textContent = text; };

function notice(error) {
  const box = byId("notice");
  box.replaceChildren();
  box.hidden = !error;
  if (!error) return;
  const strong = document.createElement("strong");
  strong.textContent = error.message || error.error;
  box.append(strong, error.hint || "");
}

// One request after another, so that decisions arrive in the order they were made.
function queue(work) {
  busy = busy.then(work).catch((error) => notice(error));
  return busy;
}

async function openBatch() {
  batch = (await ask("api/scans")).scans;
  const select = byId("scan");
  select.replaceChildren(...batch.map((entry) => {
    const option = document.createElement("option");
    option.value = entry.id;
    return option;
  }));
  labelBatch();
  const asked = Number(location.hash.slice(1));
  await openScan(batch[asked] ? asked : 0);
}

function labelBatch() {
  [...byId("scan").options].forEach((option, i) => {
    const { name, repairs, vetoed, unsaved, error } = batch[i];
    const parts = [name];
    if (error) parts.push("cannot be opened");
    else if (repairs !== null) parts.push(`${repairs} repairs${vetoed ? `, ${vetoed} vetoed` : ""}`);
    option.textContent = (unsaved ? "• " : "") + parts.join(" – ");
  });
  byId("scan-previous").disabled = byId("scan-next").disabled = batch.length < 2;
}

async function openScan(id) {
  notice(null);
  byId("scan").value = id;
  history.replaceState(null, "", `#${id}`);
  list.chosen = null;
  suggestion = null;
  desk.suggested = [];
  let seen;
  try {
    seen = await ask(scanPath(id));
  } catch (error) {
    scan = null;
    desk.viewer.close();
    list.set([]);
    return notice(error);
  }
  scan = seen;
  scan.dirty = [];
  scan.since = scan.version;
  byId("look").value = desk.look = scan.look;
  byId("layer").value = desk.layer = "picture";
  byId("layer").querySelector("[value='infrared']").disabled = !scan.infrared;
  byId("view-note").textContent = scan.notes.join(" ");
  byId("sensitivity").value = scan.sensitivity;
  byId("sensitivity-shown").textContent = scan.sensitivity;
  await desk.open(scan);
  await loadMarks();
  show(scan);
  say(scan.ready ? `${scan.name}: ${count()}` : `${scan.name}: looking for artefacts …`);
}

async function loadMarks() {
  const answer = await ask(scanPath(scan.id, "/marks"));
  desk.marks = answer.marks;
  scan.version = answer.version;
  list.set(desk.marks);
  desk.redraw();
}

function count() {
  const kept = desk.marks.filter((mark) => !mark.vetoed).length;
  const vetoed = desk.marks.length - kept;
  return `${kept} repairs${vetoed ? `, ${vetoed} vetoed` : ""}`;
}

// What buttons and bars show of the scan's state.
function show(state) {
  byId("undo").disabled = !state.undo;
  byId("redo").disabled = !state.redo;
  byId("save").disabled = !state.savable || !state.ready || state.saving;
  const bar = byId("progress");
  bar.hidden = state.progress === null;
  if (state.progress !== null) bar.value = state.progress;
  byId("sensitivity").disabled = !state.searched;
  const says = byId("sensitivity-says");
  if (!state.searched && state.search_error) says.textContent = `Not available: ${state.search_error}`;
  else if (!state.searched) says.textContent = "Available once the scan has been searched.";
  else if (!suggestion) says.textContent = "Move it to see what would change.";
  if (state.error) notice(state.error);
  const mark = list.current();
  byId("veto").firstChild.textContent = mark && mark.vetoed ? "Restore " : "Veto ";
  byId("veto").disabled = !mark || !state.ready;
  const entry = batch[state.id];
  Object.assign(entry, { unsaved: state.unsaved, repairs: state.repairs, vetoed: state.vetoed });
  labelBatch();
}

function chosen(mark) {
  desk.current = mark;
  if (!mark) return;
  desk.show(mark);
  show(scan);
  const place = list.index() + 1;
  say(`${place} of ${list.shown.length}: ${mark.w} × ${mark.h} px at ${Math.round(mark.x)}, ${Math.round(mark.y)}${sure(mark) && `, confidence ${sure(mark)}`} – ${fate(mark)}`);
  setTimeout(() => { if (desk.current === mark) desk.prefetch(list.following()); }, 120);
}

// A decision: sent, answered with what it changed, and shown.
function act(deed) {
  return queue(async () => {
    if (!scan || !scan.ready) return;
    const id = scan.id;
    const answer = await ask(scanPath(id, "/act"), deed);
    if (!scan || scan.id !== id) return;
    notice(null);
    if (answer.version === scan.version + 1) {
      const gone = new Set(answer.removed), fresh = new Map(answer.marks.map((mark) => [mark.name, mark]));
      desk.marks = desk.marks.filter((mark) => !gone.has(mark.name) && !fresh.has(mark.name)).concat(answer.marks);
      list.set(desk.marks);
    } else if (answer.version !== scan.version) {
      await loadMarks(); // somebody else decided too
      scan.since = answer.version;
    }
    take(answer);
    say(answer.said);
  });
}

function take(answer) {
  const before = scan.version;
  Object.assign(scan, answer.state, { version: answer.version });
  for (const window of answer.dirty) scan.dirty.push([...window, answer.version]);
  desk.current = list.current();
  show(scan);
  desk.redraw();
  if (answer.version !== before || answer.dirty.length) desk.restack();
}

function veto() {
  const mark = list.current();
  if (mark) act({ kind: mark.vetoed ? "restore" : "veto", names: [mark.name] });
}

function save() {
  if (byId("save").disabled) return;
  byId("save").disabled = true;
  say("Saving …");
  queue(async () => {
    const id = scan.id;
    try {
      const answer = await ask(scanPath(id, "/save"), { version: scan.version });
      if (scan.id === id) take(answer);
      say(answer.said);
    } catch (error) {
      say("Not saved.");
      show(scan);
      throw error;
    }
  });
}

// News of work that goes on, and of decisions made in other tabs.
async function poll() {
  if (scan && document.visibilityState === "visible") {
    const id = scan.id;
    try {
      const news = await ask(scanPath(id, "/news"));
      if (scan && scan.id === id) await queue(() => learn(news));
    } catch (error) {
      notice(error);
    }
  }
  setTimeout(poll, scan && scan.progress !== null ? 500 : 1500);
}

async function learn(news) {
  if (news.id !== scan.id || news.version < scan.version) return;
  const other = news.version !== scan.version, fresh = news.ready !== scan.ready, learned = news.searched !== scan.searched;
  const redraw = other || fresh || news.picture !== scan.picture;
  Object.assign(scan, { ...news, version: scan.version });
  if (other || fresh || learned) {
    await loadMarks();
    if (other) scan.since = scan.version;
    if (fresh) say(`${scan.name}: ${count()}`);
  }
  show(scan);
  if (redraw) await desk.restack();
}

async function trySensitivity(value) {
  byId("sensitivity-shown").textContent = value;
  const id = scan.id, says = byId("sensitivity-says");
  says.textContent = "Looking …";
  const answer = await ask(scanPath(id, `/sensitivity?value=${value}`));
  if (!scan || scan.id !== id || Number(byId("sensitivity").value) !== answer.value) return;
  suggestion = answer;
  desk.suggested = answer.marks;
  const { more, fewer } = answer;
  says.textContent = more || fewer ? `${more} more (green), ${fewer} fewer (red, dashed).` : "Nothing would change.";
  byId("accept").disabled = !more && !fewer;
  desk.redraw();
}

function accept() {
  if (!suggestion) return;
  const value = suggestion.value;
  suggestion = null;
  desk.suggested = [];
  byId("accept").disabled = true;
  act({ kind: "sensitivity", value });
}

function setMode(mode) {
  desk.setMode(mode);
  byId("wipe").setAttribute("aria-pressed", String(mode === "wipe"));
  byId("flicker").setAttribute("aria-pressed", String(mode === "after"));
  byId("tag-left").textContent = mode === "after" ? "after" : "before";
  byId("tag-right").hidden = mode !== "wipe";
  if (mode !== "wipe") say(mode);
  placeDivider();
}

function placeDivider() {
  const divider = byId("divider");
  divider.hidden = desk.mode !== "wipe" || desk.layer !== "picture" || !scan || !scan.ready;
  divider.style.left = `${100 * desk.at}%`;
}

function divide(at) {
  desk.at = Math.min(Math.max(at, 0), 1);
  byId("slide").value = 100 * desk.at;
  if (desk.mode !== "wipe") setMode("wipe");
  desk.redraw();
}

function useBrush(kind) {
  brush.take(kind);
  for (const name of ["paint", "erase"]) byId(name).setAttribute("aria-pressed", String(brush.kind === name));
  byId("brush-size").hidden = brush.kind === null;
  say(brush.kind ? `${NAMES[brush.kind]}: drag, or move with the arrow keys and press Enter; Esc ends` : "");
}

function sizeBrush(radius) {
  brush.radius = Math.min(Math.max(radius, 1), 60);
  byId("radius").value = brush.radius;
  byId("radius-shown").textContent = `${2 * brush.radius} px`;
  desk.redraw();
}

function setLayer(name) {
  const layer = desk.layer === name ? "picture" : name;
  if (layer === "infrared" && !scan.infrared) return say("This scan has no infrared channel.");
  byId("layer").value = layer;
  say(layer);
  desk.setLayer(layer);
  placeDivider();
}

function setLook(look) {
  byId("look").value = look;
  say(byId("look").selectedOptions[0].textContent);
  desk.setLook(look);
}

function turnTo(by) {
  if (batch.length > 1) queue(() => openScan((Number(byId("scan").value) + by + batch.length) % batch.length));
}

const deeds = {
  next: () => list.step(1), previous: () => list.step(-1), veto,
  wipe: () => setMode(desk.mode === "wipe" ? "after" : "wipe"),
  flicker: () => setMode(desk.mode === "after" ? "before" : "after"),
  outlines: () => {
    desk.outlines = !desk.outlines;
    byId("outlines").setAttribute("aria-pressed", String(desk.outlines));
    desk.redraw();
  },
  paint: () => useBrush("paint"), erase: () => useBrush("erase"),
  undo: () => act({ kind: "undo" }), redo: () => act({ kind: "redo" }),
  fit: () => desk.fit(), full: () => desk.zoomTo(1), save,
};
const keys = {
  n: deeds.next, p: deeds.previous, v: veto, f: deeds.flicker, w: deeds.wipe, o: deeds.outlines,
  b: deeds.paint, e: deeds.erase, z: deeds.undo, y: deeds.redo, 0: deeds.fit, 1: deeds.full, s: save,
  "+": () => desk.zoomBy(1.4), "=": () => desk.zoomBy(1.4), "-": () => desk.zoomBy(1 / 1.4),
  ",": () => divide(desk.at - 0.02), ".": () => divide(desk.at + 0.02),
  "[": () => sizeBrush(brush.radius - 1), "]": () => sizeBrush(brush.radius + 1),
  i: () => setLayer("infrared"), d: () => setLayer("difference"),
  l: () => setLook(LOOKS[(LOOKS.indexOf(desk.look) + 1) % LOOKS.length]),
  PageUp: () => turnTo(-1), PageDown: () => turnTo(1),
  Escape: () => { if (brush.kind) useBrush(brush.kind); },
  Enter: () => { if (brush.kind) brush.dab(); else return false; },
};
const arrows = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

document.addEventListener("keydown", (event) => {
  if (!scan || event.altKey) return;
  const typed = event.target.closest("input, select, button, summary, a");
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (event.ctrlKey || event.metaKey) {
    const deed = { z: event.shiftKey ? deeds.redo : deeds.undo, y: deeds.redo, s: save }[key];
    if (deed) { event.preventDefault(); deed(); }
    return;
  }
  if (event.target.id === "list" && arrows[key]) {
    list.step(arrows[key][0] + arrows[key][1]);
    return event.preventDefault();
  }
  if (arrows[key]) {
    if (typed) return;
    const [dx, dy] = arrows[key], far = event.shiftKey ? 8 : 1;
    if (brush.kind) brush.nudge(dx * far, dy * far);
    else desk.panBy(dx * 60 * far, dy * 60 * far);
    return event.preventDefault();
  }
  if (typed && (key === "Enter" || key === " " || (typed.matches("select, input") && !/^[a-z[\]]$/.test(key)))) return;
  if (typed && typed.matches("select") && !event.repeat && key.length === 1) return; // types ahead
  if (keys[key] && keys[key]() !== false) event.preventDefault();
});

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-do]");
  if (button) deeds[button.dataset.do]();
});
byId("save").addEventListener("click", save);
byId("accept").addEventListener("click", accept);
byId("scan").addEventListener("change", (event) => { const id = Number(event.target.value); queue(() => openScan(id)); });
byId("scan-previous").addEventListener("click", () => turnTo(-1));
byId("scan-next").addEventListener("click", () => turnTo(1));
byId("slide").addEventListener("input", (event) => divide(event.target.value / 100));
byId("radius").addEventListener("input", (event) => sizeBrush(Number(event.target.value)));
byId("sort").addEventListener("change", (event) => { list.order = event.target.value; list.sort(); });
byId("filter").addEventListener("change", (event) => { list.filter = event.target.value; list.sort(); });
byId("layer").addEventListener("change", (event) => { desk.setLayer(event.target.value); placeDivider(); });
byId("look").addEventListener("change", (event) => setLook(event.target.value));
byId("sensitivity").addEventListener("input", (event) => {
  const value = Number(event.target.value);
  clearTimeout(trySensitivity.timer);
  trySensitivity.timer = setTimeout(() => trySensitivity(value).catch(notice), 120);
  byId("sensitivity-shown").textContent = value;
});

const handle = byId("divider").firstElementChild;
handle.addEventListener("pointerdown", (event) => { handle.setPointerCapture(event.pointerId); event.preventDefault(); });
handle.addEventListener("pointermove", (event) => {
  if (!handle.hasPointerCapture(event.pointerId)) return;
  const box = stage.getBoundingClientRect();
  divide((event.clientX - box.left) / box.width);
});

// A click on a mark chooses it.
desk.viewer.addHandler("canvas-click", (event) => {
  if (!event.quick || !scan) return;
  const [x, y] = desk.toImage(event.position.x, event.position.y), reach = 8 / desk.place().scale;
  const hit = desk.marks.filter((m) => x > m.x - reach && x < m.x + m.w + reach && y > m.y - reach && y < m.y + m.h + reach);
  if (!hit.length) return;
  hit.sort((a, b) => a.w * a.h - b.w * b.h);
  list.chosen = hit[0].name;
  list.position = Math.max(0, list.index());
  list.reveal();
  list.draw();
  desk.current = hit[0];
  show(scan);
  desk.redraw();
});

window.addEventListener("beforeunload", (event) => {
  if (batch.some((entry) => entry.unsaved)) event.preventDefault();
});

sizeBrush(6);
setMode("wipe");
queue(openBatch).then(poll);
