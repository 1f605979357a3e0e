// Adds a checkbox to a form with passwords, which shows them as they are typed.

const TEXTS = { en: ["Show password", "Show passwords"], fr: ["Afficher le mot de passe", "Afficher les mots de passe"] };
const passwords = document.querySelectorAll("input[type=password]");

if (passwords.length > 0) {
  const label = document.createElement("label");
  const checkbox = document.createElement("input");
  label.className = "show-password";
  checkbox.type = "checkbox";
  checkbox.addEventListener("change", () => {
    for (const password of passwords) password.type = checkbox.checked ? "text" : "password";
  });
  label.append(checkbox, TEXTS[document.documentElement.lang][passwords.length > 1 ? 1 : 0]);
  [...passwords].at(-1).closest(".field").append(label);
}
