// The pages show times in UTC. With this script, they show the local time too, and how long ago or ahead it is.

const UNITS = [["day", 86_400], ["hour", 3_600], ["minute", 60], ["second", 1]];
const localTime = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const relativeTime = new Intl.RelativeTimeFormat(document.documentElement.lang, { numeric: "auto" });

function relative(milliseconds) {
  const seconds = Math.round(milliseconds / 1000);
  const [unit, size] = UNITS.find(([, size]) => Math.abs(seconds) >= size) ?? UNITS.at(-1);
  return relativeTime.format(Math.trunc(seconds / size), unit);
}

for (const element of document.querySelectorAll("time[datetime]")) {
  const moment = new Date(element.dateTime);
  const here = localTime.format(moment);
  const ago = relative(moment - Date.now());
  if (element.hasAttribute("data-local")) {
    element.textContent = `${here} (${ago})`;
    continue;
  }
  const addition = document.createElement("span");
  addition.className = "local-time";
  addition.textContent = ` (${ago}, ${here} here)`;
  element.after(addition);
}
