// Refreshes the mailbox, and copies a code with a click.

const REFRESH_SECONDS = 3;
const status = document.getElementById("status");

document.addEventListener("click", async (event) => {
  const button = event.target.closest("button.copy");
  if (!button) return;
  try {
    await navigator.clipboard.writeText(button.dataset.code);
    status.textContent = `Code ${button.dataset.code} copied.`;
  } catch { // the browser does not allow it
    status.textContent = "The browser does not allow copying.";
  }
});

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
    showButtons();
    status.textContent = "A new message has arrived.";
  }
}

function showButtons() {
  for (const button of document.querySelectorAll("button.copy")) button.hidden = false;
}

showButtons();
setInterval(() => { if (!document.hidden) refresh(); }, REFRESH_SECONDS * 1000);
