// Adds a button to each element with data-copy, which copies the element's text.

const announcement = document.createElement("p");
announcement.className = "unseen";
announcement.setAttribute("role", "status");
document.body.append(announcement);

for (const element of document.querySelectorAll("[data-copy]")) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "copy";
  button.textContent = "Copy";
  button.setAttribute("aria-label", `Copy ${element.dataset.copy}`);
  const text = element.textContent;
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = "Copied";
      announcement.textContent = `${element.dataset.copy} copied`;
    } catch { // the browser does not allow it
      button.textContent = "Not allowed";
      announcement.textContent = "The browser does not allow copying";
    }
    setTimeout(() => { button.textContent = "Copy"; announcement.textContent = ""; }, 2000);
  });
  element.after(button);
}
