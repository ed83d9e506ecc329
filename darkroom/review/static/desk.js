// The picture: two pyramids of tiles over one another, cut at the divider, and outlines on top.
/* global OpenSeadragon */
const COARSE = 3;
const NEAR = 96; // screen pixels kept free around a repair that is shown
const COLOURS = { kept: "#ff9d6c", vetoed: "#c9c4be", mine: "#5fd6df", add: "#7be08f", drop: "#ff8fa0" };

export class Desk {
  constructor(viewerElement, overlay, onView) {
    this.element = viewerElement;
    this.overlay = overlay;
    this.onView = onView;
    this.scan = null;
    this.marks = [];
    this.suggested = [];
    this.current = null;
    this.outlines = true;
    this.mode = "wipe"; // wipe, before, after
    this.at = 0.5;
    this.look = "plain";
    this.layer = "picture";
    this.extra = null; // (context) => void, drawn last: the brush
    this.viewer = OpenSeadragon({
      element: viewerElement, drawer: "canvas", showNavigationControl: false, showNavigator: false,
      keyboardNavEnabled: false, tabIndex: "", imageSmoothingEnabled: false, animationTime: 0.25,
      maxZoomPixelRatio: 24, minZoomImageRatio: 0.6, visibilityRatio: 0.3, immediateRender: true,
      imageLoaderLimit: 8, timeout: 120000, maxImageCacheCount: 160, preload: false,
      gestureSettingsMouse: { clickToZoom: false, dblClickToZoom: true },
    });
    for (const name of ["update-viewport", "viewport-change", "resize", "open", "animation"]) {
      this.viewer.addHandler(name, () => this.redraw());
    }
    this.viewer.addHandler("tile-load-failed", () => { this.element.dataset.failed = "true"; });
  }

  get base() { return this.viewer.world.getItemAt(0); }

  source(layer) {
    const scan = this.scan, top = scan.levels - 1, look = this.look;
    return {
      width: scan.width, height: scan.height, tileSize: scan.tile, tileOverlap: 0, minLevel: 0, maxLevel: top,
      getTileUrl: (level, x, y) => this.url(layer, top - level, x, y, look),
    };
  }

  url(layer, level, x, y, look) {
    return `tiles/${this.scan.id}/${layer}/${level}/${x}_${y}.bmp?look=${look}&v=${this.stamp(layer, level, x, y)}`;
  }

  stamp(layer, level, x, y) {
    const overview = level >= COARSE ? `p${this.scan.picture}` : "";
    if (layer === "before" || layer === "infrared") return overview || "0";
    if (level >= COARSE) return `${overview}.${this.scan.version}`;
    const side = this.scan.tile * 2 ** level, left = x * side, top = y * side;
    let version = this.scan.since;
    for (const [dx, dy, dw, dh, v] of this.scan.dirty) {
      if (dx < left + side && dx + dw > left && dy < top + side && dy + dh > top) version = Math.max(version, v);
    }
    return version;
  }

  async open(scan) {
    this.scan = scan;
    this.marks = [];
    this.suggested = [];
    this.current = null;
    this.element.dataset.settled = "false";
    this.viewer.close();
    await this.add("before", 0, 1);
    this.viewer.viewport.goHome(true);
    await this.restack();
  }

  add(layer, index, opacity) {
    return new Promise((resolve) => this.viewer.addTiledImage({
      tileSource: this.source(layer), index, opacity, preload: true,
      success: ({ item }) => { item.darkroomLayer = layer; resolve(item); },
      error: () => resolve(null),
    }));
  }

  // Lay new pyramids over the ones shown, and take those away when the new ones are there.
  async restack() {
    const scan = this.scan, token = (this.token = {}), world = this.viewer.world;
    const wanted = ["before", ...(scan.ready ? ["after"] : []), ...(this.layer === "picture" ? [] : [this.layer])];
    this.element.dataset.settled = "false";
    const old = [...Array(world.getItemCount()).keys()].map((i) => world.getItemAt(i));
    const fresh = [];
    for (const layer of wanted) {
      const item = await this.add(layer, undefined, 0);
      if (token !== this.token) { if (item) world.removeItem(item); return; }
      if (item) fresh.push(item);
    }
    await Promise.race([Promise.all(fresh.map(loaded)), new Promise((done) => setTimeout(done, 4000))]);
    if (token !== this.token) { for (const item of fresh) world.removeItem(item); return; }
    this.items = fresh;
    this.showMode();
    for (const item of old) world.removeItem(item);
    this.redraw();
    await Promise.all(fresh.map(loaded));
    if (token === this.token) this.element.dataset.settled = "true";
  }

