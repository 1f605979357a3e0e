// Go back to the app once it has been told of the sign-out, or has not answered for two seconds.
const back = document.getElementById("back");
const goBack = () => { if (back) location.replace(back.href); };
document.getElementById("app").addEventListener("load", goBack);
setTimeout(goBack, 2000);
