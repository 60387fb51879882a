"use strict";
// The map of the report: images and outlines on a canvas, with swipe and a line about what is clicked.
(() => {
  const data = JSON.parse(document.getElementById("map-data").textContent);
  const canvas = document.getElementById("map");
  const tip = document.getElementById("tip");
  const byId = (name) => document.getElementById(name);
  for (const outline of data.outlines) Object.assign(outline, pathOf(outline.r));
  const hidden = new Set();
  let chosen = null, printing = false;
  const map = navigate(canvas, data, { paint, click });
  const { context, view } = map;
  const images = data.images.map((entry) => {
    const image = new Image();
    image.onload = () => map.draw();
    image.src = document.getElementById(entry.element).src;
    return image;
  });

  function paint(ratio) {
    map.clear("#eceff2");
    context.imageSmoothingEnabled = view.scale < 3;
    const split = printing ? canvas.width : canvas.width * byId("swipe").value / 100;
    const sides = [[byId("left").value, 0, split], [byId("right").value, split, canvas.width]];
    for (const [index, from, to] of sides) {
      const image = images[index];
      map.between(from, to, ratio, () => {
        if (image && image.complete && image.naturalWidth) context.drawImage(image, 0, 0, data.width, data.height);
      });
    }
    map.place(ratio);
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
    if (!printing && byId("left").value !== byId("right").value) {
      const x = split / ratio;
      context.fillStyle = "#fff"; context.fillRect(x - 1.5, 0, 3, canvas.clientHeight);
      context.fillStyle = "#1b1f24"; context.fillRect(x - .5, 0, 1, canvas.clientHeight);
      map.names(ratio, x, ...["left", "right"].map((side) => byId(side).selectedOptions[0].textContent));
    }
    map.scaleBar(ratio);
  }

  function show(outline) {
    chosen = outline;
    tip.style.display = outline ? "block" : "none";
    tip.textContent = outline ? outline.t : "";
    map.draw();
  }

  function click(x, y) {
    context.setTransform(1, 0, 0, 1, 0, 0);
    const near = 6 / view.scale;
    show(data.outlines.find((o) => !hidden.has(o.k) && x > o.box[0] - near && x < o.box[2] + near && y > o.box[1] - near
      && y < o.box[3] + near && context.isPointInPath(o.path, x, y)) || null);
  }

  byId("in").onclick = () => map.zoom(1.5);
  byId("out").onclick = () => map.zoom(1 / 1.5);
  byId("all").onclick = map.fit;
  for (const name of ["left", "right"]) byId(name).onchange = map.draw;
  byId("swipe").oninput = map.draw;
  for (const box of document.querySelectorAll("[data-class]")) {
    box.onchange = () => { if (box.checked) hidden.delete(box.dataset.class); else hidden.add(box.dataset.class); show(null); };
  }
  for (const link of document.querySelectorAll("[data-outline]")) {
    link.onclick = () => {
      const outline = data.outlines.find((o) => String(o.i) === link.dataset.outline);
      if (!outline) return;
      map.show(outline.box);
      show(outline);
    };
  }
  const forPrint = (yes) => { printing = yes; view.sharp = yes ? 2 : 0; view.paper = yes ? [800, 800 * data.height / data.width] : null; view.fitted = yes || view.fitted; map.resize(); map.paint(); };
  addEventListener("beforeprint", () => forPrint(true));
  addEventListener("afterprint", () => forPrint(false));
})();