  setLook(look) { this.look = look; return this.restack(); }
  setLayer(layer) { this.layer = layer; return this.restack(); }
  setMode(mode) { this.mode = mode; this.showMode(); this.redraw(); }

  showMode() {
    for (const item of this.items || []) {
      const layer = item.darkroomLayer;
      const on = layer === "before" || layer === this.layer || (layer === "after" && this.mode !== "before");
      item.setOpacity(on ? 1 : 0);
    }
    this.clip();
  }

  clip() {
    const after = (this.items || []).find((item) => item.darkroomLayer === "after");
    if (!after || !this.scan) return;
    if (this.mode !== "wipe") { after.setClip(null); return; }
    const edge = after.viewerElementToImageCoordinates(new OpenSeadragon.Point(this.at * this.element.clientWidth, 0)).x;
    const left = Math.min(Math.max(edge, 0), this.scan.width);
    after.setClip(new OpenSeadragon.Rect(left, 0, Math.max(this.scan.width - left, 0.001), this.scan.height));
    if (this.layer === "picture") after.setOpacity(left >= this.scan.width ? 0 : 1);
  }

  // Where the picture lies: screen = scale * image + offset.
  place() {
    const base = this.base;
    if (!base || !this.scan) return null;
    const a = base.imageToViewerElementCoordinates(new OpenSeadragon.Point(0, 0));
    const b = base.imageToViewerElementCoordinates(new OpenSeadragon.Point(this.scan.width, 0));
    return { scale: (b.x - a.x) / this.scan.width, x: a.x, y: a.y };
  }

  toImage(x, y) {
    const p = this.place();
    return p && [(x - p.x) / p.scale, (y - p.y) / p.scale];
  }

  zoomTo(scale, centre) {
    const base = this.base;
    if (!base) return;
    const zoom = base.imageToViewportZoom(scale / (window.devicePixelRatio || 1));
    this.viewer.viewport.zoomTo(zoom, null, true);
    if (centre) this.viewer.viewport.panTo(base.imageToViewportCoordinates(new OpenSeadragon.Point(...centre)), true);
    this.viewer.viewport.applyConstraints(true);
    this.viewer.forceRedraw();
    this.redraw();
  }

  // Show a repair at 100 %, or smaller where it is longer than the screen.
  show(mark) {
    const dots = window.devicePixelRatio || 1;
    const room = [this.element.clientWidth - NEAR, this.element.clientHeight - NEAR].map((n) => Math.max(n, 60) * dots);
    const scale = Math.min(1, room[0] / mark.w, room[1] / mark.h);
    this.element.dataset.settled = "false";
    this.zoomTo(Math.max(scale, 1 / 64), [mark.x + mark.w / 2, mark.y + mark.h / 2]);
    const token = (this.shown = {});
    Promise.all((this.items || []).map(loaded)).then(() => {
      if (token === this.shown) { this.element.dataset.settled = "true"; this.redraw(); }
    });
  }

  // Tiles around a repair that will be shown next, so that it is there at once.
  prefetch(mark) {
    if (!mark || !this.scan.ready) return;
    const dots = window.devicePixelRatio || 1, side = this.scan.tile;
    const w = (this.element.clientWidth * dots) / 2, h = (this.element.clientHeight * dots) / 2;
    const cx = mark.x + mark.w / 2, cy = mark.y + mark.h / 2;
    const range = (low, high, size) => [Math.max(0, Math.floor(low / side)), Math.min(Math.ceil(size / side) - 1, Math.floor(high / side))];
    const [x0, x1] = range(cx - w, cx + w, this.scan.width), [y0, y1] = range(cy - h, cy + h, this.scan.height);
    for (let y = y0; y <= y1; y++) for (let x = x0; x <= x1; x++) {
      for (const layer of ["before", "after"]) new Image().src = this.url(layer, 0, x, y, this.look);
    }
  }

