// Refreshes the mailbox.

import { showCopyButtons } from "./copy.js";

const REFRESH_SECONDS = 3;
const status = document.getElementById("status");

async function refresh() {
  let page;
  try {
    page = await (await fetch(location.href)).text();
  } catch { // the tenant has ended
    return;
  }
  const messages = document.getElementById("messages");
  const newest = new DOMParser().parseFromString(page, "text/html").getElementById("messages");
  if (newest && newest.textContent !== messages.textContent) {
    messages.replaceChildren(...newest.childNodes);
    showCopyButtons();
    status.textContent = "A new message has arrived.";
  }
}

setInterval(() => { if (!document.hidden) refresh(); }, REFRESH_SECONDS * 1000);
