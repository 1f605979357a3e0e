// A web app: openid-client with PKCE and a client secret, and without its option for insecure requests.
// It sends the secret in the form, or after /sign-in/basic in the Authorization header.
import * as client from "openid-client";

import { app, callApi, listen, redirectUri, scopes, settings } from "./web_app.js";

const metadata = new URL(`${settings.AUTHORITY}/v2.0/.well-known/openid-configuration`);
const { CLIENT_ID, CLIENT_SECRET } = settings;
const config = await client.discovery(metadata, CLIENT_ID, CLIENT_SECRET);
const basic = new client.Configuration(
  config.serverMetadata(),
  CLIENT_ID,
  CLIENT_SECRET,
  client.ClientSecretBasic(CLIENT_SECRET),
);

app.get("/sign-in{/:authentication}", async (request, response) => {
  const verifier = client.randomPKCECodeVerifier();
  request.session.signIn = { verifier, state: client.randomState(), nonce: client.randomNonce() };
  request.session.usesBasic = request.params.authentication === "basic";
  const { state, nonce } = request.session.signIn;
  response.redirect(
    client.buildAuthorizationUrl(config, {
      redirect_uri: redirectUri,
      scope: ["openid", "offline_access", ...scopes].join(" "),
      state,
      nonce,
      code_challenge: await client.calculatePKCECodeChallenge(verifier),
      code_challenge_method: "S256",
    }),
  );
});

app.get("/redirect", async (request, response) => {
  const { verifier, state, nonce } = request.session.signIn;
  const chosen = request.session.usesBasic ? basic : config;
  const tokens = await client.authorizationCodeGrant(chosen, new URL(request.url, settings.APP_URL), {
    pkceCodeVerifier: verifier,
    expectedState: state,
    expectedNonce: nonce,
    idTokenExpected: true,
  });
  request.session.user = tokens.claims().name;
  request.session.tokens = tokens;
  response.redirect("/");
});

app.get("/tasks", async (request, response) => {
  response.json(await callApi(request.session.tokens.access_token));
});

app.get("/refresh", async (request, response) => {
  const tokens = await client.refreshTokenGrant(config, request.session.tokens.refresh_token);
  response.json(await callApi(tokens.access_token));
});

app.get("/sign-out", (request, response) => {
  const address = client.buildEndSessionUrl(config, { post_logout_redirect_uri: settings.APP_URL });
  request.session.destroy(() => response.redirect(address));
});

listen();
