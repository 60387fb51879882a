"use strict";
// The map of the report: images and outlines on a canvas, with pan, zoom, swipe and a line about what is clicked.
(() => {
  const data = JSON.parse(document.getElementById("map-data").textContent);
  const canvas = document.getElementById("map");
  const context = canvas.getContext("2d");
  const tip = document.getElementById("tip");
  const byId = (name) => document.getElementById(name);
  const images = data.images.map((entry) => {
    const image = new Image();
    image.onload = () => draw();
    image.src = document.getElementById(entry.element).src;
    return image;
  });
  // Outlines hold the differences of twice the pixel coordinates, one ring after another.
  for (const outline of data.outlines) {
    outline.path = new Path2D();
    let box = [Infinity, Infinity, -Infinity, -Infinity];
    for (const ring of outline.r) {
      let x = 0, y = 0;
      for (let i = 0; i < ring.length; i += 2) {
        x += ring[i]; y += ring[i + 1];
        const px = x / 2, py = y / 2;
        if (i === 0) outline.path.moveTo(px, py); else outline.path.lineTo(px, py);
        box = [Math.min(box[0], px), Math.min(box[1], py), Math.max(box[2], px), Math.max(box[3], py)];
      }
      outline.path.closePath();
    }
    outline.box = box;
  }
  const view = { scale: 1, x: 0, y: 0, fitted: true };
  let chosen = null, pending = false, printing = false;
  const hidden = new Set();

  function fit() {
    const width = canvas.clientWidth, height = canvas.clientHeight;
    view.scale = Math.min(width / data.width, height / data.height) * 0.98;
    view.x = (width - data.width * view.scale) / 2;
    view.y = (height - data.height * view.scale) / 2;
    view.fitted = true;
    draw();
  }

  function resize() {
    const ratio = printing ? 2 : Math.min(window.devicePixelRatio || 1, 2);
    canvas.width = Math.max(1, Math.round(canvas.clientWidth * ratio));
    canvas.height = Math.max(1, Math.round(canvas.clientHeight * ratio));
    if (view.fitted) fit(); else draw();
  }

  function draw() {
    if (pending) return;
    pending = true;
    requestAnimationFrame(paint);
  }

  function place(ratio) { context.setTransform(view.scale * ratio, 0, 0, view.scale * ratio, view.x * ratio, view.y * ratio); }

  function paint() {
    pending = false;
    const ratio = canvas.width / Math.max(canvas.clientWidth, 1);
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.fillStyle = "#eceff2";
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.imageSmoothingEnabled = view.scale < 3;
    const split = printing ? canvas.width : canvas.width * byId("swipe").value / 100;
    const sides = [[byId("left").value, 0, split], [byId("right").value, split, canvas.width]];
    for (const [index, from, to] of sides) {
      context.save();
      context.setTransform(1, 0, 0, 1, 0, 0);
      context.beginPath();
      context.rect(from, 0, to - from, canvas.height);
      context.clip();
      place(ratio);
      const image = images[index];
      if (image && image.complete && image.naturalWidth) context.drawImage(image, 0, 0, data.width, data.height);
      context.restore();
    }
    place(ratio);
    const outlines = data.outlines.filter((outline) => !hidden.has(outline.k));
    context.lineJoin = "bevel";
    for (const casing of [true, false]) {
      for (const outline of outlines) {
        const strong = outline === chosen ? 1.6 : 1;
        context.lineWidth = (casing ? 3.4 : 1.7) * strong / view.scale;
        context.strokeStyle = casing ? "rgba(255,255,255,.8)" : data.classes[outline.k].colour;
        context.stroke(outline.path);
      }
    }
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    if (byId("left").value !== byId("right").value) {
      const x = split / ratio;
      context.fillStyle = "#fff"; context.fillRect(x - 1.5, 0, 3, canvas.clientHeight);
      context.fillStyle = "#1b1f24"; context.fillRect(x - .5, 0, 1, canvas.clientHeight);
    }
    scaleBar();
  }

  function scaleBar() {
    const perPixel = data.metres / view.scale;
    let metres = 10 ** Math.floor(Math.log10(perPixel * 140));
    for (const step of [5, 2]) if (metres * step <= perPixel * 140) { metres *= step; break; }
    const length = metres / perPixel, x = canvas.clientWidth - length - 16, y = canvas.clientHeight - 16;
    context.fillStyle = "rgba(255,255,255,.9)";
    context.fillRect(x - 8, y - 20, length + 16, 30);
    context.fillStyle = "#1b1f24";
    context.fillRect(x, y, length, 3); context.fillRect(x, y - 4, 1.5, 7); context.fillRect(x + length - 1.5, y - 4, 1.5, 7);
    context.font = "12px system-ui, sans-serif";
    context.fillText(metres >= 1000 ? `${metres / 1000} km` : `${metres} m`, x, y - 7);
  }

  function zoom(factor, x, y) {
    const scale = Math.min(Math.max(view.scale * factor, 0.05), 40);
    view.x = x - (x - view.x) * scale / view.scale;
    view.y = y - (y - view.y) * scale / view.scale;
    view.scale = scale;
    view.fitted = false;
    draw();
  }

  function show(outline) {
    chosen = outline;
    tip.style.display = outline ? "block" : "none";
    tip.textContent = outline ? outline.t : "";
    draw();
  }

  const fingers = new Map();
  let moved = 0;
  const at = (event) => { const box = canvas.getBoundingClientRect(); return [event.clientX - box.left, event.clientY - box.top]; };
  canvas.addEventListener("pointerdown", (event) => { canvas.setPointerCapture(event.pointerId); fingers.set(event.pointerId, at(event)); moved = 0; });
  canvas.addEventListener("pointermove", (event) => {
    if (!fingers.has(event.pointerId)) return;
    const before = fingers.get(event.pointerId), now = at(event);
    moved += Math.abs(now[0] - before[0]) + Math.abs(now[1] - before[1]);
    const others = [...fingers.keys()].filter((id) => id !== event.pointerId);
    if (others.length) {
      const other = fingers.get(others[0]);
      const distance = (p) => Math.hypot(p[0] - other[0], p[1] - other[1]);
      zoom(distance(now) / Math.max(distance(before), 1), other[0], other[1]);
    } else { view.x += now[0] - before[0]; view.y += now[1] - before[1]; view.fitted = false; draw(); }
    fingers.set(event.pointerId, now);
  });
  const release = (event) => {
    if (fingers.delete(event.pointerId) && moved < 6 && event.type === "pointerup") {
      const [x, y] = at(event), px = (x - view.x) / view.scale, py = (y - view.y) / view.scale;
      context.setTransform(1, 0, 0, 1, 0, 0);
      const near = 6 / view.scale;
      show(data.outlines.find((o) => !hidden.has(o.k) && px > o.box[0] - near && px < o.box[2] + near && py > o.box[1] - near
        && py < o.box[3] + near && context.isPointInPath(o.path, px, py)) || null);
    }
  };
  canvas.addEventListener("pointerup", release);
  canvas.addEventListener("pointercancel", release);
  canvas.addEventListener("wheel", (event) => { event.preventDefault(); zoom(Math.exp(-event.deltaY * 0.0015), ...at(event)); }, { passive: false });
  byId("in").onclick = () => zoom(1.5, canvas.clientWidth / 2, canvas.clientHeight / 2);
  byId("out").onclick = () => zoom(1 / 1.5, canvas.clientWidth / 2, canvas.clientHeight / 2);
  byId("all").onclick = fit;
  for (const name of ["left", "right"]) byId(name).onchange = draw;
  byId("swipe").oninput = draw;
  for (const box of document.querySelectorAll("[data-class]")) {
    box.onchange = () => { if (box.checked) hidden.delete(box.dataset.class); else hidden.add(box.dataset.class); show(null); };
  }
  for (const link of document.querySelectorAll("[data-outline]")) {
    link.onclick = () => {
      const outline = data.outlines.find((o) => String(o.i) === link.dataset.outline);
      if (!outline) return;
      const [x0, y0, x1, y1] = outline.box, width = canvas.clientWidth, height = canvas.clientHeight;
      view.scale = Math.min(width / (x1 - x0 + 20), height / (y1 - y0 + 20), 20);
      view.x = width / 2 - (x0 + x1) / 2 * view.scale;
      view.y = height / 2 - (y0 + y1) / 2 * view.scale;
      view.fitted = false;
      show(outline);
    };
  }
  const forPrint = (yes) => { printing = yes; view.fitted = yes || view.fitted; resize(); paint(); };
  addEventListener("beforeprint", () => forPrint(true));
  addEventListener("afterprint", () => forPrint(false));
  new ResizeObserver(resize).observe(canvas);
})();
