// A page without a server of its own: MSAL.js, with PKCE. redirect.html is where the tenant answers to.
const user = document.getElementById("user");
const answer = document.getElementById("answer");

async function start() {
  const settings = await (await fetch("settings.json")).json();
  const client = new msal.PublicClientApplication({
    auth: {
      clientId: settings.client_id,
      authority: settings.authority,
      knownAuthorities: [new URL(settings.authority).host],
      redirectUri: settings.redirect_uri,
      postLogoutRedirectUri: `${location.origin}/`,
    },
  });
  const { scopes } = settings;

  function showUser() {
    user.textContent = client.getActiveAccount()?.name ?? "nobody";
  }

  async function callApi({ accessToken, fromCache }) {
    const response = await fetch(settings.endpoint, { headers: { Authorization: `Bearer ${accessToken}` } });
    const { owner } = await response.json();
    answer.textContent = JSON.stringify({ owner, fromCache });
  }

  function onClick(id, action) {
    document.getElementById(id).addEventListener("click", async () => {
      try {
        await action();
      } catch (error) {
        answer.textContent = `${error}`;
      }
    });
  }

  await client.initialize();
  const returned = await client.handleRedirectPromise();
  client.setActiveAccount(returned?.account ?? client.getAllAccounts()[0] ?? null);
  showUser();

  onClick("redirect", () => client.loginRedirect({ scopes }));
  onClick("popup", async () => {
    const { account } = await client.loginPopup({ scopes, redirectUri: settings.popup_redirect_uri });
    client.setActiveAccount(account);
    showUser();
  });
  onClick("tasks", async () => callApi(await client.acquireTokenSilent({ scopes })));
  onClick("refresh", async () => callApi(await client.acquireTokenSilent({ scopes, forceRefresh: true })));
  onClick("sign-out", () => client.logoutRedirect());
}

start().catch((error) => {
  answer.textContent = `${error}`;
});
