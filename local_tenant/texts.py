"""The languages of the sign-in page; every other page is in English."""

ENGLISH = {
    "title": "Sign in",
    "lead": "Sign in with your email address",
    "email": "Email Address",
    "password": "Password",
    "forgot": "Forgot your password?",
    "next": "Sign in",
    "cancel": "Cancel",
    "new_here": "Don't have an account?",
    "sign_up": "Sign up now",
}
FRENCH = {
    "title": "Connexion",
    "lead": "Connectez-vous avec votre adresse e-mail",
    "email": "Adresse e-mail",
    "password": "Mot de passe",
    "forgot": "Mot de passe oublié ?",
    "next": "Se connecter",
    "cancel": "Annuler",
    "new_here": "Vous n'avez pas de compte ?",
    "sign_up": "Inscrivez-vous maintenant",
}
LANGUAGES = {"en": ENGLISH, "fr": FRENCH}


def choose(tags):
    """The first of these language tags (BCP 47, best first) that there is, and its texts; else English."""
    for tag in tags:
        lang = tag.partition("-")[0].lower()
        if lang in LANGUAGES:
            return lang, LANGUAGES[lang]
    return "en", ENGLISH
