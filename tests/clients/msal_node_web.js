// A web app: MSAL Node's ConfidentialClientApplication, with PKCE and a client secret.
import { ConfidentialClientApplication, CryptoProvider } from "@azure/msal-node";

import { app, callApi, listen, redirectUri, scopes, settings } from "./web_app.js";

const crypto = new CryptoProvider();
const client = new ConfidentialClientApplication({
  auth: {
    clientId: settings.CLIENT_ID,
    clientSecret: settings.CLIENT_SECRET,
    authority: settings.AUTHORITY,
    knownAuthorities: [new URL(settings.AUTHORITY).host],
  },
});

app.get("/sign-in", async (request, response) => {
  const { verifier, challenge } = await crypto.generatePkceCodes();
  request.session.signIn = { verifier, state: crypto.createNewGuid(), nonce: crypto.createNewGuid() };
  const { state, nonce } = request.session.signIn;
  response.redirect(
    await client.getAuthCodeUrl({
      scopes,
      redirectUri,
      state,
      nonce,
      codeChallenge: challenge,
      codeChallengeMethod: "S256",
      responseMode: "query",
    }),
  );
});

app.get("/redirect", async (request, response) => {
  const { verifier, state, nonce } = request.session.signIn;
  const { code, client_info, state: returnedState } = request.query;
  const result = await client.acquireTokenByCode(
    { scopes, redirectUri, code, state, nonce, codeVerifier: verifier, clientInfo: client_info },
    { code, state: returnedState },
  );
  request.session.user = result.account.name;
  request.session.account = result.account;
  response.redirect("/");
});

app.get("/tasks", async (request, response) => {
  const result = await client.acquireTokenSilent({ scopes, account: request.session.account });
  response.json(await callApi(result.accessToken));
});

app.get("/refresh", async (request, response) => {
  const result = await client.acquireTokenSilent({
    scopes,
    account: request.session.account,
    forceRefresh: true,
  });
  response.json(await callApi(result.accessToken));
});

app.get("/sign-out", (request, response) => {
  // MSAL Node has no helper for this. Microsoft's samples build the address as well.
  const address = new URL(`${settings.AUTHORITY}/oauth2/v2.0/logout`);
  address.searchParams.set("post_logout_redirect_uri", settings.APP_URL);
  request.session.destroy(() => response.redirect(address));
});

listen();
