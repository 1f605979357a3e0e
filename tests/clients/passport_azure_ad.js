// A web app and a web API: passport-azure-ad's OIDCStrategy, once for each response type, and its BearerStrategy.
import passport from "passport";
import { BearerStrategy, OIDCStrategy } from "passport-azure-ad";

import { app, listen, scopes, settings } from "./web_app.js";

const authority = new URL(settings.AUTHORITY);
const [, tenant, userFlow] = authority.pathname.split("/");
const identityMetadata = `${authority.origin}/${tenant}/v2.0/.well-known/openid-configuration`;
const common = { identityMetadata, isB2C: true, validateIssuer: true, loggingLevel: "error" };

app.use(passport.initialize());

for (const responseType of ["code", "id_token", "code id_token"]) {
  const name = responseType.replace(" ", "-");
  const strategy = new OIDCStrategy(
    {
      ...common,
      clientID: settings.CLIENT_ID,
      clientSecret: settings.CLIENT_SECRET,
      responseType,
      responseMode: "form_post",
      redirectUrl: `${settings.APP_URL}/redirect/${name}`,
      allowHttpForRedirectUrl: true,
      scope: ["offline_access", ...(responseType === "id_token" ? [] : scopes)],
      passReqToCallback: false,
    },
    (issuer, subject, profile, accessToken, refreshToken, done) =>
      done(null, { name: profile.displayName, accessToken }),
  );
  passport.use(name, strategy);
  const authenticate = passport.authenticate(name, { session: false, failWithError: true });

  app.get(`/sign-in/${name}`, (request, response, next) => {
    request.url += `?p=${userFlow}`; // where passport-azure-ad looks for the user flow
    authenticate(request, response, next);
  });
  app.post(`/redirect/${name}`, authenticate, (request, response) => {
    request.session.user = request.user.name;
    request.session.accessToken = request.user.accessToken;
    response.redirect("/");
  });
}

app.get("/token", (request, response) => {
  response.json({ accessToken: request.session.accessToken ?? null });
});

passport.use(
  new BearerStrategy(
    { ...common, clientID: settings.API_CLIENT_ID, policyName: userFlow, scope: ["tasks.read"] },
    (claims, done) => done(null, { name: claims.name }),
  ),
);
app.get("/api", passport.authenticate("oauth-bearer", { session: false }), (request, response) => {
  response.json({ user: request.user.name });
});

listen();
