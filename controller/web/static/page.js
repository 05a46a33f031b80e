// Brings what changes on a page up to date while somebody looks at it, without moving focus or scroll.
// Without this script the page is as it was when it was asked for.
"use strict";

const every = 5000; // ms
const kept = 120; // values of each course
const courses = new Map(); // by what they are of: values, oldest first

async function refresh() {
  const live = document.querySelector("[data-live]");
  if (!live || document.hidden || busy(live)) return;
  let text;
  try {
    const answer = await fetch(location.href, { credentials: "same-origin", headers: { Accept: "text/html" } });
    if (!answer.ok) return stale(live, `the controller answered ${answer.status}`);
    text = await answer.text();
  } catch {
    return stale(live, "the controller does not answer");
  }
  const fresh = new DOMParser().parseFromString(text, "text/html").querySelector("[data-live]");
  if (!fresh || busy(live)) return;
  remember(fresh);
  const scrolled = [...live.querySelectorAll(".wide")].map((e) => e.scrollLeft);
  live.replaceChildren(...fresh.childNodes);
  live.classList.remove("stale");
  live.querySelectorAll(".wide").forEach((e, i) => { e.scrollLeft = scrolled[i] || 0; });
}

// busy says whether what is shown is in use: focus in it, or a part of it selected.
function busy(live) {
  const selection = getSelection();
  return live.contains(document.activeElement) ||
    (selection && !selection.isCollapsed && live.contains(selection.anchorNode));
}

function stale(live, why) {
  let note = document.getElementById("stale");
  if (!note) {
    note = document.createElement("p");
    note.id = "stale";
    note.className = "wrong";
    note.setAttribute("role", "status");
    live.prepend(note);
  }
  note.textContent = `This is old: ${why}.`;
}

// remember keeps the values of courses, and draws each.
function remember(root) {
  for (const svg of root.querySelectorAll("[data-course]")) {
    const values = courses.get(svg.dataset.course) || [];
    values.push(Number(svg.dataset.value));
    courses.set(svg.dataset.course, values.slice(-kept));
    draw(svg, values);
  }
}

function draw(svg, values) {
  const top = Math.max(1, ...values);
  const line = document.createElementNS("http://www.w3.org/2000/svg", "polyline");
  line.setAttribute("points", values.map((v, i) => `${(120 * i) / Math.max(1, kept - 1)},${23 - (22 * v) / top}`).join(" "));
  svg.replaceChildren(line);
}

remember(document);
setInterval(refresh, every);
