// The list of repairs; only the rows in sight are in the page, so that thousands cost nothing.
const ORDERS = {
  doubt: (a, b) => (a.confidence ?? 2) - (b.confidence ?? 2) || b.area - a.area,
  size: (a, b) => b.area - a.area,
  small: (a, b) => a.area - b.area,
  place: (a, b) => a.y - b.y || a.x - b.x,
};
const FILTERS = {
  all: () => true,
  kept: (mark) => !mark.vetoed,
  vetoed: (mark) => mark.vetoed,
  mine: (mark) => mark.kind !== "found",
};

export class List {
  constructor(element, rows, onChoose) {
    this.element = element;
    this.rows = rows;
    this.onChoose = onChoose;
    this.order = "doubt";
    this.filter = "all";
    this.marks = [];
    this.shown = [];
    this.chosen = null; // name
    this.position = 0; // where to go on if the chosen one leaves the list
    element.addEventListener("scroll", () => this.draw());
    new ResizeObserver(() => this.draw()).observe(element);
    rows.addEventListener("click", (event) => {
      const row = event.target.closest(".row");
      if (row) this.choose(row.dataset.name);
    });
  }

  set(marks) {
    this.marks = marks;
    this.sort();
  }

  sort() {
    this.shown = this.marks.filter(FILTERS[this.filter]).sort(ORDERS[this.order]);
    const at = this.index();
    if (at >= 0) this.position = at;
    this.draw();
  }

  index() { return this.shown.findIndex((mark) => mark.name === this.chosen); }
  current() { return this.marks.find((mark) => mark.name === this.chosen) || null; }

  choose(name) {
    this.chosen = name;
    const at = this.index();
    if (at >= 0) this.position = at;
    this.reveal();
    this.draw();
    this.onChoose(this.current());
  }

  step(by) {
    if (!this.shown.length) return;
    const at = this.index();
    const next = at < 0 ? Math.min(this.position, this.shown.length - 1) : at + by;
    this.choose(this.shown[(next + this.shown.length) % this.shown.length].name);
  }

  following() {
    const at = this.index();
    return this.shown.length ? this.shown[(at + 1) % this.shown.length] : null;
  }

  height() { return matchMedia("(max-width: 900px)").matches ? 44 : 36; }

  reveal() {
    const height = this.height(), top = this.position * height, view = this.element;
    if (top < view.scrollTop) view.scrollTop = top;
    if (top + height > view.scrollTop + view.clientHeight) view.scrollTop = top + height - view.clientHeight;
  }

  draw() {
    const height = this.height(), view = this.element, count = this.shown.length;
    this.rows.style.height = `${count * height}px`;
    const first = Math.max(0, Math.floor(view.scrollTop / height) - 4);
    const last = Math.min(count, Math.ceil((view.scrollTop + view.clientHeight) / height) + 4);
    const made = [];
    for (let i = first; i < last; i++) made.push(this.row(this.shown[i], i, count, height));
    this.rows.replaceChildren(...made);
    const chosen = this.rows.querySelector("[aria-selected='true']");
    if (chosen) view.setAttribute("aria-activedescendant", chosen.id);
    else view.removeAttribute("aria-activedescendant");
  }

  row(mark, i, count, height) {
    const row = document.createElement("div");
    row.className = `row${mark.vetoed ? " vetoed" : ""}${mark.kind === "found" ? "" : " mine"}`;
    row.id = `row-${mark.name}`;
    row.dataset.name = mark.name;
    row.style.top = `${i * height}px`;
    row.setAttribute("role", "option");
    row.setAttribute("aria-posinset", i + 1);
    row.setAttribute("aria-setsize", count);
    row.setAttribute("aria-selected", String(mark.name === this.chosen));
    const dot = document.createElement("span");
    dot.className = "dot";
    dot.setAttribute("aria-hidden", "true");
    const text = (kind, words) => {
      const cell = document.createElement("span");
      cell.className = kind;
      cell.textContent = words;
      return cell;
    };
    row.append(dot, text("size", `${mark.w} × ${mark.h} px`), text("sure", sure(mark)), text("fate", fate(mark)));
    return row;
  }
}

export const sure = (mark) => (mark.confidence == null ? "" : `${Math.round(100 * mark.confidence)} %`);
export const fate = (mark) => (mark.vetoed ? "vetoed" : { found: "repair", paint: "painted", suggestion: "added" }[mark.kind]);
