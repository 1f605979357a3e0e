// Copies a value with a click on its button. The button is in the same element of class "copyable".

const status = document.getElementById("status");

export function showCopyButtons() {
  for (const button of document.querySelectorAll("button.copy")) button.hidden = false;
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest("button.copy");
  if (!button) return;
  const value = button.closest(".copyable").querySelector("[data-copy]");
  const name = value.dataset.copy.charAt(0).toUpperCase() + value.dataset.copy.slice(1);
  try {
    await navigator.clipboard.writeText(value.textContent);
    status.textContent = `${name} copied.`;
    button.textContent = "Copied";
  } catch { // the browser does not allow it
    status.textContent = "The browser does not allow copying.";
  }
});

showCopyButtons();
