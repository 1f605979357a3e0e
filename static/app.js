// The pages work without this script. With it, what was clicked is marked as busy until the next page is there,
// and a form is not sent twice.

let leaving = false; // for the sign-in service; a page can go to one address only
const LONGEST_BUSY = 20_000; // milliseconds; a click that only downloads a file brings no next page

/**
 * Like fetch, for a script of this site. If the user has to sign in first, or to consent, that happens and the user
 * comes back to this page. The answer is a 403 if it did not help.
 *
 *     import { fetchSignedIn } from "./app.js";
 *     const response = await fetchSignedIn("/reports.json");
 */
export async function fetchSignedIn(url, options = {}) {
  // The server sends the user back to the page that the Referer header names.
  const response = await fetch(url, { ...options, referrerPolicy: "same-origin" });
  const isJson = response.headers.get("Content-Type")?.startsWith("application/json");
  const answer = response.status === 401 && isJson ? await response.clone().json() : {};
  // For the same reason once a minute at most: what is missing may be something that signing in does not bring.
  const reason = `sent to sign in: ${answer.error} ${url}`;
  if (!leaving && answer.sign_in_uri && Date.now() - Number(sessionStorage.getItem(reason)) > 60_000) {
    leaving = true;
    sessionStorage.setItem(reason, Date.now());
    location.assign(answer.sign_in_uri);
  }
  return response;
}

document.addEventListener("submit", (event) => {
  if (!event.defaultPrevented) markBusy(event, event.target, event.submitter);
});

document.addEventListener("click", (event) => {
  const link = event.target.closest("a.button, .nav a, .choices a");
  const opensElsewhere = event.ctrlKey || event.metaKey || event.shiftKey || event.altKey || link?.target;
  if (link && !opensElsewhere && !event.defaultPrevented) markBusy(event, link, link);
});

/** Mark `shown` as busy. Stop the event if `clicked` is busy already. */
function markBusy(event, clicked, shown) {
  if (clicked.hasAttribute("data-busy")) {
    event.preventDefault();
    return;
  }
  clicked.setAttribute("data-busy", "");
  shown?.setAttribute("aria-busy", "true");
  setTimeout(endBusy, LONGEST_BUSY);
}

function endBusy() {
  for (const element of document.querySelectorAll("[data-busy], [aria-busy]")) {
    element.removeAttribute("data-busy");
    element.removeAttribute("aria-busy");
  }
}

// The Back button can show this page as it was left.
window.addEventListener("pageshow", () => {
  leaving = false;
  endBusy();
});
