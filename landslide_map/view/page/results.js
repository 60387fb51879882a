"use strict";
// The page of a result: tiles with swipe, outlines by confidence, a threshold, verdicts.
(async () => {
  const TILE = 256, MOST_TILES = 600;
  const COLOURS = { confirmed: "rgb(0,158,115)", rejected: "rgb(119,119,119)", unsure: "rgb(204,121,167)", added: "rgb(0,114,178)" };
  const FACTS = {
    probability_low: "lowest of four models", probability_high: "highest of four models", area_m2: "area, m²",
    length_m: "length, m", width_m: "width, m", slope_mean_deg: "slope, degrees", evidence_optical: "evidence, optical",
    evidence_descending: "evidence, descending", evidence_ascending: "evidence, ascending",
    evidence_vegetation: "evidence, vegetation", pixel_probability: "pixel members", window_probability: "windows", method: "method",
  };
  const data = await getJson("result");
  const canvas = byId("map");
  let outlines = [], chosen = null, threshold = null;
  const hidden = new Set();
  document.title = `${data.title} - landslide-map`;
  byId("title").textContent = data.title;
  byId("folder").textContent = data.folder;
  const map = navigate(canvas, data, { paint, click, grab });
  const { context, view } = map;

  // Tiles -----------------------------------------------------------------------------------------------
  const tiles = new Map();
  function tileOf(layer, level, row, col, wanted) {
    const address = `tiles/${layer}/${level}/${row}/${col}.png`;
    let image = tiles.get(address);
    if (!image && wanted) {
      image = new Image();
      image.onload = () => map.draw();
      image.onerror = () => { image.failed = true; };
      image.src = address;
    }
    if (image) { tiles.delete(address); tiles.set(address, image); }  // the last used are the last to go
    return image;
  }

  function paintLayer(layer, ratio) {
    if (!layer) return;
    const best = Math.round(-Math.log2(view.scale * ratio));
    const level = Math.max(0, Math.min(data.levels, best));
    const [left, top, right, bottom] = map.sight();
    for (let l = data.levels; l >= level; l--) {  // coarse ones stay in sight until fine ones are there
      const size = TILE * 2 ** l, wanted = l === level || l === data.levels;
      const last = [Math.ceil(data.height / size) - 1, Math.ceil(data.width / size) - 1];
      for (let row = Math.max(0, Math.floor(top / size)); row <= Math.min(last[0], Math.floor(bottom / size)); row++) {
        for (let col = Math.max(0, Math.floor(left / size)); col <= Math.min(last[1], Math.floor(right / size)); col++) {
          const image = tileOf(layer, l, row, col, wanted);
          if (image && image.complete && image.naturalWidth) context.drawImage(image, col * size, row * size, size, size);
        }
      }
    }
  }

  const split = () => canvas.clientWidth * byId("swipe").value / 100;
  const swiping = () => byId("left").value !== byId("right").value;
  function grab(x) {
    if (!swiping() || Math.abs(x - split()) > 14) return null;
    return (now) => { byId("swipe").value = 100 * Math.min(Math.max(now / canvas.clientWidth, 0), 1); };
  }

  function paint(ratio) {
    map.clear("#dfe4e8");
    context.imageSmoothingEnabled = view.scale * ratio < 2.5;
    const at = swiping() ? split() * ratio : canvas.width;
    for (const [side, from, to] of [["left", 0, at], ["right", at, canvas.width]]) {
      map.between(from, to, ratio, () => paintLayer(byId(side).value, ratio));
    }
    context.globalAlpha = byId("opacity").value / 100;
    context.imageSmoothingEnabled = false;
    map.place(ratio);
    paintLayer(byId("overlay").value, ratio);
    context.globalAlpha = 1;
    paintOutlines();
    if (swiping()) paintHandle(ratio);
    map.scaleBar(ratio);
    while (tiles.size > MOST_TILES) tiles.delete(tiles.keys().next().value);
  }

  function paintOutlines() {
    const [left, top, right, bottom] = map.sight();
    const seen = outlines.filter((o) => isShown(o) && o.box[2] >= left && o.box[0] <= right && o.box[3] >= top && o.box[1] <= bottom);
    context.lineJoin = "bevel";
    for (const casing of [true, false]) {
      for (const outline of seen) {
        const strong = outline === chosen ? 1.8 : 1;
        context.lineWidth = (casing ? 3.4 : 1.7) * strong / view.scale;
        context.strokeStyle = casing ? (outline === chosen ? "#fff" : "rgba(255,255,255,.8)") : colourOf(outline);
        context.setLineDash(outline.fid === undefined ? [4 / view.scale, 3 / view.scale] : []);
        context.stroke(outline.path);
      }
    }
    context.setLineDash([]);
  }

  function paintHandle(ratio) {
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    const x = split(), y = canvas.clientHeight / 2;
    context.fillStyle = "#fff"; context.fillRect(x - 1.5, 0, 3, canvas.clientHeight);
    context.fillStyle = "#1b1f24"; context.fillRect(x - .5, 0, 1, canvas.clientHeight);
    context.beginPath(); context.arc(x, y, 13, 0, 2 * Math.PI);
    context.fillStyle = "#fff"; context.fill();
    context.strokeStyle = "#1b1f24"; context.lineWidth = 1; context.stroke();
    context.beginPath();
    for (const side of [-1, 1]) { context.moveTo(x + side * 4, y - 4); context.lineTo(x + side * 8, y); context.lineTo(x + side * 4, y + 4); }
    context.stroke();
    map.names(ratio, x, ...["left", "right"].map((side) => byId(side).selectedOptions[0].textContent));
  }

  // Outlines --------------------------------------------------------------------------------------------
  const classes = Object.fromEntries(data.classes.map((one) => [one.key, one]));
  const keyOf = (o) => (COLOURS[o.v] ? o.v : o.k);
  const colourOf = (o) => COLOURS[o.v] || (classes[o.k] || { colour: "#d55e00" }).colour;
  // Untouched, the slider shows what the result holds; each kind of object has its own threshold there.
  // Outlines of pixels have other shapes at another threshold: the server says which are drawn there.
  const isAbove = (o) => (threshold === null ? o.fid !== undefined : o.v === "added" || (data.pixels ? o.d : o.p !== null && o.p >= threshold));
  const isShown = (o) => isAbove(o) && !hidden.has(keyOf(o));

  async function load() {
    const requested = threshold;
    const found = await getJson(data.pixels && requested !== null ? `outlines?threshold=${requested}` : "outlines");
    if (threshold !== requested) return; // the slider moved on meanwhile
    outlines = found.outlines.map((entry) => Object.assign(entry, pathOf(entry.r)));
    showTally(found.tally);
    count();
    legend();
    map.draw();
  }

  function count() {
    const shown = outlines.filter(isAbove), drawn = outlines.filter((o) => o.fid !== undefined).length;
    const total = shown.reduce((sum, o) => sum + (o.a || 0), 0);
    byId("shown").textContent = `${shown.length} outlines, ${area(total)}; the result holds ${drawn}`;
    byId("threshold-value").textContent = threshold === null ? `${Object.values(data.thresholds).map((t) => t.toFixed(2)).join(" / ") || "as drawn"}` : threshold.toFixed(2);
    byId("redraw").disabled = threshold === null || !data.redraws;
    byId("as-stored").disabled = threshold === null;
  }

  function legend() {
    const counts = {};
    for (const outline of outlines.filter(isAbove)) counts[keyOf(outline)] = (counts[keyOf(outline)] || 0) + 1;
    byId("legend").replaceChildren(...data.classes.filter((one) => !COLOURS[one.key] || counts[one.key]).map((one) => {
      const box = element("input", { type: "checkbox", checked: !hidden.has(one.key) });
      box.onchange = () => { if (box.checked) hidden.delete(one.key); else hidden.add(one.key); map.draw(); };
      const key = element("span", { className: "key" });
      key.style.borderColor = one.colour;
      return element("label", {}, box, key, `${one.label} (${counts[one.key] || 0})`);
    }));
  }

  function showTally(tally) {
    const words = Object.entries(tally.counts).filter(([, n]) => n).map(([verdict, n]) => `${n} ${data.verdicts[verdict]}`);
    const sure = tally.precision === null ? "" : `; precision ${tally.precision.toFixed(2)} (95 %: ${tally.precision_95.map((n) => n.toFixed(2)).join(" to ")})`;
    byId("tally").textContent = words.join(", ") + sure;
    for (const name of ["gpkg", "geojson"]) byId(name).classList.toggle("off", !(tally.counts.confirmed + tally.counts.added));
  }

  function click(x, y) {
    context.setTransform(1, 0, 0, 1, 0, 0);
    const near = 6 / view.scale;
    choose(outlines.find((o) => isShown(o) && x > o.box[0] - near && x < o.box[2] + near && y > o.box[1] - near
      && y < o.box[3] + near && context.isPointInPath(o.path, x, y)) || null);
  }

  // Review ----------------------------------------------------------------------------------------------
  function choose(outline) {
    chosen = outline;
    byId("about").hidden = !outline;
    byId("hint").hidden = Boolean(outline);
    byId("which").textContent = "Review";
    if (outline) {
      const probability = outline.p === null ? "no probability" : `probability ${outline.p.toFixed(2)}`;
      byId("which").textContent = outline.fid === undefined ? `Candidate, ${probability}` : `Outline ${outline.i}, ${probability}`;
      byId("comment").value = outline.c || "";
      const reviewed = outline.v && outline.v !== "unseen";
      const who = [outline.by, outline.at].filter(Boolean).join(", ");
      byId("saved").textContent = outline.fid === undefined ? "Below the threshold of the result: save these outlines first, then review them."
        : reviewed ? `${data.verdicts[outline.v]}${who ? ` (${who})` : ""}` : "not reviewed yet";
      for (const button of byId("verdicts").children) {
        button.disabled = outline.fid === undefined || outline.v === "added";
        button.setAttribute("aria-pressed", String(button.dataset.verdict === outline.v));
      }
      byId("facts").replaceChildren(...Object.entries(outline.f).filter(([, value]) => value !== null && value !== "").map(([name, value]) =>
        element("tr", {}, element("th", { textContent: FACTS[name] || name }), element("td", { textContent: value }))));
    }
    map.draw();
  }

  async function saveReview(review) {
    const outline = chosen;
    if (!outline || outline.fid === undefined || outline.v === "added") return;
    const comment = byId("comment").value.trim(), reviewer = byId("reviewer").value.trim();
    byId("saved").textContent = "saving";
    try {
      const tally = await sendJson("verdict", { fid: outline.fid, shape: outline.shape, review, comment, reviewer, seen: [outline.v, outline.c] });
      Object.assign(outline, { v: review, c: comment, by: reviewer, at: "now" });
      showTally(tally);
      notify(`saved: ${data.verdicts[review]}`, false);
    } catch (refusal) {
      if (refusal.code === "E453") { const { i, u } = outline; await load(); choose(outlines.find((o) => o.u === u && o.i === i) || null); return; }
    }
    legend();
    if (chosen === outline) choose(outline);
  }

  function step(direction, unseenOnly = false) {
    const list = outlines.filter((o) => isShown(o) && o.fid !== undefined && (!unseenOnly || o.v === "unseen" || o === chosen));
    if (!list.length || (unseenOnly && list.length === 1 && list[0] === chosen && chosen.v !== "unseen")) { notify("All are reviewed.", false); return; }
    const at = list.indexOf(chosen);
    const next = list[(at + direction + list.length) % list.length];
    map.show([next.box[0] - 25, next.box[1] - 25, next.box[2] + 25, next.box[3] + 25]);
    choose(next);
  }

  // Controls --------------------------------------------------------------------------------------------
  const pictures = data.layers.filter((layer) => !layer.overlay), above = data.layers.filter((layer) => layer.overlay);
  const options = (layers) => layers.map((layer) => element("option", { value: layer.name, textContent: layer.title }));
  for (const side of ["left", "right"]) byId(side).append(...options(pictures.length ? pictures : above));
  const first = (test) => (data.layers.find(test) || data.layers[0]).name;
  byId("left").value = first((layer) => layer.name === "image_before");
  if (byId("left").value !== "image_before") byId("left").value = first((layer) => layer.name === "image_after");
  byId("right").value = first((layer) => layer.name === (byId("left").value === "image_before" ? "image_after" : "image_after_false_colour"));
  byId("overlay").append(element("option", { value: "", textContent: "nothing" }), ...options(above));
  byId("threshold").value = data.lowest;
  byId("reviewer").value = data.reviewer;
  for (const name of ["left", "right", "overlay"]) byId(name).onchange = map.draw;
  for (const name of ["swipe", "opacity"]) byId(name).oninput = map.draw;
  byId("in").onclick = () => map.zoom(1.5);
  byId("out").onclick = () => map.zoom(1 / 1.5);
  byId("all").onclick = map.fit;
  const changed = (value) => { threshold = value; count(); legend(); if (chosen && !isShown(chosen)) choose(null); map.draw(); };
  byId("threshold").oninput = () => {
    if (data.pixels) byId("threshold-value").textContent = Number(byId("threshold").value).toFixed(2);
    else changed(Number(byId("threshold").value));
  };
  byId("threshold").onchange = async () => {
    if (!data.pixels) return;
    const before = threshold, requested = Number(byId("threshold").value);
    threshold = requested;
    byId("shown").textContent = `drawing at ${requested.toFixed(2)} …`;
    try { await load(); } catch { threshold = before; }
    if (threshold === requested || threshold === before) changed(threshold);
  };
  byId("as-stored").onclick = () => { byId("threshold").value = data.lowest; changed(null); };
  byId("redraw").onclick = async () => {
    byId("redraw").disabled = true;
    try {
      const made = await sendJson("redraw", { threshold });
      threshold = null;
      Object.assign(data, await getJson("result"));
      await load();
      choose(null);
      notify(`${made.landslides} outlines are in landslides.gpkg now; reviews are kept`, false);
    } catch { count(); }
  };
  byId("redraw").title = data.redraws ? "" : "This result holds no candidates: map the scene again with outlines of objects.";
  for (const [verdict, words] of Object.entries(data.verdicts)) {
    if (verdict === "added") continue;
    const button = element("button", { type: "button", textContent: verdict === "unseen" ? "take back" : words });
    button.dataset.verdict = verdict;
    button.style.setProperty("--own", COLOURS[verdict] || "#5b6570");
    button.onclick = () => saveReview(verdict);
    if (verdict === "unseen") byId("verdicts").append(button); else byId("verdicts").prepend(button);
  }
  byId("verdicts").prepend(...["confirmed", "rejected", "unsure"].map((name) => byId("verdicts").querySelector(`[data-verdict=${name}]`)));
  byId("previous").onclick = () => step(-1);
  byId("next").onclick = () => step(1);
  byId("unseen").onclick = () => step(1, true);
  for (const name of ["gpkg", "geojson"]) byId(name).onclick = download;
  const keys = {
    "+": () => map.zoom(1.5), "=": () => map.zoom(1.5), "-": () => map.zoom(1 / 1.5), n: () => step(1), p: () => step(-1),
    1: () => saveReview("confirmed"), 2: () => saveReview("rejected"), 3: () => saveReview("unsure"),
    ArrowLeft: () => map.pan(80, 0), ArrowRight: () => map.pan(-80, 0), ArrowUp: () => map.pan(0, 80), ArrowDown: () => map.pan(0, -80),
  };
  addEventListener("keydown", (event) => {
    if (["INPUT", "SELECT"].includes(event.target.tagName) || event.ctrlKey || event.metaKey || event.altKey || !keys[event.key]) return;
    event.preventDefault();
    keys[event.key]();
  });
  await load();
  document.body.dataset.ready = "1";
})();
