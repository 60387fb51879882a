"use strict";
// Pan, zoom, pinch and scale bar of a map on a canvas; of the report and of `landslide-map view`.
// `size` is {width, height, metres} of the map in its own pixels. Hooks: paint(ratio) draws all,
// click(x, y) gets map pixels, grab(x) may take a drag over (returns a function of x, or nothing).
function navigate(canvas, size, hooks) {
  const context = canvas.getContext("2d");
  const view = { scale: 1, x: 0, y: 0, fitted: true, sharp: 0, paper: null };
  let pending = false;

  // On paper the canvas has the shape of the map, whatever the window had.
  const extent = () => view.paper || [canvas.clientWidth, canvas.clientHeight];

  function fit() {
    const [width, height] = extent();
    view.scale = Math.min(width / size.width, height / size.height) * 0.98;
    view.x = (width - size.width * view.scale) / 2;
    view.y = (height - size.height * view.scale) / 2;
    view.fitted = true;
    draw();
  }

  function resize() {
    const ratio = view.sharp || Math.min(window.devicePixelRatio || 1, 2);
    const [width, height] = extent();
    canvas.width = Math.max(1, Math.round(width * ratio));
    canvas.height = Math.max(1, Math.round(height * ratio));
    if (view.fitted) fit(); else draw();
  }

  function draw() {
    if (pending) return;
    pending = true;
    requestAnimationFrame(paint);
  }

  function paint() {
    pending = false;
    hooks.paint(canvas.width / Math.max(extent()[0], 1));
  }

  function place(ratio) {
    context.setTransform(view.scale * ratio, 0, 0, view.scale * ratio, view.x * ratio, view.y * ratio);
  }

  function clear(colour) {
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.fillStyle = colour;
    context.fillRect(0, 0, canvas.width, canvas.height);
  }

  // Call paint() with the map in place, between two columns of the canvas.
  function between(from, to, ratio, paint) {
    context.save();
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.beginPath();
    context.rect(from, 0, to - from, canvas.height);
    context.clip();
    place(ratio);
    paint();
    context.restore();
  }

  function zoom(factor, x = canvas.clientWidth / 2, y = canvas.clientHeight / 2) {
    const scale = Math.min(Math.max(view.scale * factor, 0.02), 40);
    view.x = x - (x - view.x) * scale / view.scale;
    view.y = y - (y - view.y) * scale / view.scale;
    view.scale = scale;
    view.fitted = false;
    draw();
  }

  function pan(dx, dy) {
    view.x += dx; view.y += dy;
    view.fitted = false;
    draw();
  }

  function show([x0, y0, x1, y1]) {
    const width = canvas.clientWidth, height = canvas.clientHeight;
    view.scale = Math.min(width / (x1 - x0 + 20), height / (y1 - y0 + 20), 20);
    view.x = width / 2 - (x0 + x1) / 2 * view.scale;
    view.y = height / 2 - (y0 + y1) / 2 * view.scale;
    view.fitted = false;
    draw();
  }

  function scaleBar(ratio) {
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    const perPixel = size.metres / view.scale;
    let metres = 10 ** Math.floor(Math.log10(perPixel * 140));
    for (const step of [5, 2]) if (metres * step <= perPixel * 140) { metres *= step; break; }
    const length = metres / perPixel, x = extent()[0] - length - 16, y = extent()[1] - 16;
    context.fillStyle = "rgba(255,255,255,.9)";
    context.fillRect(x - 8, y - 20, length + 16, 30);
    context.fillStyle = "#1b1f24";
    context.fillRect(x, y, length, 3); context.fillRect(x, y - 4, 1.5, 7); context.fillRect(x + length - 1.5, y - 4, 1.5, 7);
    context.font = "12px system-ui, sans-serif";
    context.fillText(metres >= 1000 ? `${metres / 1000} km` : `${metres} m`, x, y - 7);
  }

  // Names of the images on both sides of the line at column `at`, where there is room for them.
  function names(ratio, at, left, right) {
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.font = "12px system-ui, sans-serif";
    for (const [text, room, x] of [[left, at, (width) => at - 10 - width], [right, extent()[0] - at, () => at + 10]]) {
      const width = context.measureText(text).width + 12;
      if (width + 10 > room) continue;
      context.fillStyle = "rgba(255,255,255,.9)";
      context.fillRect(x(width), 10, width, 22);
      context.fillStyle = "#1b1f24";
      context.fillText(text, x(width) + 6, 25);
    }
  }

  // The part of the map that is in sight, in map pixels: left, top, right, bottom.
  const sight = () => [-view.x / view.scale, -view.y / view.scale,
    (canvas.clientWidth - view.x) / view.scale, (canvas.clientHeight - view.y) / view.scale];

  const fingers = new Map();
  let moved = 0, held = null;
  const at = (event) => { const box = canvas.getBoundingClientRect(); return [event.clientX - box.left, event.clientY - box.top]; };
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    fingers.set(event.pointerId, at(event));
    moved = 0;
    held = fingers.size === 1 && hooks.grab ? hooks.grab(at(event)[0]) : null;
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!fingers.has(event.pointerId)) return;
    const before = fingers.get(event.pointerId), now = at(event);
    moved += Math.abs(now[0] - before[0]) + Math.abs(now[1] - before[1]);
    const others = [...fingers.keys()].filter((id) => id !== event.pointerId);
    if (others.length) {
      const other = fingers.get(others[0]);
      const distance = (p) => Math.hypot(p[0] - other[0], p[1] - other[1]);
      zoom(distance(now) / Math.max(distance(before), 1), other[0], other[1]);
    } else if (held) { held(now[0]); draw(); } else { pan(now[0] - before[0], now[1] - before[1]); }
    fingers.set(event.pointerId, now);
  });
  const release = (event) => {
    if (fingers.delete(event.pointerId) && moved < 6 && event.type === "pointerup") {
      const [x, y] = at(event);
      hooks.click((x - view.x) / view.scale, (y - view.y) / view.scale);
    }
    held = null;
  };
  canvas.addEventListener("pointerup", release);
  canvas.addEventListener("pointercancel", release);
  canvas.addEventListener("wheel", (event) => { event.preventDefault(); zoom(Math.exp(-event.deltaY * 0.0015), ...at(event)); }, { passive: false });
  new ResizeObserver(resize).observe(canvas);
  return { context, view, fit, zoom, pan, draw, paint, place, clear, between, resize, names, scaleBar, show, sight };
}

// A Path2D and its box from rings of differences of twice the pixel coordinates.
function pathOf(rings) {
  const path = new Path2D();
  const box = [Infinity, Infinity, -Infinity, -Infinity];
  for (const ring of rings) {
    let x = 0, y = 0;
    for (let i = 0; i < ring.length; i += 2) {
      x += ring[i]; y += ring[i + 1];
      const px = x / 2, py = y / 2;
      if (i === 0) path.moveTo(px, py); else path.lineTo(px, py);
      box[0] = Math.min(box[0], px); box[1] = Math.min(box[1], py);
      box[2] = Math.max(box[2], px); box[3] = Math.max(box[3], py);
    }
    path.closePath();
  }
  return { path, box };
}
