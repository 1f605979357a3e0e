// A single-page app on MSAL.js. settings.json holds what the tenant says about it.
const user = document.getElementById("user");
const answer = document.getElementById("answer");

async function start() {
  const { auth, scopes, endpoint } = await (await fetch("settings.json")).json();
  const client = new msal.PublicClientApplication({ auth });

  function showUser() {
    user.textContent = client.getActiveAccount()?.name ?? "nobody";
  }

  async function callApi({ accessToken, fromCache }) {
    const response = await fetch(endpoint, { headers: { Authorization: `Bearer ${accessToken}` } });
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

  onClick("redirect", () => client.loginRedirect({ scopes }));
  onClick("popup", async () => {
    const { account } = await client.loginPopup({ scopes });
    client.setActiveAccount(account);
    showUser();
  });
  onClick("tasks", async () => callApi(await client.acquireTokenSilent({ scopes })));
  onClick("refresh", async () => callApi(await client.acquireTokenSilent({ scopes, forceRefresh: true })));
  onClick("frame", async () =>
    callApi(
      await client.acquireTokenSilent({ scopes, cacheLookupPolicy: msal.CacheLookupPolicy.Skip }),
    ),
  );
  onClick("sign-out", () => client.logoutRedirect({ account: client.getActiveAccount() }));
  showUser();
}

start().catch((error) => {
  answer.textContent = `${error}`;
});
