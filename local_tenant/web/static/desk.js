// Keeps the list of requests up to date while nobody is reading its details.

import { showCopyButtons } from "./copy.js";

const REFRESH_SECONDS = 3;

async function refresh() {
  const requests = document.getElementById("requests");
  if (requests.querySelector("details[open]") || requests.contains(document.activeElement)) return;
  let page;
  try {
    page = await (await fetch("/")).text();
  } catch { // the tenant has ended
    return;
  }
  const newest = new DOMParser().parseFromString(page, "text/html").getElementById("requests");
  if (newest && newest.textContent !== requests.textContent) {
    requests.replaceChildren(...newest.childNodes);
    showCopyButtons();
  }
}

setInterval(() => { if (!document.hidden) refresh(); }, REFRESH_SECONDS * 1000);