  fit() { this.viewer.viewport.goHome(true); this.redraw(); }
  zoomBy(factor) { this.viewer.viewport.zoomBy(factor); this.viewer.viewport.applyConstraints(); }
  panBy(dx, dy) {
    const delta = this.viewer.viewport.deltaPointsFromPixels(new OpenSeadragon.Point(dx, dy));
    this.viewer.viewport.panBy(delta);
    this.viewer.viewport.applyConstraints();
  }

  redraw() {
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame(() => { this.waiting = false; this.clip(); this.draw(); this.onView(); });
  }

  draw() {
    const canvas = this.overlay, dots = window.devicePixelRatio || 1;
    const width = canvas.clientWidth, height = canvas.clientHeight;
    if (canvas.width !== Math.round(width * dots)) canvas.width = Math.round(width * dots);
    if (canvas.height !== Math.round(height * dots)) canvas.height = Math.round(height * dots);
    const context = canvas.getContext("2d"), p = this.place();
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, canvas.width, canvas.height);
    if (!p) return;
    const view = { left: -p.x / p.scale, top: -p.y / p.scale, right: (width - p.x) / p.scale, bottom: (height - p.y) / p.scale };
    context.setTransform(p.scale * dots, 0, 0, p.scale * dots, p.x * dots, p.y * dots);
    if (this.outlines) {
      for (const mark of this.marks) this.stroke(context, mark, view, p.scale, mark.vetoed ? "vetoed" : mark.kind === "found" ? "kept" : "mine");
      for (const mark of this.suggested) this.stroke(context, mark, view, p.scale, mark.change);
    }
    if (this.current) this.frame(context, this.current, p.scale);
    if (this.extra) this.extra(context, p);
  }

  stroke(context, mark, view, scale, kind) {
    if (mark.x > view.right || mark.x + mark.w < view.left || mark.y > view.bottom || mark.y + mark.h < view.top) return;
    const dashed = kind === "vetoed" || kind === "drop";
    context.setLineDash(dashed ? [4 / scale, 3 / scale] : []);
    let path;
    if (Math.max(mark.w, mark.h) * scale < 5) {
      path = new Path2D();
      path.arc(mark.x + mark.w / 2, mark.y + mark.h / 2, 4 / scale, 0, 7);
    } else {
      path = mark.path ||= traced(mark.outline);
    }
    context.lineWidth = 3 / scale;
    context.strokeStyle = "rgb(0 0 0 / 55%)";
    context.stroke(path);
    context.lineWidth = 1.4 / scale;
    context.strokeStyle = COLOURS[kind];
    context.stroke(path);
  }

  frame(context, mark, scale) {
    const gap = 9 / scale, arm = 12 / scale;
    const left = mark.x - gap, top = mark.y - gap, right = mark.x + mark.w + gap, bottom = mark.y + mark.h + gap;
    context.setLineDash([]);
    context.beginPath();
    for (const [x, y, sx, sy] of [[left, top, 1, 1], [right, top, -1, 1], [left, bottom, 1, -1], [right, bottom, -1, -1]]) {
      context.moveTo(x + sx * arm, y); context.lineTo(x, y); context.lineTo(x, y + sy * arm);
    }
    for (const [colour, width] of [["rgb(0 0 0 / 60%)", 4], ["#ffffff", 2]]) {
      context.strokeStyle = colour; context.lineWidth = width / scale; context.stroke();
    }
  }
}

function traced(outline) {
  const path = new Path2D();
  for (const line of outline) {
    path.moveTo(line[0], line[1]);
    for (let i = 2; i < line.length; i += 2) path.lineTo(line[i], line[i + 1]);
    path.closePath();
  }
  return path;
}

function loaded(item) {
  if (item.getFullyLoaded()) return Promise.resolve();
  return new Promise((done) => {
    const check = (event) => { if (event.fullyLoaded) { item.removeHandler("fully-loaded-change", check); done(); } };
    item.addHandler("fully-loaded-change", check);
  });
}
