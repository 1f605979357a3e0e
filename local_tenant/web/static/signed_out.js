// Go back to the app once all apps have been told of the sign-out, or two seconds have passed.
const back = document.getElementById("back");
const goBack = () => { if (back) location.replace(back.href); };
const frames = [...document.querySelectorAll("iframe.app")];
const loaded = frames.map((frame) => new Promise((resolve) => frame.addEventListener("load", resolve)));
Promise.all(loaded).then(goBack);
setTimeout(goBack, 2000);
