// Painting marks: by mouse, pen or finger, and by arrow keys and Enter.
export class Brush {
  constructor(desk, stage, onStroke) {
    this.desk = desk;
    this.stage = stage;
    this.onStroke = onStroke;
    this.kind = null; // paint, erase or null
    this.radius = 6;
    this.points = [];
    this.at = null;
    const overlay = desk.overlay;
    overlay.addEventListener("pointerdown", (event) => this.down(event));
    overlay.addEventListener("pointermove", (event) => this.move(event));
    overlay.addEventListener("pointerup", (event) => this.up(event));
    overlay.addEventListener("pointercancel", () => this.drop());
    overlay.addEventListener("wheel", (event) => {
      desk.zoomBy(event.deltaY < 0 ? 1.2 : 1 / 1.2);
      event.preventDefault();
    }, { passive: false });
    desk.extra = (context, place) => this.draw(context, place);
  }

  take(kind) {
    this.kind = this.kind === kind ? null : kind;
    this.points = [];
    this.stage.classList.toggle("brushing", this.kind !== null);
    if (this.kind && !this.at) {
      const { overlay, current } = this.desk;
      this.at = current ? [current.x + current.w / 2, current.y + current.h / 2] : this.desk.toImage(overlay.clientWidth / 2, overlay.clientHeight / 2);
    }
    this.desk.redraw();
  }

  point(event) {
    const box = this.desk.overlay.getBoundingClientRect();
    return this.desk.toImage(event.clientX - box.left, event.clientY - box.top);
  }

  down(event) {
    if (!this.kind || event.button !== 0) return;
    this.desk.overlay.setPointerCapture(event.pointerId);
    this.points = [(this.at = this.point(event))];
    this.desk.redraw();
  }

  move(event) {
    if (!this.kind) return;
    this.at = this.point(event);
    if (this.points.length) this.points.push(this.at);
    this.desk.redraw();
  }

  up() {
    const points = this.points;
    this.points = [];
    if (this.kind && points.length) this.onStroke(this.kind, thinned(points), this.radius);
    this.desk.redraw();
  }

  drop() { this.points = []; this.desk.redraw(); }

  nudge(dx, dy) {
    const scale = this.desk.place().scale, { scan } = this.desk;
    const step = Math.max(1, Math.round(1 / scale));
    this.at = [clamp(this.at[0] + dx * step, scan.width), clamp(this.at[1] + dy * step, scan.height)];
    this.desk.redraw();
  }

  dab() { if (this.kind && this.at) this.onStroke(this.kind, [this.at], this.radius); }

  draw(context, place) {
    if (!this.kind || !this.at) return;
    const colour = this.kind === "paint" ? "95 214 223" : "255 143 160";
    context.setLineDash([]);
    if (this.points.length) {
      context.lineWidth = 2 * this.radius;
      context.lineCap = context.lineJoin = "round";
      context.strokeStyle = `rgb(${colour} / 45%)`;
      context.beginPath();
      this.points.forEach(([x, y], i) => (i ? context.lineTo(x, y) : context.moveTo(x, y)));
      if (this.points.length === 1) context.lineTo(this.points[0][0] + 0.01, this.points[0][1]);
      context.stroke();
    }
    context.beginPath();
    context.arc(this.at[0], this.at[1], this.radius, 0, 7);
    for (const [line, style] of [[3, "rgb(0 0 0 / 60%)"], [1.4, `rgb(${colour})`]]) {
      context.lineWidth = line / place.scale;
      context.strokeStyle = style;
      context.stroke();
    }
  }
}

const clamp = (value, most) => Math.min(Math.max(value, 0), most);

// Points closer together than a third of a pixel say nothing.
function thinned(points) {
  const kept = [points[0]];
  for (const point of points) {
    const last = kept[kept.length - 1];
    if (Math.hypot(point[0] - last[0], point[1] - last[1]) > 0.33) kept.push(point);
  }
  return kept.slice(0, 4000);
}
