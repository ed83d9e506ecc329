"use strict";
(() => {
  const byId = (id) => document.getElementById(id);

  // Tables that sort by a heading; undefined figures stay at the end.
  for (const table of document.querySelectorAll("table.sortable")) {
    for (const button of table.querySelectorAll("thead button")) {
      button.addEventListener("click", () => sortBy(table, button.closest("th"), button.dataset.sort));
    }
  }
  function sortBy(table, head, kind) {
    const column = [...head.parentNode.children].indexOf(head);
    const down = head.getAttribute("aria-sort") === "ascending";
    for (const other of head.parentNode.children) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const value = (row) => {
      const cell = row.children[column];
      if (kind === "text") return cell.textContent.trim();
      return cell.dataset.value === "" ? null : Number(cell.dataset.value);
    };
    const rows = [...table.tBodies[0].rows].sort((a, b) => {
      const x = value(a), y = value(b);
      if (x === null || y === null) return (x === null) - (y === null);
      const order = kind === "text" ? x.localeCompare(y) : x - y;
      return down ? -order : order;
    });
    table.tBodies[0].append(...rows);
  }

  const gallery = JSON.parse(byId("gallery").textContent);
  if (!gallery.cases.length) return;

  const SCAN = "scan", TRUTH = "truth";
  const label = (name) => ({ [SCAN]: "Scan", [TRUTH]: "Ground truth" })[name] ?? name;
  const picture = byId("picture"), stage = byId("stage"), slide = byId("slide");
  const within = (selector) => picture.querySelector(selector);
  const state = { index: 0, before: SCAN, after: gallery.backends[0] ?? SCAN, zoom: "fit", split: 50 };

  const option = (value, text) => new Option(text, value);
  gallery.cases.forEach((entry, i) => byId("case").append(option(i, entry.title)));
  const hasTruth = gallery.cases.some((entry) => TRUTH in entry.layers);
  const names = [SCAN, ...(hasTruth ? [TRUTH] : []), ...gallery.backends];
  for (const name of names) {
    byId("before").append(option(name, label(name)));
    byId("after").append(option(name, label(name)));
  }
  state.after = names.find((name) => gallery.backends.includes(name) && !name.startsWith("oracle")) ?? state.after;

  const show = (image, source) => {
    image.hidden = !source;
    if (source) image.src = source; else image.removeAttribute("src");
  };
  const layer = (entry, name, kind) => entry.layers[name]?.[kind];

  function draw() {
    const entry = gallery.cases[state.index];
    for (const image of picture.querySelectorAll(".scan")) image.src = entry.scan;
    show(within(".left"), layer(entry, state.before, "after"));
    show(within(".top"), layer(entry, state.after, "after"));
    show(within(".mask"), byId("mask").checked ? layer(entry, state.after, "mask") : undefined);
    show(within(".damage"), byId("damage")?.checked ? layer(entry, TRUTH, "mask") : undefined);
    within(".right .scan").alt = `${entry.title}, ${label(state.after)}`;
    const missing = ![SCAN, TRUTH].includes(state.after) && !(state.after in entry.layers);
    byId("tag-left").textContent = label(state.before);
    byId("tag-right").textContent = label(state.after) + (missing ? " (failed here)" : "");
    byId("case").value = state.index;
    byId("before").value = state.before;
    byId("after").value = state.after;
    const why = entry.reasons.map((r) => (r.backend ? `${r.backend}: ${r.text}` : r.text)).join(" · ");
    byId("caption").replaceChildren(entry.title + " ", Object.assign(document.createElement("span"), { textContent: why }));
    byId("strip").querySelectorAll("button").forEach((b, i) => b.setAttribute("aria-pressed", i === state.index));
    resize();
    divide(state.split);
  }

  function resize() {
    const entry = gallery.cases[state.index];
    const dpr = window.devicePixelRatio || 1;
    const room = Math.min(window.innerHeight * 0.72, 760);
    const fit = Math.min(stage.clientWidth / entry.width, room / entry.height);
    const scale = state.zoom === "fit" ? fit : Number(state.zoom) / dpr;
    picture.style.width = `${entry.width * scale}px`;
    picture.style.height = `${entry.height * scale}px`;
    picture.classList.toggle("sharp", state.zoom !== "fit");
    for (const button of document.querySelectorAll("[data-zoom]")) {
      button.setAttribute("aria-pressed", button.dataset.zoom === state.zoom);
    }
  }

  function divide(per) {
    state.split = Math.min(100, Math.max(0, per));
    within(".right").style.clipPath = `inset(0 0 0 ${state.split}%)`;
    byId("divider").style.left = `${state.split}%`;
    slide.value = state.split;
    slide.setAttribute("aria-valuetext", `${Math.round(state.split)} % ${label(state.before)}`);
  }

  const go = (index) => { state.index = (index + gallery.cases.length) % gallery.cases.length; draw(); };
  const zoom = (to) => { state.zoom = to; resize(); centre(); };
  const centre = () => {
    stage.scrollLeft = (stage.scrollWidth - stage.clientWidth) / 2;
    stage.scrollTop = (stage.scrollHeight - stage.clientHeight) / 2;
  };
  const toggle = (id) => { const box = byId(id); if (box) { box.checked = !box.checked; draw(); } };
  const nextBackend = () => {
    const at = gallery.backends.indexOf(state.after);
    state.after = gallery.backends[(at + 1) % gallery.backends.length];
    draw();
  };

  // Near the divider, or where nothing can be scrolled, a drag moves the divider; else it pans.
  let drag = null;
  const fraction = (event) => {
    const box = picture.getBoundingClientRect();
    return (100 * (event.clientX - box.left)) / box.width;
  };
  picture.addEventListener("pointerdown", (event) => {
    const box = picture.getBoundingClientRect();
    const near = Math.abs(event.clientX - box.left - (box.width * state.split) / 100) < 28;
    const scrolls = stage.scrollWidth > stage.clientWidth + 1 || stage.scrollHeight > stage.clientHeight + 1;
    drag = { pan: scrolls && !near, x: event.clientX, y: event.clientY, left: stage.scrollLeft, top: stage.scrollTop };
    picture.setPointerCapture(event.pointerId);
    if (!drag.pan) divide(fraction(event));
  });
  picture.addEventListener("pointermove", (event) => {
    if (!drag) return;
    if (!drag.pan) return divide(fraction(event));
    stage.scrollLeft = drag.left + drag.x - event.clientX;
    stage.scrollTop = drag.top + drag.y - event.clientY;
  });
  for (const kind of ["pointerup", "pointercancel"]) picture.addEventListener(kind, () => { drag = null; });

  let flipped = null;
  stage.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const step = event.shiftKey ? 10 : 2;
    const actions = {
      ArrowLeft: () => divide(state.split - step), ArrowRight: () => divide(state.split + step),
      Home: () => divide(0), End: () => divide(100),
      ArrowUp: () => go(state.index - 1), ArrowDown: () => go(state.index + 1),
      b: nextBackend, m: () => toggle("mask"), d: () => toggle("damage"), f: () => zoom("fit"),
      1: () => zoom("1"), 2: () => zoom("2"), 4: () => zoom("4"),
      " ": () => { if (flipped === null) { flipped = state.split; divide(100); } else { divide(flipped); flipped = null; } },
    };
    const action = actions[event.key];
    if (action) { event.preventDefault(); action(); }
  });
  slide.addEventListener("input", () => divide(Number(slide.value)));
  byId("case").addEventListener("change", (event) => go(Number(event.target.value)));
  for (const side of ["before", "after"]) {
    byId(side).addEventListener("change", (event) => { state[side] = event.target.value; draw(); });
  }
  for (const id of ["mask", "damage"]) byId(id)?.addEventListener("change", draw);
  for (const button of document.querySelectorAll("[data-zoom]")) {
    button.addEventListener("click", () => zoom(button.dataset.zoom));
  }
  window.addEventListener("resize", resize);

  gallery.cases.forEach((entry, i) => {
    const button = document.createElement("button");
    button.type = "button";
    button.setAttribute("aria-label", entry.title);
    button.append(Object.assign(new Image(), { src: entry.scan, alt: "", loading: "lazy" }));
    button.addEventListener("click", () => go(i));
    byId("strip").append(button);
  });

  // Figure 6: input, truth and predictions of the first few pictures.
  const grid = byId("grid");
  if (grid) {
    const columns = [SCAN, TRUTH, ...gallery.backends];
    grid.style.gridTemplateColumns = `repeat(${columns.length}, auto)`;
    for (const name of columns) {
      const text = { [SCAN]: "Input" }[name] ?? label(name);
      grid.append(Object.assign(document.createElement("b"), { textContent: text }));
    }
    gallery.cases.slice(0, 4).forEach((entry, i) => {
      for (const name of columns) {
        const button = document.createElement("button");
        button.type = "button";
        button.setAttribute("aria-label", `${entry.title}, ${label(name)}`);
        button.append(Object.assign(new Image(), { src: entry.scan, alt: "" }));
        const top = layer(entry, name, "after");
        if (top) button.append(Object.assign(new Image(), { src: top, alt: "" }));
        button.addEventListener("click", () => {
          if (name !== SCAN) state.after = name;
          go(i);
          stage.scrollIntoView({ block: "center" });
          stage.focus({ preventScroll: true });
        });
        grid.append(button);
      }
    });
  }
  draw();
})();
