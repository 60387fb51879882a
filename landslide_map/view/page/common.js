"use strict";
// Requests and messages of both pages. Addresses are relative: the page's own holds the token.
const byId = (name) => document.getElementById(name);

function notify(text, bad = true) {
  const box = byId("message");
  box.textContent = text;
  box.className = bad ? "bad" : "good";
  box.hidden = false;
  clearTimeout(notify.timer);
  notify.timer = setTimeout(() => { box.hidden = true; }, bad ? 12000 : 4000);
}

async function request(address, options = {}) {
  let answer;
  try {
    answer = await fetch(address, options);
  } catch {
    const lost = { code: "", message: "The page does not answer: was landslide-map view stopped?" };
    notify(lost.message);
    throw lost;
  }
  if (answer.ok) return answer;
  let refusal;
  try { refusal = await answer.json(); } catch { refusal = { code: String(answer.status), message: answer.statusText }; }
  notify(`${refusal.code}: ${refusal.message}`);
  throw refusal;
}

const getJson = async (address) => (await request(address)).json();
const sendJson = async (address, content) => (await request(address,
  { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(content) })).json();

function area(squareMetres) {
  if (squareMetres === null || squareMetres === undefined) return "-";
  if (squareMetres < 10000) return `${Math.round(squareMetres).toLocaleString("en")} m²`;
  if (squareMetres < 1e6) return `${(squareMetres / 10000).toFixed(1)} ha`;
  return `${(squareMetres / 1e6).toFixed(2)} km²`;
}

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

// A link that a click fetches: a refusal is shown, and no file with its text is saved.
async function download(event) {
  event.preventDefault();
  const link = event.currentTarget;
  try {
    const answer = await request(link.href);
    const name = /filename="([^"]+)"/.exec(answer.headers.get("content-disposition") || "");
    const address = URL.createObjectURL(await answer.blob());
    element("a", { href: address, download: name ? name[1] : "download" }).click();
    setTimeout(() => URL.revokeObjectURL(address), 10000);
  } catch { /* shown already */ }
}
