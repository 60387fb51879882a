"use strict";
// The page of patches: uploads, true colour, probabilities of the chosen models side by side, downloads.
(async () => {
  const RAMP = [[255, 255, 178, 0], [254, 217, 118, 110], [253, 141, 60, 190], [227, 26, 28, 220], [128, 0, 38, 235]];
  let { patches, models, largest } = await getJson("patches");
  const chosen = new Set(models.length ? [models[0].key] : []);
  const threshold = () => Number(byId("threshold").value);
  const raw = () => (byId("raw").checked ? "1" : "0");
  const overlays = new Set();
  byId("limit").textContent = `Up to ${Math.round(largest / 2 ** 20)} MB each. Landslide4Sense patches, or arrays with the members' channels.`;

  // One image and its models -----------------------------------------------------------------------------
  function panels(patch, number) {
    const picture = new Image();
    picture.src = `patches/${patch.key}/${number}/picture.png`;
    picture.alt = `${patch.name}, image ${number}`;
    const title = patch.trueColour ? "true colour" : "first three bands: it has no red, green and blue";
    const made = [element("figure", {}, picture, element("figcaption", { textContent: title }))];
    for (const model of models.filter((one) => chosen.has(one.key))) made.push(panelOf(patch, number, model, picture));
    return made;
  }

  function panelOf(patch, number, model, picture) {
    const address = `patches/${patch.key}/${number}/${model.key}`;
    const [probability, overlay] = [1, 2].map(() => element("canvas", { width: patch.columns, height: patch.rows }));
    const share = element("figcaption", { textContent: "computing" });
    const links = element("figcaption", { textContent: `${model.title}: probability. ` });
    for (const [name, words] of [["cog.tif", "COG"], ["landslides.geojson", "GeoJSON"], ["probability.npy", "npy"]]) {
      const link = element("a", { textContent: words, href: "#" });
      link.onclick = (event) => { link.href = `${address}/${name}?raw=${raw()}&threshold=${threshold()}`; return download(event); };
      links.append(link, " ");
    }
    const figure = element("figure", {}, overlay, share);
    request(`${address}/probability?raw=${raw()}`).then((answer) => answer.arrayBuffer()).then(async (bytes) => {
      const values = new Float32Array(bytes);
      paintProbability(probability, values);
      await picture.decode();
      const redraw = () => paintOverlay(overlay, values, picture, share, model);
      overlays.add(redraw);
      redraw();
      figure.dataset.ready = "1";
    }).catch((refusal) => { share.textContent = `${refusal.code || ""} ${refusal.message || refusal}`; });
    return element("div", { className: "model" }, element("figure", {}, probability, links), figure);
  }

  function paintProbability(canvas, values) {
    const pixels = new ImageData(canvas.width, canvas.height);
    values.forEach((value, i) => {
      const place = Math.min(Math.max(value, 0), 1) * (RAMP.length - 1), low = Math.min(Math.floor(place), RAMP.length - 2);
      for (let band = 0; band < 4; band++) pixels.data[4 * i + band] = RAMP[low][band] + (RAMP[low + 1][band] - RAMP[low][band]) * (place - low);
    });
    canvas.getContext("2d").putImageData(pixels, 0, 0);
  }

  function paintOverlay(canvas, values, picture, share, model) {
    const context = canvas.getContext("2d"), limit = threshold();
    context.drawImage(picture, 0, 0, canvas.width, canvas.height);
    const pixels = context.getImageData(0, 0, canvas.width, canvas.height);
    let above = 0;
    values.forEach((value, i) => {
      if (!(value > limit)) return;
      above++;
      for (const [band, colour] of [227, 26, 28].entries()) pixels.data[4 * i + band] = 0.4 * pixels.data[4 * i + band] + 0.6 * colour;
    });
    context.putImageData(pixels, 0, 0);
    share.textContent = `${model.title}: ${above} of ${values.length} pixels above ${limit.toFixed(2)} (${(100 * above / values.length).toFixed(1)} %)`;
  }

  // List -------------------------------------------------------------------------------------------------
  function card(patch) {
    const box = element("div", { className: "panels" });
    const choice = element("input", { type: "number", min: 0, max: patch.images - 1, value: 0, title: "number of the image" });
    const draw = () => box.replaceChildren(...panels(patch, Math.min(Math.max(Number(choice.value) || 0, 0), patch.images - 1)));
    choice.onchange = draw;
    const remove = element("button", { type: "button", textContent: "remove" });
    remove.onclick = async () => { await request(`patches/${patch.key}`, { method: "DELETE" }); patches = patches.filter((one) => one !== patch); list(); };
    const size = `${patch.images > 1 ? `${patch.images} images, ` : ""}${patch.rows} x ${patch.columns} px, ${patch.bands} bands`;
    const head = element("h2", {}, patch.name, element("span", { className: "soft", textContent: size }));
    if (patch.images > 1) head.append(choice);
    head.append(remove);
    draw();
    return element("section", { className: "box patch" }, head, box, placeOf(patch));
  }

  function placeOf(patch) {
    const fields = ["epsg", "left", "top", "pixel"].map((name) => element("input", { placeholder: name === "pixel" ? "pixel, m" : name, ariaLabel: name, inputMode: "decimal" }));
    const said = element("span", { className: "soft" });
    const showPlace = () => { said.textContent = patch.place ? `Place: ${patch.place.crs}, ${patch.place.left}, ${patch.place.top}, ${patch.place.pixel} m` : "Place on the ground is unknown; GeoJSON needs it:"; };
    const set = element("button", { type: "button", textContent: "set" });
    set.onclick = async () => {
      const [epsg, left, top, pixel] = fields.map((input) => input.value.trim().replace(/^EPSG:/i, ""));
      try { Object.assign(patch, await sendJson(`patches/${patch.key}/place`, { epsg, left, top, pixel })); showPlace(); } catch { /* shown already */ }
    };
    showPlace();
    return element("div", { className: "place" }, said, ...(patch.place ? [] : [...fields, set]));
  }

  function list() {
    overlays.clear();
    byId("list").replaceChildren(...patches.map(card));
  }

  async function upload(files) {
    for (const file of files) {
      if (file.size > largest) { notify(`E452: ${file.name} is larger than ${Math.round(largest / 2 ** 20)} MB. Name it on the command line instead.`); continue; }
      try {
        patches.push(await (await request(`patches?name=${encodeURIComponent(file.name)}`, { method: "POST", body: file })).json());
      } catch { continue; }
      list();
    }
  }

  // Controls ---------------------------------------------------------------------------------------------
  byId("models").replaceChildren(...(models.length ? models.map((model) => {
    const box = element("input", { type: "checkbox", checked: chosen.has(model.key) });
    box.onchange = () => { if (box.checked) chosen.add(model.key); else chosen.delete(model.key); list(); };
    return element("label", { title: model.about }, box, ` ${model.title} `, element("span", { className: "soft", textContent: model.about }));
  }) : [element("p", { className: "soft", textContent: "No model: start with --bundle FOLDER to have patches scored." })]));
  byId("threshold").oninput = () => { byId("threshold-value").textContent = threshold().toFixed(2); for (const redraw of overlays) redraw(); };
  byId("raw").onchange = list;
  byId("files").onchange = (event) => upload([...event.target.files]);
  const drop = byId("drop");
  drop.ondragover = (event) => { event.preventDefault(); drop.classList.add("over"); };
  drop.ondragleave = () => drop.classList.remove("over");
  drop.ondrop = (event) => { event.preventDefault(); drop.classList.remove("over"); upload([...event.dataTransfer.files]); };
  list();
  document.body.dataset.ready = "1";
})();
